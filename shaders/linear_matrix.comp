#version 450
// dst = x · wᵀ + bias as linear.comp computes it, where x and w are f16: on
// cooperative matrices, which a subgroup multiplies with a GPU's matrix units,
// into sums of f32. They are M·K and K·N large, as the device wants them.
//
// A workgroup of 128·SIZE computes 64·SIZE rows by 64·SIZE outputs, of which
// each subgroup has a rectangle, ACROSS of them side by side: with SIZE 2, and
// 32 lanes, 64 by 32, or 8 matrices of 16 by 16. From shared memory it loads 6
// matrices for 8 products, where squares of half the edge would load 4 for 4.
// Sums take 64 registers a lane at SIZE 2 and 32 at SIZE 1, of about 128 at
// which two workgroups still share a processor. A slice of DEPTH inputs is
// 16 KiB of memory read for 2²⁰ operations: 64 a byte, and twice what SIZE 1
// has. While it is multiplied the next one is on its way, in 16 registers.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linear.glsl"

layout(local_size_x_id = 0) in; // 128 * SIZE
layout(constant_id = 4) const bool TRANSPOSED = false;
layout(constant_id = 5) const uint SIZE = 1; // or 2
layout(constant_id = 6) const bool X_TRANSPOSED = false; // as in linear.comp
layout(constant_id = 7) const uint M = 16;
layout(constant_id = 8) const uint N = 16;
layout(constant_id = 9) const uint K = 16;
layout(constant_id = 10) const uint SUBGROUP = 32; // lanes
layout(constant_id = 11) const uint ACROSS = 2;

const uint DEPTH = 32;
const uint TILE = 64 * SIZE;
const uint INVOCATIONS = 128 * SIZE;
const uint SUBGROUPS = INVOCATIONS / SUBGROUP;
const uint ROWS = TILE / (SUBGROUPS / ACROSS) / M, OUTS = TILE / ACROSS / N; // of a subgroup, in matrices

// Operands lie in shared memory the way they came, so that none is turned
// around: [row or output][input], or [input][row or output]. They are counted
// in eights, to which loads of matrices must be aligned; a row has one more
// than it needs, so that rows begin in different banks.
const uint PITCH = DEPTH / 8 + 1, PITCH_T = TILE / 8 + 1;
const uint X_PITCH = X_TRANSPOSED ? PITCH_T : PITCH, W_PITCH = TRANSPOSED ? PITCH_T : PITCH;
const int X_LAYOUT = X_TRANSPOSED ? gl_CooperativeMatrixLayoutColumnMajor : gl_CooperativeMatrixLayoutRowMajor;
const int W_LAYOUT = TRANSPOSED ? gl_CooperativeMatrixLayoutRowMajor : gl_CooperativeMatrixLayoutColumnMajor; // of wᵀ
const uint W_TILE = TILE * PITCH; // where w begins, also if x is transposed and takes less

shared uvec4 tiles[2 * TILE * PITCH];
shared float sums[SUBGROUPS * M * N]; // each subgroup's own

// Where the two eights that this invocation brings of an operand lie in its
// slice: .x is its row or output, .y its input.
uvec2 place(bool transposed, uint j) {
	uint i = gl_LocalInvocationID.x + j * INVOCATIONS;
	return transposed ? uvec2(i % (TILE / 8) * 8, i / (TILE / 8)) : uvec2(i / (DEPTH / 8), i % (DEPTH / 8) * 8);
}

uint slot(bool transposed, uvec2 at) { return transposed ? at.y * PITCH_T + at.x / 8 : at.x * PITCH + at.y / 8; }

// The eight elements from i on, of which the last four may not be there.
#define EIGHT(b, i, both) uvec4(b[(i) >> 2], both ? b[((i) >> 2) + 1] : uvec2(0))

uvec4 next_x[2], next_w[2];

// fetch reads the slice from input k0 on, of inputs before end. What lies
// outside counts as 0.
void fetch(uint row0, uint out0, uint k0, uint end) {
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec2 at = place(X_TRANSPOSED, j) + uvec2(row0, k0);
		next_x[j] = uvec4(0);
		if (at.x < p.rows && at.y < end) {
			if (X_TRANSPOSED) {
				next_x[j] = EIGHT(x, p.x + at.y * p.x_stride + at.x, at.x + 4 < p.rows);
			} else {
				next_x[j] = EIGHT(x, p.x + at.x * p.x_stride + at.y, at.y + 4 < end);
			}
		}
	}
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec2 at = place(TRANSPOSED, j) + uvec2(out0, k0);
		next_w[j] = uvec4(0);
		if (at.x < p.out_ && at.y < end) {
			if (TRANSPOSED) {
				next_w[j] = EIGHT(w, p.w + at.y * p.w_stride + at.x, at.x + 4 < p.out_);
			} else {
				next_w[j] = EIGHT(w, p.w + at.x * p.w_stride + at.y, at.y + 4 < end);
			}
		}
	}
}

void main() {
	uint row0 = gl_WorkGroupID.y * TILE, out0 = gl_WorkGroupID.x * TILE;
	// A device may have other subgroups than it told: still none leaves its tile.
	uint me = gl_SubgroupID % SUBGROUPS;
	uint my_row = me / ACROSS * ROWS * M, my_out = me % ACROSS * OUTS * N;

	coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[ROWS * OUTS];
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
		acc[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
	}
	uint first = gl_WorkGroupID.z * p.part, end = min(first + p.part, p.in_);
	fetch(row0, out0, first, end);
	for (uint k0 = first; k0 < end; k0 += DEPTH) {
		barrier();
		[[unroll]] for (uint j = 0; j < 2; j++) {
			tiles[slot(X_TRANSPOSED, place(X_TRANSPOSED, j))] = next_x[j];
			tiles[W_TILE + slot(TRANSPOSED, place(TRANSPOSED, j))] = next_w[j];
		}
		barrier();
		if (k0 + DEPTH < end) {
			fetch(row0, out0, k0 + DEPTH, end);
		}
		[[unroll]] for (uint k = 0; k < DEPTH; k += K) {
			coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[ROWS];
			[[unroll]] for (uint i = 0; i < ROWS; i++) {
				coopMatLoad(a[i], tiles, slot(X_TRANSPOSED, uvec2(my_row + i * M, k)), X_PITCH, X_LAYOUT);
			}
			[[unroll]] for (uint j = 0; j < OUTS; j++) {
				coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b;
				coopMatLoad(b, tiles, W_TILE + slot(TRANSPOSED, uvec2(my_out + j * N, k)), W_PITCH, W_LAYOUT);
				[[unroll]] for (uint i = 0; i < ROWS; i++) {
					acc[i * OUTS + j] = coopMatMulAdd(a[i], b, acc[i * OUTS + j]);
				}
			}
		}
	}
	// Which lane holds which sum is the device's secret, so they go through
	// shared memory. Neighbours in a row go to neighbouring lanes.
	[[unroll]] for (uint i = 0; i < ROWS; i++) {
		[[unroll]] for (uint j = 0; j < OUTS; j++) {
			coopMatStore(acc[i * OUTS + j], sums, me * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
			subgroupBarrier();
			for (uint e = gl_SubgroupInvocationID; e < M * N; e += SUBGROUP) {
				finish(row0 + my_row + i * M + e / N, out0 + my_out + j * N + e % N, sums[me * M * N + e]);
			}
			subgroupBarrier();
		}
	}
}
