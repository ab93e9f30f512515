#version 450
// Causal attention of runs of queries on cooperative matrices, which a subgroup multiplies with a
// GPU's matrix units, with a running softmax (Dao et al. 2022, arXiv:2205.14135). Keys and values are f16.
//
// A query, or a weight, is not rounded to one number of f16. It is the sum of two, the second of which is
// what rounding to the first one left. So two matrix products take the place of one, and a number keeps 21 bits, if it is
// not much smaller than the largest. Below 2⁻¹⁸ of a query's largest element, another one lacks up to 2⁻³⁹ of that: a query
// of which this could matter is computed plainly. A weight lacks at most 2⁻³⁹ of
// the largest one of its row's keys, which counts if that is less than 2⁻¹⁶ of it: see backend.Attention. A sink is no such key.
//
// Each subgroup serves 16 rows: neighbouring queries, of one or several heads of a group. Its sums are in registers.
// Subgroups share tiles of TILE keys and values in shared memory. Which lane holds which element of a matrix is the device's
// secret, so scores go through shared memory: CLUSTER lanes have the scores of a row, and leave its weights in their place.
//
// Where something is not finite, halves do not add up: ∞ − ∞ is NaN. Then a subgroup computes the rows that see it anew, one
// by one in f32: see attention_plainly.glsl. Other rows must not notice it: 0 · NaN is NaN, so values that are not finite
// are 0 in shared memory, and odd_values tells whose they are.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x_id = 0) in; // SUBGROUP_SIZE times as many as there are subgroups
layout(constant_id = 1) const uint SIZE = 64;      // of a head: a multiple of 8, at most 128
layout(constant_id = 2) const bool EXTRAS = false; // whether there is a window, a soft-cap or sinks
layout(constant_id = 3) const bool TABLE = false;
layout(constant_id = 4) const uint HEADS = 1;          // of a workgroup: a power of two, which divides those of a group
layout(constant_id = 5) const uint CLUSTER = 2;        // lanes of a row: SUBGROUP_SIZE / 16, or 1
layout(constant_id = 6) const uint SUBGROUP_SIZE = 32; // a power of two, 8 to 64
layout(constant_id = 7) const uint M = 16;
layout(constant_id = 8) const uint N = 16;
layout(constant_id = 9) const uint INNER = 16;   // K
layout(constant_id = 10) const bool HELD = true; // queries stay in registers, else in shared memory
#include "attention_wide.glsl"

const uint ROWS = 16; // of a subgroup
const uint TILE = 32;
const uint SUBGROUPS = gl_WorkGroupSize.x / SUBGROUP_SIZE;
const uint QUERIES = SUBGROUPS * ROWS / HEADS;
const uint PASSES = ROWS * CLUSTER / SUBGROUP_SIZE; // rows of a lane
const uint WIDTH = (SIZE + 15) / 16 * 16;
const uint DOWN = ROWS / M, ACROSS = TILE / N, COLUMNS = WIDTH / N, STEPS = WIDTH / INNER; // in matrices
const uint RUNS = TILE / CLUSTER / 8; // of eight keys, which a lane has of a row

// Shared memory is counted in eights of f16, to which loads of matrices must be aligned. Rows have one more
// than they need, so that they begin in different banks. Values lie transposed, [element][key], because
// matrix units want keys side by side there.
const uint PITCH = WIDTH / 8 + 1;
const uint VALUE_PITCH = TILE / 2 + 4; // in words
const uint PARTS = TILE / 4;           // of a row of scores, or of its weights: the first halves, then the second ones
const uint WORK_PITCH = PARTS + 1;
const uint WORK = ROWS * WORK_PITCH;   // of a subgroup
shared uvec4 keys[TILE * PITCH];
shared uint values[WIDTH * VALUE_PITCH];
shared uvec4 work[SUBGROUPS * WORK];
shared float factors[SUBGROUPS * ROWS];
shared uint odd_values[4]; // a bit for each key of a tile, 1 if its values are not finite; tiles take turns. 16 bytes, to keep others aligned
const uint QUERY_PITCH = WIDTH / 8 * 2 + 1; // first halves, then second ones
shared uvec4 stored[HELD ? 1 : SUBGROUPS * ROWS * QUERY_PITCH];

const float LOG2E = 1.44269504088896340736;
const float UP = 32768.0; // weights are multiplied with it: then halves lack less, and none of the largest one's bits is below f16's least normal number

