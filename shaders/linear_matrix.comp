#version 450
// dst = x · wᵀ + bias and what may follow, for many rows of x: on cooperative matrices of f16,
// which a subgroup multiplies with a GPU's matrix units, into sums of f32. They are M·K and K·N
// large, as the device wants them.
//
//	F16 X_F16       both operands are f16, and may lie transposed: training
//	F16, BF16, Q8_0 …  x is f32, and gets the precision of f16 here: see backend/round.go
//
// A workgroup of 64·SIZE computes 32·SIZE rows by 32·SIZE outputs, of which each subgroup has a
// rectangle, ACROSS of them side by side: with SIZE 4, and 32 lanes, 64 by 32, or 8 matrices
// of 16 by 16. From shared memory it loads 6 matrices for 8 products, where squares of half
// the edge would load 4 for 4. Sums take 64 registers a lane at SIZE 4, and 32 at SIZE 2.
// While a slice of DEPTH inputs is multiplied the next one is on its way, in 16 to 24 registers.
//
// A row of x, or an output of w in bf16, that f16 cannot hold is multiplied with a power of
// two, and its sums are divided by it. That is rare, so at first no row is: while the slices
// pass, the largest numbers are noted, and if one is out of range the product is computed again.
//
// The numbers of quantised weights are small integers, exact in f16. A slice is as long as a
// block, so its sums are multiplied with the scales of the blocks, in f32. Of types that are read in runs a slice is a run (see runs.glsl),
// in whose order inputs are taken: either half has scales of its own, and if numbers are added to weights, then sums of x times these to the sums.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "dtypes.glsl"
#define BIAS 3
#include "linear_fours.glsl"
#ifdef LOAD
#include "runs.glsl"
#endif

layout(local_size_x_id = 0) in; // 64 * SIZE
layout(constant_id = 4) const bool TRANSPOSED = false; // w is stored as [in, out]
layout(constant_id = 5) const uint SIZE = 2; // or 1 or 4
layout(constant_id = 6) const bool X_TRANSPOSED = false; // x is stored as [in, rows]: of X_F16
layout(constant_id = 7) const uint M = 16;
layout(constant_id = 8) const uint N = 16;
layout(constant_id = 9) const uint K = 16;
layout(constant_id = 10) const uint SUBGROUP = 32; // lanes
layout(constant_id = 11) const uint ACROSS = 2;

layout(binding = 1) restrict readonly buffer X { uvec4 x[]; };
#if defined(LOAD)
layout(binding = 2) restrict readonly buffer W { UNIT w[]; };
#elif defined(BLOCKS)
layout(binding = 2) restrict readonly buffer W { uint w[]; };
#else
layout(binding = 2) restrict readonly buffer W { uvec4 w[]; };
#endif

const uint DEPTH = 32; // the length of a block
const uint TILE = 32 * SIZE;
const uint INVOCATIONS = 64 * SIZE;
const uint SUBGROUPS = INVOCATIONS / SUBGROUP;
const uint ROWS = TILE / (SUBGROUPS / ACROSS) / M, OUTS = TILE / ACROSS / N; // of a subgroup, in matrices

// Operands lie in shared memory the way they came, so that none is turned around: [row or
// output][input], or [input][row or output]. They are counted in eights, to which loads of
// matrices must be aligned; a row has one more than it needs, so that rows begin in different
// banks.
const uint PITCH = DEPTH / 8 + 1, PITCH_T = TILE / 8 + 1;
const uint X_PITCH = X_TRANSPOSED ? PITCH_T : PITCH, W_PITCH = TRANSPOSED ? PITCH_T : PITCH;
const int X_LAYOUT = X_TRANSPOSED ? gl_CooperativeMatrixLayoutColumnMajor : gl_CooperativeMatrixLayoutRowMajor;
const int W_LAYOUT = TRANSPOSED ? gl_CooperativeMatrixLayoutRowMajor : gl_CooperativeMatrixLayoutColumnMajor; // of wᵀ
const uint W_TILE = TILE * PITCH; // where w begins, also if x is transposed and takes less

// At last each subgroup puts a row of its matrices of sums there.
const uint STAGE = M * OUTS * N / 4;
const uint OPERANDS = 2 * TILE * PITCH, STAGES = SUBGROUPS * STAGE;
shared uvec4 tiles[OPERANDS > STAGES ? OPERANDS : STAGES];

