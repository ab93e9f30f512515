#version 450
// dst = x · wᵀ + bias for few rows of x, w stored as [in, out]: each element of
// w is read once, and serves all ROWS rows.
//
// Invocations along x are neighbours in the outputs, which they take WIDTH at a
// time, OUTS times; those along y share the inputs, and their sums are added
// up at the end.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linear.glsl"

layout(local_size_x = 32, local_size_y = 1, local_size_x_id = 0, local_size_y_id = 6) in;
layout(constant_id = 4) const uint ROWS = 1; // at most 4
layout(constant_id = 5) const uint OUTS = 1; // at most 2

const uint SUMS = ROWS * OUTS;

shared VEC partial[1024]; // of SUMS for each invocation

void main() {
	uint lane = gl_LocalInvocationID.x, slice = gl_LocalInvocationID.y, slices = gl_WorkGroupSize.y;
	uint out0 = (gl_WorkGroupID.x * OUTS * gl_WorkGroupSize.x + lane) * WIDTH, across = gl_WorkGroupSize.x * WIDTH;
	uint row0 = gl_WorkGroupID.y * ROWS;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_w[2], at_x[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o * across, p.out_ - WIDTH);
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
	VEC acc[8];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		acc[i] = VEC(0);
	}
	for (uint k = slice * WIDTH; k < p.in_; k += slices * WIDTH) {
		VEC a[4];
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			a[r] = READ_X(x, at_x[r] + k);
		}
#if defined(FOURS)
		[[unroll]] for (uint q = 0; q < 4; q++) {
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				vec4 b = READ(w, at_w[o] + (k + q) * p.w_stride);
				[[unroll]] for (uint r = 0; r < ROWS; r++) {
					acc[r * OUTS + o] += a[r][q] * b;
				}
			}
		}
#else
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			float b = READ(w, at_w[o] + k * p.w_stride);
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				acc[r * OUTS + o] += a[r] * b;
			}
		}
#endif
	}

	if (slices > 1) {
		uint stride = gl_WorkGroupSize.x * slices;
		[[unroll]] for (uint i = 0; i < SUMS; i++) {
			partial[i * stride + slice * gl_WorkGroupSize.x + lane] = acc[i];
		}
		barrier();
		if (slice != 0) {
			return;
		}
		[[unroll]] for (uint i = 0; i < SUMS; i++) {
			for (uint s = 1; s < slices; s++) {
				acc[i] += partial[i * stride + s * gl_WorkGroupSize.x + lane];
			}
		}
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			finish(row0 + r, out0 + o * across, acc[r * OUTS + o]);
		}
	}
}