// What a lane fetches of a tile, in 16 bytes: of keys one after the other, of values two neighbouring keys at a time.
const uint EIGHTS = SIZE / 8;
const uint KEYS_EACH = (TILE * EIGHTS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;       // at most 4
const uint VALUES_EACH = (TILE / 2 * EIGHTS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x; // at most 2
uvec4 next_keys[4], next_values[4];

uint sequence, group, head0, t0, position0, run;

// fetch reads keys and values from tile on. What is not before end is read from the last one instead, and
// masked later.
void fetch(uint tile, uint end) {
	uint at_keys[4], at_values[4];
	bool lost[4], ignored;
	[[unroll]] for (uint n = 0; n < KEYS_EACH; n++) {
		uint i = n * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		at_keys[n] = rows_of(sequence, min(tile + i / EIGHTS, end - 1), lost[n]).x + group * EIGHTS + i % EIGHTS;
	}
	[[unroll]] for (uint n = 0; n < 2 * VALUES_EACH; n++) {
		uint i = n / 2 * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		at_values[n] = rows_of(sequence, min(tile + i % (TILE / 2) * 2 + n % 2, end - 1), ignored).y + group * EIGHTS + min(i / (TILE / 2), EIGHTS - 1);
	}
	[[unroll]] for (uint n = 0; n < KEYS_EACH; n++) {
		next_keys[n] = k[at_keys[n]];
	}
	[[unroll]] for (uint n = 0; n < 2 * VALUES_EACH; n++) {
		next_values[n] = v[at_values[n]];
	}
	if (TABLE) { // values need no NaN beside that of the scores
		[[unroll]] for (uint n = 0; n < KEYS_EACH; n++) {
			next_keys[n] = mix(next_keys[n], uvec4(0x7fff7fffu), bvec4(lost[n]));
		}
	}
}

// not_finite reports whether one of eight numbers of f16 is not finite: an exponent of ones, plus one, is the sign's bit.
bool not_finite(uvec4 x) {
	x = (x & 0x7c007c00u) + 0x04000400u;
	return ((x.x | x.y | x.z | x.w) & 0x80008000u) != 0;
}

// put brings what fetch has read into shared memory, as tile.
void put(uint tile) {
	uint turn = tile / TILE & 3;
	if (gl_LocalInvocationID.x == 0) {
		odd_values[turn + 1 & 3] = 0; // which nobody reads any more
	}
	[[unroll]] for (uint n = 0; n < KEYS_EACH; n++) {
		uint i = n * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		if (KEYS_EACH * gl_WorkGroupSize.x == TILE * EIGHTS || i < TILE * EIGHTS) {
			keys[i / EIGHTS * PITCH + i % EIGHTS] = next_keys[n];
		}
	}
	[[unroll]] for (uint n = 0; n < VALUES_EACH; n++) {
		uint i = n * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		if (VALUES_EACH * gl_WorkGroupSize.x == TILE / 2 * EIGHTS || i < TILE / 2 * EIGHTS) {
			uint to = i / (TILE / 2) * 8 * VALUE_PITCH + i % (TILE / 2);
			bool first = not_finite(next_values[2 * n]), second = not_finite(next_values[2 * n + 1]);
			if (first || second) {
				atomicOr(odd_values[turn], (first ? 1u : 0u) + (second ? 2u : 0u) << i % (TILE / 2) * 2);
				next_values[2 * n] = mix(next_values[2 * n], uvec4(0), bvec4(first));
				next_values[2 * n + 1] = mix(next_values[2 * n + 1], uvec4(0), bvec4(second));
			}
			[[unroll]] for (uint c = 0; c < 4; c++) {
				uint a = next_values[2 * n][c], b = next_values[2 * n + 1][c];
				values[to + 2 * c * VALUE_PITCH] = a & 0xffffu | b << 16;
				values[to + (2 * c + 1) * VALUE_PITCH] = a >> 16 | b & 0xffff0000u;
			}
		}
	}
}

// halves splits four numbers in two of f16 each: .xy are the first halves.
uvec4 halves(vec4 x) {
	uvec2 first = uvec2(packHalf2x16(x.xy), packHalf2x16(x.zw));
	vec4 rest = x - vec4(unpackHalf2x16(first.x), unpackHalf2x16(first.y));
	return uvec4(first, packHalf2x16(rest.xy), packHalf2x16(rest.zw));
}

// put_halves leaves eight numbers of a row where it has its scores, as the eight of index to.
void put_halves(uint to, vec4 low, vec4 high) {
	uvec4 a = halves(low), b = halves(high);
	work[to] = uvec4(a.xy, b.xy);
	work[to + PARTS / 2] = uvec4(a.zw, b.zw);
}

#include "attention_rows.glsl"

float cluster_max(float x) {
	[[unroll]] for (uint bit = 0; bit < 2; bit++) {
		if (1u << bit < CLUSTER) {
			x = max(x, subgroupShuffleXor(x, 1u << bit));
		}
	}
	return x;
}

#include "attention_plainly.glsl"

#define SUMS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define LEFT coopmat<float16_t, gl_ScopeSubgroup, M, INNER, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, INNER, N, gl_MatrixUseB>

void main() {
	// A device may have other subgroups than it told: still none leaves its part of shared memory.
	uint me = gl_SubgroupID % SUBGROUPS, lane = gl_SubgroupInvocationID % SUBGROUP_SIZE, of = lane % CLUSTER;
	uint first = me * ROWS, my_work = me * WORK;
	run = gl_WorkGroupID.z;
	head0 = gl_WorkGroupID.y * HEADS;
	group = head0 / p.shared_by;
	t0 = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * QUERIES; // those that see most keys begin first
	sequence = at[p.seq + run * p.time];
	position0 = at[p.pos + run * p.time] + p.first_time + t0;

	Row rows[2];
	uint rows_in[2];            // of work, and where a row begins there
	float by[2];                // what sums of products are multiplied with, to be scores, in powers of two if there is no soft-cap
	float largest[2], total[2]; // of the scores, and of their weights: total is of the keys that this lane has
	float odd[2];               // not finite if something is not that the row sees, or if halves hold too little of its query
	[[unroll]] for (uint n = 0; n < PASSES; n++) {
		uint row = n * (SUBGROUP_SIZE / CLUSTER) + lane / CLUSTER;
		rows[n] = row_at(first + row);
		rows_in[n] = my_work + row * WORK_PITCH;
		largest[n] = LEAST;
		total[n] = 0;
		odd[n] = 0;
	}

	// Queries are multiplied with a power of two that brings the largest of a row to 2¹⁴ or above, and below 2¹⁵.
	LEFT queries[HELD ? DOWN * STEPS : 1], rests[HELD ? DOWN * STEPS : 1];
	float power[2];
	[[unroll]] for (uint n = 0; n < PASSES; n++) {
		uint query = query_at(rows[n]), most = 0, least = ~0u; // least: of those that are not 0, less 1
		[[dont_unroll]] for (uint d = of; d < SIZE / 4; d += CLUSTER) {
			uvec4 bits = floatBitsToUint(q[query + d]) & 0x7fffffffu;
			most = max(max(most, max(bits.x, bits.y)), max(bits.z, bits.w));
			bits -= 1;
			least = min(min(least, min(bits.x, bits.y)), min(bits.z, bits.w));
		}
		[[unroll]] for (uint bit = 0; bit < 2; bit++) {
			if (1u << bit < CLUSTER) {
				most = max(most, subgroupShuffleXor(most, 1u << bit));
			}
		}
		uint exponent = min(268u - (most >> 23), 253u);
		power[n] = uintBitsToFloat(exponent << 23);
		by[n] = uintBitsToFloat(254u - exponent << 23) * p.scale;
		if (!EXTRAS || p.soft_cap == 0) {
			by[n] *= LOG2E;
		}
		// Of an element that is then below 2⁻⁴ the halves may lack up to 2⁻²⁵. Keys are below 2¹⁶. It must not change
		// a score, which is an exponent, by more than 2⁻²¹.
		uint faint = max(most >> 23, 18u) - 18u << 23;
		float count = 0;
		if (least < faint) { // seldom
			[[dont_unroll]] for (uint d = of; d < SIZE / 4; d += CLUSTER) {
				count += dot(vec4(lessThan((floatBitsToUint(q[query + d]) & 0x7fffffffu) - 1, uvec4(faint - 1))), vec4(1));
			}
		}
		[[unroll]] for (uint bit = 0; bit < 2; bit++) {
			if (1u << bit < CLUSTER) {
				count += subgroupShuffleXor(count, 1u << bit);
			}
		}
		if (count * by[n] > 1.0 / 4096) {
			odd[n] = nan();
		}
	}
	[[unroll]] for (uint c = 0; c < WIDTH; c += TILE) {
		[[unroll]] for (uint n = 0; n < PASSES; n++) {
			[[unroll]] for (uint i = 0; i < RUNS; i++) {
				uint eight = i * CLUSTER + of, d = c + eight * 8;
				vec4 low = vec4(0), high = vec4(0);
				if (d < SIZE) {
					low = q[query_at(rows[n]) + d / 4] * power[n];
					high = q[query_at(rows[n]) + d / 4 + 1] * power[n];
				}
				if (HELD) {
					put_halves(rows_in[n] + eight, low, high);
				} else if (d < WIDTH) {
					uvec4 a = halves(low), b = halves(high);
					uint to = (first + n * (SUBGROUP_SIZE / CLUSTER) + lane / CLUSTER) * QUERY_PITCH + d / 8;
					stored[to] = uvec4(a.xy, b.xy);
					stored[to + WIDTH / 8] = uvec4(a.zw, b.zw);
				}
			}
		}
		if (HELD) {
			subgroupBarrier();
			[[unroll]] for (uint s = c; s < min(c + TILE, WIDTH); s += INNER) {
				[[unroll]] for (uint i = 0; i < DOWN; i++) {
					uint from = my_work + i * M * WORK_PITCH + (s - c) / 8;
					coopMatLoad(queries[i * STEPS + s / INNER], work, from, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
					coopMatLoad(rests[i * STEPS + s / INNER], work, from + PARTS / 2, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
				}
			}
			subgroupBarrier();
		}
	}

	// Keys that some row sees: positions follow one another, so those of the last query that stands in the
	// cache and those of the first one say it. Padding is behind them. The same of this subgroup's rows.
	uint all_begin = 0, all_end = 0, my_begin = 0, my_end = 0, seen_by_all = 0;
	uint none = int(position0) < 0 ? 0 - position0 : 0; // queries that are before the cache, modulo 2³²
	uint queries_end = min(QUERIES, p.time - t0);
	if (sequence < p.sequences && none < queries_end && position0 + none < p.context) {
		all_end = min(position0 + queries_end, p.context);
		all_begin = EXTRAS && position0 + none + 1 > p.window ? position0 + none + 1 - p.window : 0;
		all_begin = all_begin / TILE * TILE; // so that what a row gets does not depend on how many a workgroup serves
		uint my_first = max(first / HEADS, none), my_last = min((first + ROWS - 1) / HEADS, queries_end - 1);
		if (my_first <= my_last && position0 + my_first < p.context) {
			my_end = min(position0 + my_last + 1, p.context);
			seen_by_all = position0 + my_first + 1; // of the cache
			my_begin = EXTRAS && position0 + my_first + 1 > p.window ? position0 + my_first + 1 - p.window : 0;
		}
	}

	SUMS acc[DOWN * COLUMNS];
	[[unroll]] for (uint i = 0; i < DOWN * COLUMNS; i++) {
		acc[i] = SUMS(0);
	}
	if (SIZE < WIDTH) { // half an eight of keys, and rows of values
		for (uint i = gl_LocalInvocationID.x; i < TILE; i += gl_WorkGroupSize.x) {
			keys[i * PITCH + EIGHTS] = uvec4(0);
		}
		for (uint i = gl_LocalInvocationID.x; i < 8 * VALUE_PITCH; i += gl_WorkGroupSize.x) {
			values[SIZE * VALUE_PITCH + i] = 0;
		}
	}
	if (gl_LocalInvocationID.x < 4) {
		odd_values[gl_LocalInvocationID.x] = 0;
	}
	if (all_begin < all_end) {
		fetch(all_begin, all_end);
	}
	[[dont_unroll]] for (uint tile = all_begin; tile < all_end; tile += TILE) {
		barrier();
		put(tile);
		barrier();
		if (tile + TILE < all_end) { // while this tile is multiplied the next one is on its way
			fetch(tile + TILE, all_end);
		}
		if (tile >= my_end || tile + TILE <= my_begin) {
			continue; // none of these rows sees it
		}

		SUMS scores[DOWN * ACROSS];
		[[unroll]] for (uint i = 0; i < DOWN * ACROSS; i++) {
			scores[i] = SUMS(0);
		}
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			LEFT query[DOWN], rest[DOWN];
			[[unroll]] for (uint i = 0; i < DOWN; i++) {
				if (HELD) {
					query[i] = queries[i * STEPS + s];
					rest[i] = rests[i * STEPS + s];
				} else {
					uint from = (first + i * M) * QUERY_PITCH + s * (INNER / 8);
					coopMatLoad(query[i], stored, from, QUERY_PITCH, gl_CooperativeMatrixLayoutRowMajor);
					coopMatLoad(rest[i], stored, from + WIDTH / 8, QUERY_PITCH, gl_CooperativeMatrixLayoutRowMajor);
				}
			}
			[[unroll]] for (uint j = 0; j < ACROSS; j++) {
				RIGHT key;
				coopMatLoad(key, keys, j * N * PITCH + s * (INNER / 8), PITCH, gl_CooperativeMatrixLayoutColumnMajor);
				[[unroll]] for (uint i = 0; i < DOWN; i++) {
					scores[i * ACROSS + j] = coopMatMulAdd(query[i], key, scores[i * ACROSS + j]);
					scores[i * ACROSS + j] = coopMatMulAdd(rest[i], key, scores[i * ACROSS + j]);
				}
			}
		}
		[[unroll]] for (uint i = 0; i < DOWN * ACROSS; i++) {
			coopMatStore(scores[i], work, my_work + i / ACROSS * M * WORK_PITCH + i % ACROSS * (N / 4), WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
		}
		subgroupBarrier();

		// The scores of keys become weights.
		bool every = tile + TILE <= seen_by_all && (!EXTRAS || tile + p.window >= my_end);
		uint odd_keys = odd_values[tile / TILE & 3];
		[[unroll]] for (uint n = 0; n < PASSES; n++) {
			if (odd_keys != 0) { // seldom
				int from = min(max(int(rows[n].begin - tile), 0), int(TILE)), to = min(max(int(rows[n].end - tile), from), int(TILE));
				if (bitfieldExtract(odd_keys, from, to - from) != 0) {
					odd[n] = nan();
				}
			}
			float s[32];
			[[unroll]] for (uint i = 0; i < RUNS; i++) {
				[[unroll]] for (uint half_ = 0; half_ < 2; half_++) {
					vec4 x = uintBitsToFloat(work[rows_in[n] + (i * CLUSTER + of) * 2 + half_]) * by[n], raw = x;
					if (EXTRAS && p.soft_cap > 0) {
						[[unroll]] for (uint e = 0; e < 4; e++) {
							x[e] = p.soft_cap * LOG2E * tanh_(x[e] / p.soft_cap);
						}
					}
					if (!every) {
						uint j = tile + (i * CLUSTER + of) * 8 + half_ * 4;
						[[unroll]] for (uint e = 0; e < 4; e++) {
							bool seen = j + e < rows[n].end && (!EXTRAS || j + e >= rows[n].begin);
							raw[e] = mix(0.0, raw[e], seen);
							x[e] = mix(uintBitsToFloat(0xff800000u), x[e], seen);
						}
					}
					odd[n] += (raw.x + raw.y) + (raw.z + raw.w);
					[[unroll]] for (uint e = 0; e < 4; e++) {
						s[i * 8 + half_ * 4 + e] = x[e];
					}
				}
			}
			float before = largest[n];
			[[unroll]] for (uint i = 0; i < RUNS * 8; i++) {
				largest[n] = max(largest[n], s[i]);
			}
			largest[n] = cluster_max(largest[n]);
			float scaled = exp2(before - largest[n]);
			total[n] *= scaled;
			[[unroll]] for (uint i = 0; i < RUNS * 8; i++) {
				s[i] = exp2(s[i] - largest[n]) * UP;
				total[n] += s[i];
			}
			if (CLUSTER > 1) {
				subgroupBarrier(); // all lanes of a row have read its scores
			}
			if (of == 0) {
				factors[first + n * (SUBGROUP_SIZE / CLUSTER) + lane / CLUSTER] = scaled;
			}
			[[unroll]] for (uint i = 0; i < RUNS; i++) {
				put_halves(rows_in[n] + i * CLUSTER + of, vec4(s[i * 8], s[i * 8 + 1], s[i * 8 + 2], s[i * 8 + 3]),
					vec4(s[i * 8 + 4], s[i * 8 + 5], s[i * 8 + 6], s[i * 8 + 7]));
			}
		}
		subgroupBarrier();

		[[unroll]] for (uint i = 0; i < DOWN; i++) {
			SUMS factor;
			coopMatLoad(factor, factors, first + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor); // each column is the same
			[[unroll]] for (uint j = 0; j < COLUMNS; j++) {
				acc[i * COLUMNS + j] = acc[i * COLUMNS + j] * factor;
			}
		}
		[[unroll]] for (uint s = 0; s < TILE / INNER; s++) {
			LEFT weights[DOWN], small[DOWN];
			[[unroll]] for (uint i = 0; i < DOWN; i++) {
				uint from = my_work + i * M * WORK_PITCH + s * (INNER / 8);
				coopMatLoad(weights[i], work, from, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
				coopMatLoad(small[i], work, from + PARTS / 2, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
			}
			[[unroll]] for (uint j = 0; j < COLUMNS; j++) {
				RIGHT value;
				coopMatLoad(value, values, j * N * VALUE_PITCH + s * (INNER / 2), VALUE_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
				[[unroll]] for (uint i = 0; i < DOWN; i++) {
					acc[i * COLUMNS + j] = coopMatMulAdd(weights[i], value, acc[i * COLUMNS + j]);
					acc[i * COLUMNS + j] = coopMatMulAdd(small[i], value, acc[i * COLUMNS + j]);
				}
			}
		}
	}

	// The sum of a row's sums tells whether one of them is not finite.
	subgroupBarrier();
	[[unroll]] for (uint i = 0; i < DOWN; i++) {
		SUMS all = acc[i * COLUMNS];
		[[unroll]] for (uint j = 1; j < COLUMNS; j++) {
			all = all + acc[i * COLUMNS + j];
		}
		coopMatStore(all, work, my_work + i * M * WORK_PITCH, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
	}
	subgroupBarrier();
	// Only now the sink joins the weights: it has no value, and beside a large one halves would lose those of the keys.
	float factor[2]; // results are sums times this; with sinks also times 1 / UP, apart, because the product of both could be denormal
	uint again = 0;  // a bit for each row that must be computed plainly
	[[unroll]] for (uint n = 0; n < PASSES; n++) {
		for (uint i = of; i < N / 4; i += CLUSTER) {
			vec4 x = uintBitsToFloat(work[rows_in[n] + i]);
			odd[n] += (x.x + x.y) + (x.z + x.w);
		}
		[[unroll]] for (uint bit = 0; bit < 2; bit++) {
			if (1u << bit < CLUSTER) {
				odd[n] += subgroupShuffleXor(odd[n], 1u << bit);
				total[n] += subgroupShuffleXor(total[n], 1u << bit);
			}
		}
		factor[n] = total[n] > 0 ? 1 / total[n] : nan();
		if (EXTRAS && p.sinks != ABSENT) {
			float sink = sinks[p.sinks + rows[n].head] * LOG2E, top = max(largest[n], sink), scaled = exp2(largest[n] - top);
			if (is_nan(sink) || sink > 0 && is_infinite(sink)) {
				odd[n] = sink;
			}
			float all = total[n] / UP * scaled + exp2(sink - top);
			factor[n] = all > 0 ? scaled / all : nan();
		}
		if (of == 0 && (is_nan(odd[n]) || is_infinite(odd[n]))) {
			again |= 1u << n * (SUBGROUP_SIZE / CLUSTER) + lane / CLUSTER;
		}
	}
	again = subgroupAdd(again);
	[[unroll]] for (uint c = 0; c < WIDTH; c += TILE) {
		subgroupBarrier();
		[[unroll]] for (uint j = c / N; j < min(c + TILE, WIDTH) / N; j++) {
			[[unroll]] for (uint i = 0; i < DOWN; i++) {
				coopMatStore(acc[i * COLUMNS + j], work, my_work + i * M * WORK_PITCH + (j * N - c) / 4, WORK_PITCH, gl_CooperativeMatrixLayoutRowMajor);
			}
		}
		subgroupBarrier();
		[[unroll]] for (uint n = 0; n < PASSES; n++) {
			[[unroll]] for (uint i = 0; i < RUNS * 2; i++) { // neighbours in a row go to neighbouring lanes
				uint e = i * CLUSTER + of, d = c / 4 + e;
				if (rows[n].t < p.time && d < SIZE / 4 && (again >> n * (SUBGROUP_SIZE / CLUSTER) + lane / CLUSTER & 1) == 0) {
					vec4 sums = uintBitsToFloat(work[rows_in[n] + e]);
					if (EXTRAS && p.sinks != ABSENT) {
						sums *= 1 / UP;
					}
					dst[result_at(rows[n]) + d] = rows[n].end > 0 ? sums * factor[n] : vec4(rows[n].padding ? 0.0 : nan());
				}
			}
		}
	}
	if (again != 0) {
		plainly(first, again);
	}
}