#ifndef X_F16
#define SCALED_X
shared float x_by[TILE]; // what sums are multiplied with
#endif
#ifdef BF16
#define SCALED_W
#define W_SCALE 256.0 // at first, for weights are small: 2⁻²² to 255
shared float w_by[TILE];
#endif
#if defined(SCALED_X) || defined(SCALED_W)
#define SCALED
shared uint again;
#endif
#if defined(LOAD)
shared float scales[4 * TILE]; // of the halves of runs of w, one after the other, and what is added
shared float x_sums[MINS ? 4 * TILE : 1]; // of the eights of a slice of x, one after the other
#elif defined(BLOCKS)
shared float scales[TILE]; // of the blocks of w
#endif

// Where the two eights that this invocation brings of an operand lie in its slice: .x is
// its row or output, .y its input.
uvec2 place(bool transposed, uint j) {
	uint i = gl_LocalInvocationID.x + j * INVOCATIONS;
	return transposed ? uvec2(i % (TILE / 8) * 8, i / (TILE / 8)) : uvec2(i / (DEPTH / 8), i % (DEPTH / 8) * 8);
}

uint slot(bool transposed, uvec2 at) { return transposed ? at.y * PITCH_T + at.x / 8 : at.x * PITCH + at.y / 8; }

// Where the rows of those eights begin. What lies outside is read from the last row instead,
// and its sums are not written.
uint x_row[2], w_row[2];

// What is on its way: of f16 and bf16 the eight numbers, of f32 two times four, of blocks the
// words in which the numbers are, and the one with the scale.
#ifdef SCALED_X
uvec4 next_x[4];
float x_scale[2], x_largest[2];
#else
uvec4 next_x[2];
#endif
#ifdef LOAD
RUN next_run; // of which this invocation brings an eight of either half
uint run_part() { return gl_LocalInvocationID.x & 1u; }
#else
uvec4 next_w[2];
#endif
#ifdef SCALED_W
float w_scale[2], w_largest[2];
#endif

#ifdef LOAD // a run may be of inputs behind end
#define INPUT(k, end) (k)
#else
#define INPUT(k, end) min(k, (end - 1) & ~7u)
#endif

// fetch reads the slice from input k0 on, of inputs before end. No branch is around the loads,
// so that none waits for another: inputs outside are read from within, and put makes them 0.
void fetch(uint k0, uint end) {
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uint k = k0 + place(X_TRANSPOSED, j).y;
#ifdef LOAD
		uint y = place(X_TRANSPOSED, j).y;
		k = low_of(min(k0, end - 1) / 32) + y / 16 * HALVES_APART + y % 16;
#endif
		uint i = x_row[j] + (X_TRANSPOSED ? min(k, end - 1) * p.x_stride : INPUT(k, end));
#ifdef SCALED_X
		next_x[2 * j] = x[i >> 2];
		next_x[2 * j + 1] = x[(i >> 2) + 1];
#else
		next_x[j] = x[i >> 3];
#endif
	}
#ifdef LOAD
	uint k = low_of(min(k0, end - 1) / 32);
	next_run = LOAD(w, w_row[0], k);
#else
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uint k = k0 + place(TRANSPOSED, j).y;
#ifdef BLOCKS
		k = min(k, (end - 1) & ~7u);
		uint i = EIGHT_AT(w_row[j], k), word = i >> 1;
		next_w[j] = uvec4(w[word], w[word + 1], w[word + 1 + (i & 1)], w[BLOCK(w_row[j], k) >> 1]);
#else
		next_w[j] = w[(w_row[j] + (TRANSPOSED ? min(k, end - 1) * p.w_stride : min(k, (end - 1) & ~7u))) >> 3];
#endif
	}
#endif
}

// within is v without the inputs that are not before end, where it begins with input k. Rows
// of f16 may end amid an eight.
uvec4 within(uvec4 v, bool transposed, uint k, uint end) {
	return mix(uvec4(0), v, bvec4(bvec2(k < end), bvec2(transposed ? k < end : k + 4 < end)));
}

#ifdef SCALED
float largest(float most, vec4 v) {
	v = abs(v);
	return max(max(max(most, v.x), max(v.y, v.z)), v.w);
}

uvec2 halves(vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }

