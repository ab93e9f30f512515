#version 450
// dst = x · wᵀ + bias on a driver that computes on the CPU, w stored as [out, in].
//
// A workgroup is one subgroup. Its lanes share the inputs, four each at a time, so that they
// read neighbours, and its sums, of ROWS rows and OUTS outputs, stay in registers. They are added
// up at the end. Nothing is shared before: shared memory and barriers cost such a driver more
// than they save, while loads through the texture unit it does for all lanes at once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;
layout(constant_id = 4) const uint ROWS = 8;  // at most 8
layout(constant_id = 5) const uint OUTS = 16; // at most 16, even
layout(constant_id = 6) const uint STEPS = 2; // at most 2: the fours of each row that a lane takes at once; rows are a whole number of these of all lanes

// HALVE(n) leaves n sums of 2n, for drivers that unroll no loop over powers of two.
#define HALVE(n) \
	if (lanes > n) { \
		[[unroll]] for (uint j = 0; j < n; j++) { \
			bool high = (lane & n) != 0; \
			float keep = high ? acc[i + j + n] : acc[i + j], give = high ? acc[i + j] : acc[i + j + n]; \
			acc[i + j] = keep + subgroupShuffleXor(give, n); \
		} \
	}

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint lane = gl_SubgroupInvocationID, row0 = gl_WorkGroupID.x * ROWS, out0 = gl_WorkGroupID.y * OUTS;
	uint step = gl_WorkGroupSize.x * 4, end = p.in_;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_x[8], at_w[16];
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	float acc[128]; // [row][output]
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
		acc[i] = 0;
	}
	for (uint k = lane * 4; k < end; k += STEPS * step) {
		vec4 a[16];
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			[[unroll]] for (uint s = 0; s < STEPS; s++) {
				a[2 * r + s] = READ_X(x, at_x[r] + k + s * step);
			}
		}
		[[unroll]] for (uint o = 0; o < OUTS; o += 2) {
			vec4 b[4];
			[[unroll]] for (uint s = 0; s < STEPS; s++) {
				b[s] = READ_AT(w, at_w[o], k + s * step);
				b[2 + s] = READ_AT(w, at_w[o + 1], k + s * step);
			}
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				float u = 0, v = 0;
				[[unroll]] for (uint s = 0; s < STEPS; s++) {
					u += dot(a[2 * r + s], b[s]);
					v += dot(a[2 * r + s], b[2 + s]);
				}
				acc[OUTS * r + o] += u;
				acc[OUTS * r + o + 1] += v;
			}
		}
	}
	// As many sums as there are lanes: each lane keeps half of them, and gives the other half
	// to a lane that keeps these, until it has one, of all lanes' parts.
	uint lanes = gl_WorkGroupSize.x;
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i += lanes) {
		HALVE(8)
		HALVE(4)
		HALVE(2)
		HALVE(1)
		finish(row0 + i / OUTS, out0 + i % OUTS + lane, acc[i]);
	}
}
