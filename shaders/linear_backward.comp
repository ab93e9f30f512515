#version 450
// dst += xᵀ · w, for devices on which linear.comp's shared memory does not pay
// or is not there: dst is [rows, out], x is stored as [in, rows] and w as
// [in, out]. The sums run over in, which are the vectors that linear saw.
//
// Each invocation computes 8 rows by 8 outputs in registers, and no two share
// anything: 16 numbers read for 64 products.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;

const uint READS = 8 / WIDTH; // of each operand

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint row0 = gl_WorkGroupID.x * 8;
	// Neighbours read neighbours: an invocation's outputs are READS times WIDTH, across apart.
	uint across = gl_WorkGroupSize.x * WIDTH;
	uint out0 = gl_WorkGroupID.y * gl_WorkGroupSize.x * 8 + gl_LocalInvocationID.x * WIDTH;

	// What lies past the end is computed like the last, and not written. A
	// last four may reach past it.
	uint at_x[READS], at_w[READS];
	[[unroll]] for (uint i = 0; i < READS; i++) {
		at_x[i] = p.x + min(row0 + i * WIDTH, (p.rows - 1) / WIDTH * WIDTH);
		at_w[i] = p.w + min(out0 + i * across, (p.out_ - 1) / WIDTH * WIDTH);
	}
	VEC acc[8 * READS]; // [row][output]
	[[unroll]] for (uint i = 0; i < 8 * READS; i++) {
		acc[i] = VEC(0);
	}
	for (uint k = 0; k < p.in_; k++) {
		VEC a[READS], b[READS];
		[[unroll]] for (uint i = 0; i < READS; i++) {
			a[i] = READ_X(x, at_x[i] + k * p.x_stride);
			b[i] = READ(w, at_w[i] + k * p.w_stride);
		}
		[[unroll]] for (uint r = 0; r < 8; r++) {
			[[unroll]] for (uint o = 0; o < READS; o++) {
#if defined(FOURS)
				acc[r * READS + o] += a[r / 4][r % 4] * b[o];
#else
				acc[r * READS + o] += a[r] * b[o];
#endif
			}
		}
	}
	[[unroll]] for (uint r = 0; r < 8; r++) {
		[[unroll]] for (uint o = 0; o < READS; o++) {
			finish(row0 + r, out0 + o * across, acc[r * READS + o]);
		}
	}
}