// scale_for is a power of two that brings the largest magnitude of a row, given its bits, to
// 2¹⁴ or above, and below 2¹⁵.
float scale_for(uint most) { return uintBitsToFloat(min(268u - (most >> 23), 253u) << 23); }

float inverse(float power) { return uintBitsToFloat((254u << 23) - floatBitsToUint(power)); }

// in_range reports whether f16 holds a row whose largest magnitude is most so that what
// denormals lose is nothing beside that. A row with an infinity stays as it is: no sum of it
// is finite.
bool in_range(float most) {
	return most == 0.0 || most >= 0.25 && most <= 65504.0 || floatBitsToUint(most) >= 0x7f800000u;
}
#endif

#ifdef SCALED_X
// to_f16 rounds numbers to significands of 11 bits, to the nearest, ties to even, before they
// are packed, for that may cut off: adding 2¹³ times a power of two as large as the number, and
// taking it off again, leaves no more bits.
uvec2 to_f16(vec4 v) {
	vec4 power = uintBitsToFloat((floatBitsToUint(v) & 0xff800000u) + (13u << 23));
	precise vec4 sum = v + power;
	precise vec4 rounded = sum - power;
	return halves(rounded);
}
#endif

#ifdef LOAD
uvec4 eight_of(uvec2 bytes) {
	vec4 low = numbers_of(bytes.x, false), high = numbers_of(bytes.y, false);
	return uvec4(packHalf2x16(low.xy), packHalf2x16(low.zw), packHalf2x16(high.xy), packHalf2x16(high.zw));
}
#endif

// put brings what fetch has read into shared memory.
void put(uint k0, uint end) {
	bool tail = k0 + DEPTH > end;
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec4 v = next_x[j];
#ifdef SCALED_X
		vec4 low = uintBitsToFloat(next_x[2 * j]), high = uintBitsToFloat(next_x[2 * j + 1]);
		x_largest[j] = largest(largest(x_largest[j], low), high);
		v = uvec4(to_f16(low * x_scale[j]), to_f16(high * x_scale[j]));
#endif
		uvec2 at = place(X_TRANSPOSED, j);
		if (tail) {
			v = within(v, X_TRANSPOSED, k0 + at.y, end);
		}
		tiles[slot(X_TRANSPOSED, at)] = v;
#ifdef LOAD
		if (MINS) {
			vec2 sum = (unpackHalf2x16(v.x) + unpackHalf2x16(v.y)) + (unpackHalf2x16(v.z) + unpackHalf2x16(v.w));
			x_sums[at.y / 8 * TILE + at.x] = sum.x + sum.y;
		}
#endif
	}
#ifdef LOAD
	uint k = low_of(k0 / 32), row = gl_LocalInvocationID.x / 2;
	uvec4 low, high;
	BYTES(next_run, w_row[0], k, low, high);
	bvec2 second = bvec2(run_part() != 0);
	tiles[W_TILE + slot(false, uvec2(row, 8 * run_part()))] = eight_of(mix(low.xy, low.zw, second));
	tiles[W_TILE + slot(false, uvec2(row, 16 + 8 * run_part()))] = eight_of(mix(high.xy, high.zw, second));
	if (run_part() == 0) {
		vec4 s = SCALES(next_run, w_row[0], k);
		scales[row] = s.x;
		scales[TILE + row] = s.y;
		scales[2 * TILE + row] = s.z;
		scales[3 * TILE + row] = s.w;
	}
#else
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec2 at = place(TRANSPOSED, j);
		uvec4 v = next_w[j];
#ifdef SCALED_W
		vec4 low = vec4(PAIR(v.x), PAIR(v.y)), high = vec4(PAIR(v.z), PAIR(v.w));
		w_largest[j] = largest(largest(w_largest[j], low), high);
		v = uvec4(halves(low * w_scale[j]), halves(high * w_scale[j]));
#endif
#ifdef BLOCKS
		uint k = k0 + at.y;
		bool odd = (EIGHT_AT(w_row[j], k) & 1) != 0;
		uint first = odd ? v.x >> 16 | v.y << 16 : v.x, second = odd ? v.y >> 16 | v.z << 16 : v.y;
		vec4 low = NUMBERS(first, k), high = NUMBERS(second, k);
		if (at.y == 0) {
			vec2 pair = unpackHalf2x16(v.w);
			scales[at.x] = (BLOCK(w_row[j], k) & 1) != 0 ? pair.y : pair.x;
		}
		v = uvec4(packHalf2x16(low.xy), packHalf2x16(low.zw), packHalf2x16(high.xy), packHalf2x16(high.zw));
