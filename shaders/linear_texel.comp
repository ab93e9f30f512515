#version 450
// dst = x · wᵀ + bias for several rows of x on a driver that computes on the CPU:
// each invocation multiplies ROWS rows with OUTS outputs in registers, and no two
// share anything. Shared memory and barriers cost such a driver more than they
// save; loads through the texture unit it does for all lanes at once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;
layout(constant_id = 4) const bool TRANSPOSED = false;
layout(constant_id = 5) const uint ROWS = 8;  // at most 8
layout(constant_id = 6) const uint OUTS = 16; // at most 16; TRANSPOSED: 8

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint row0 = gl_WorkGroupID.x * ROWS, out0 = (gl_WorkGroupID.y * gl_WorkGroupSize.x + gl_LocalInvocationID.x) * OUTS;

	uint at_x[8];
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
#if defined(READ)
	if (TRANSPOSED) {
		vec4 acc[16]; // [row][fours of outputs]
		[[unroll]] for (uint i = 0; i < 2 * ROWS; i++) {
			acc[i] = vec4(0);
		}
		uint at0 = p.w + min(out0, p.out_ - 4), at1 = p.w + min(out0 + 4, p.out_ - 4);
		for (uint k = 0; k < p.in_; k += 4) {
			vec4 a[8];
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				a[r] = READ_X(x, at_x[r] + k);
			}
			[[unroll]] for (uint q = 0; q < 4; q++) {
				vec4 b0 = READ(w, at0), b1 = READ(w, at1);
				at0 += p.w_stride;
				at1 += p.w_stride;
				[[unroll]] for (uint r = 0; r < ROWS; r++) {
					acc[2 * r] += a[r][q] * b0;
					acc[2 * r + 1] += a[r][q] * b1;
				}
			}
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			finish(row0 + r, out0, acc[2 * r]);
			finish(row0 + r, out0 + 4, acc[2 * r + 1]);
		}
	} else
#endif
	{
		float acc[128]; // [row][output]
		[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
			acc[i] = 0;
		}
		uint at_w[16];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
		}
		for (uint k = 0; k < p.in_; k += 4) {
			vec4 a[8];
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				a[r] = READ_X(x, at_x[r] + k);
			}
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				vec4 b = READ_AT(w, at_w[o], k);
				[[unroll]] for (uint r = 0; r < ROWS; r++) {
					acc[OUTS * r + o] += dot(a[r], b);
				}
			}
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			[[unroll]] for (uint o = 0; o < OUTS; o += 4) {
				uint i = OUTS * r + o;
				finish(row0 + r, out0 + o, vec4(acc[i], acc[i + 1], acc[i + 2], acc[i + 3]));
			}
		}
	}
}
