#version 450
// dst = x · wᵀ + bias for many rows of x on a driver that computes on the CPU.
//
// A workgroup is one subgroup. Each lane has OUTS outputs of its own, and the sums of ROWS rows for
// them. The lanes read x together, four inputs each, so that a texel of x is read once for all outputs, and
// give what they have read to one another. A product then takes a multiplication and an
// addition, and little beside: such a driver's reads take some fifty instructions for four numbers of each lane.
// ROWS and OUTS are as large as they can be before the code of a round no longer fits into
// a processor's cache for instructions.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in; // at most 16, a multiple of READERS
layout(constant_id = 4) const bool TRANSPOSED = false;
layout(constant_id = 5) const bool PERMUTE = false; // see from
layout(constant_id = 6) const uint ROWS = 16;       // at most 32
layout(constant_id = 7) const uint OUTS = 4;        // at most 4; TRANSPOSED: 4
layout(constant_id = 8) const uint AT_ONCE = 8;     // rows of which the sums are in registers: a divisor of ROWS
layout(constant_id = 9) const uint READERS = 4;     // lanes that read of the same row of x, at most 4

const uint INPUTS = 4 * READERS; // of a round

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint lane = gl_SubgroupInvocationID, lanes = gl_WorkGroupSize.x, together = lanes / READERS;
	uint row0 = gl_WorkGroupID.x * ROWS, out0 = (gl_WorkGroupID.y * lanes + lane) * OUTS;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_x[32], at_w[4];
	[[unroll]] for (uint i = 0; i < ROWS / together; i++) {
		at_x[i] = p.x + min(row0 + i * together + lane / READERS, p.rows - 1) * p.x_stride + 4 * (lane % READERS);
	}
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	uint at_t = p.w + min(out0, p.out_ - OUTS); // TRANSPOSED: they are a multiple of OUTS

	// The lanes' numbers. PERMUTE: a compiler for AVX2 makes two instructions of a shuffle if it knows
	// from which lane, and else one, that reads its operand from memory. What is added is 0.
	uint from[16];
	[[unroll]] for (uint i = 0; i < lanes; i++) {
		from[i] = PERMUTE ? i + (p.in_ & 3u) : i;
	}
	float acc[128]; // [row][output]
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
		acc[i] = 0;
	}
	for (uint k = 0; k < p.in_; k += INPUTS) {
		vec4 a[32], b[16];
		[[unroll]] for (uint i = 0; i < ROWS / together; i++) {
			a[i] = READ_X(x, at_x[i] + k);
		}
		[[unroll]] for (uint i = 0; i < OUTS * READERS; i++) {
			// TRANSPOSED: [input], of all outputs; else [output][input/4], of four inputs: all that is read of a line of
			// the cache is read at once, for lines of other rows may take its place.
			b[i] = TRANSPOSED ? READ(w, at_t + (k + i) * p.w_stride) : READ(w, at_w[i / READERS] + k + i % READERS * 4);
		}
		[[unroll]] for (uint r0 = 0; r0 < ROWS; r0 += AT_ONCE) {
			[[unroll]] for (uint i = 0; i < INPUTS; i++) {
				[[unroll]] for (uint j = 0; j < AT_ONCE; j++) {
					uint r = r0 + j;
					float v = subgroupShuffle(a[r / together][i % 4], from[r % together * READERS + i / 4]);
					[[unroll]] for (uint o = 0; o < OUTS; o++) {
						acc[OUTS * r + o] += v * (TRANSPOSED ? b[i][o] : b[READERS * o + i / 4][i % 4]);
					}
				}
			}
		}
	}
	float biases[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		biases[o] = 0;
		if (p.bias != ABSENT && out0 + o < p.out_) {
			biases[o] = bias[p.bias + out0 + o];
		}
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		if (row0 + r < p.rows) {
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				float v = acc[OUTS * r + o] + biases[o];
				if (ACCUMULATE && out0 + o < p.out_) {
					v += dst[p.dst + (row0 + r) * p.dst_stride + out0 + o];
				}
				write(row0 + r, out0 + o, ACTIVATE(v));
			}
		}
	}
}