#else
		if (tail) {
			v = within(v, TRANSPOSED, k0 + at.y, end);
		}
#endif
		tiles[W_TILE + slot(TRANSPOSED, at)] = v;
	}
#endif
}

#ifdef SCALED
// rescale sets scales from what the slices have shown, and reports whether any is another than
// before. It is called where no invocation reads shared memory any more, and leaves it so.
bool rescale() {
	if (gl_LocalInvocationID.x == 0) {
		again = 0;
	}
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec2 most = uvec2(0);
#ifdef SCALED_X
		most.x = floatBitsToUint(x_largest[j]);
#endif
#ifdef SCALED_W
		most.y = floatBitsToUint(w_largest[j]);
#endif
		tiles[gl_LocalInvocationID.x + j * INVOCATIONS] = uvec4(most, 0, 0);
	}
	barrier();
	bool needed = false;
	[[unroll]] for (uint j = 0; j < 2; j++) {
		uvec2 at = place(false, j);
		uvec2 most = uvec2(0);
		[[unroll]] for (uint i = 0; i < DEPTH / 8; i++) { // neighbours bring the eights of a row
			most = max(most, tiles[at.x * (DEPTH / 8) + i].xy);
		}
#ifdef SCALED_X
		if (!in_range(uintBitsToFloat(most.x))) {
			needed = true;
			x_scale[j] = scale_for(most.x);
		}
		if (at.y == 0) {
			x_by[at.x] = inverse(x_scale[j]);
		}
#endif
#ifdef SCALED_W
		if (!in_range(uintBitsToFloat(most.y) * W_SCALE)) {
			needed = true;
			w_scale[j] = scale_for(most.y);
		}
		if (at.y == 0) {
			w_by[at.x] = inverse(w_scale[j]);
		}
#endif
	}
	if (needed) {
		atomicOr(again, 1);
	}
	barrier();
	return again != 0;
}
#endif

void main() {
	uint row0 = gl_WorkGroupID.y * TILE, out0 = gl_WorkGroupID.x * TILE;
	// A device may have other subgroups than it told: still none leaves its tile.
	uint me = gl_SubgroupID % SUBGROUPS;
	uint my_row = me / ACROSS * ROWS * M, my_out = me % ACROSS * OUTS * N;
	uint first = gl_WorkGroupID.z * p.part, end = min(first + p.part, p.in_);

	[[unroll]] for (uint j = 0; j < 2; j++) {
		uint r = row0 + place(X_TRANSPOSED, j).x, o = out0 + place(TRANSPOSED, j).x;
#ifdef LOAD
		o = out0 + gl_LocalInvocationID.x / 2;
#endif
		x_row[j] = p.x + (X_TRANSPOSED ? min(r, (p.rows - 1) & ~7u) : min(r, p.rows - 1) * p.x_stride);
		w_row[j] = p.w + (TRANSPOSED ? min(o, (p.out_ - 1) & ~7u) : min(o, p.out_ - 1) * p.w_stride);
	}
	coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[ROWS * OUTS];
#ifdef SCALED_X
	x_scale[0] = x_scale[1] = 1.0;
	x_largest[0] = x_largest[1] = 0.0;
#endif
#ifdef SCALED_W
	w_scale[0] = w_scale[1] = W_SCALE;
	w_largest[0] = w_largest[1] = 0.0;
#endif
#ifdef SCALED
	[[dont_unroll]] for (uint pass = 0; pass < 2; pass++) {
#else
	{
#endif
		[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
			acc[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
		}
		fetch(first, end);
		for (uint k0 = first; k0 < end; k0 += DEPTH) {
			barrier();
			put(k0, end);
			barrier();
			fetch(k0 + DEPTH, end); // of the last slice again, behind it
#if defined(LOAD)
			const uint MATRICES = DEPTH / 2 / K; // of the inputs of a half
			[[unroll]] for (uint h = 0; h < 2; h++) {
				coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b[OUTS * MATRICES];
				coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> scale[OUTS];
				[[unroll]] for (uint j = 0; j < OUTS; j++) {
					[[unroll]] for (uint k = 0; k < MATRICES; k++) {
						coopMatLoad(b[j * MATRICES + k], tiles, W_TILE + slot(false, uvec2(my_out + j * N, h * 16 + k * K)), W_PITCH, W_LAYOUT);
					}
					coopMatLoad(scale[j], scales, h * TILE + my_out + j * N, 0, gl_CooperativeMatrixLayoutRowMajor); // each row is the same
				}
				[[unroll]] for (uint i = 0; i < ROWS; i++) {
					coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[MATRICES];
					[[unroll]] for (uint k = 0; k < MATRICES; k++) {
						coopMatLoad(a[k], tiles, slot(false, uvec2(my_row + i * M, h * 16 + k * K)), X_PITCH, X_LAYOUT);
					}
					coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums, more; // each column is the same
					if (MINS) {
						coopMatLoad(sums, x_sums, 2 * h * TILE + my_row + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor);
						coopMatLoad(more, x_sums, (2 * h + 1) * TILE + my_row + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor);
						sums = sums + more;
					}
					[[unroll]] for (uint j = 0; j < OUTS; j++) {
						coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
						[[unroll]] for (uint k = 0; k < MATRICES; k++) {
							sum = coopMatMulAdd(a[k], b[j * MATRICES + k], sum);
						}
						acc[i * OUTS + j] = acc[i * OUTS + j] + sum * scale[j];
						if (MINS) {
							coopMatLoad(more, scales, (2 + h) * TILE + my_out + j * N, 0, gl_CooperativeMatrixLayoutRowMajor);
							acc[i * OUTS + j] = acc[i * OUTS + j] + sums * more;
						}
					}
				}
			}
#elif defined(BLOCKS)
			coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b[OUTS * (DEPTH / K)];
			coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> scale[OUTS];
			[[unroll]] for (uint j = 0; j < OUTS; j++) {
				[[unroll]] for (uint k = 0; k < DEPTH / K; k++) {
					coopMatLoad(b[j * (DEPTH / K) + k], tiles, W_TILE + slot(TRANSPOSED, uvec2(my_out + j * N, k * K)), W_PITCH, W_LAYOUT);
				}
				coopMatLoad(scale[j], scales, my_out + j * N, 0, gl_CooperativeMatrixLayoutRowMajor); // each row is the same
			}
			[[unroll]] for (uint i = 0; i < ROWS; i++) {
				coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[DEPTH / K];
				[[unroll]] for (uint k = 0; k < DEPTH / K; k++) {
					coopMatLoad(a[k], tiles, slot(X_TRANSPOSED, uvec2(my_row + i * M, k * K)), X_PITCH, X_LAYOUT);
				}
				[[unroll]] for (uint j = 0; j < OUTS; j++) {
					coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
					[[unroll]] for (uint k = 0; k < DEPTH / K; k++) {
						sum = coopMatMulAdd(a[k], b[j * (DEPTH / K) + k], sum);
					}
					acc[i * OUTS + j] = acc[i * OUTS + j] + sum * scale[j];
				}
			}
#else
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
#endif
		}
		barrier();
#ifdef SCALED
		if (pass == 0 && !rescale()) {
			break;
		}
#endif
	}
	// Which lane holds which sum is the device's secret, so they go through shared memory.
	// Neighbours in a row go to neighbouring lanes.
	[[unroll]] for (uint i = 0; i < ROWS; i++) {
		[[unroll]] for (uint j = 0; j < OUTS; j++) {
			coopMatStore(acc[i * OUTS + j], tiles, me * STAGE + j * (N / 4), OUTS * (N / 4), gl_CooperativeMatrixLayoutRowMajor);
		}
		subgroupBarrier();
		[[dont_unroll]] for (uint t = 0; t < STAGE; t += SUBGROUP) {
			uint e = t + gl_SubgroupInvocationID;
			if (e < STAGE) {
				uint r = my_row + i * M + e / (OUTS * (N / 4)), o = my_out + e % (OUTS * (N / 4)) * 4;
				vec4 v = uintBitsToFloat(tiles[me * STAGE + e]);
#ifdef SCALED_X
				v *= x_by[r];
#endif
#ifdef SCALED_W
				v *= vec4(w_by[o], w_by[o + 1], w_by[o + 2], w_by[o + 3]);
#endif
				finish(gl_WorkGroupID.z, row0 + r, out0 + o, v);
			}
		}
		subgroupBarrier();
	}
}
