#version 450
// Causal attention of runs of queries on a GPU, in tiles with a running softmax (Dao et al. 2022,
// arXiv:2205.14135): no score is written to memory.
//
// A workgroup serves neighbouring queries of one or several heads of a group: rows. Its keys and
// values come in tiles of TILE, as f32 in shared memory, and only those that some row sees.
// CLUSTER neighbouring lanes share ROWS rows. Each has some elements of the queries and of the sums, in
// registers. A lane multiplies them with BLOCK keys, then lanes add up what they have of the
// scores, such that each is left with some of the keys' scores: so each exponential is
// computed once. The weights go back to all lanes of the cluster.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SIZE = 64;      // of a head: a multiple of WIDE
layout(constant_id = 2) const bool EXTRAS = false; // whether there is a window, a soft-cap or sinks
layout(constant_id = 3) const bool TABLE = false;
layout(constant_id = 4) const uint HEADS = 1;      // of a workgroup: a power of two, which divides those of a group
layout(constant_id = 5) const uint CLUSTER = 4;    // a power of two, at most 16 and a subgroup
layout(constant_id = 6) const uint ROWS = 2;       // of a cluster, at most 2
layout(constant_id = 7) const uint TILE = 32;      // a multiple of BLOCK
layout(constant_id = 8) const uint BLOCK = 16;     // a multiple of CLUSTER, at most 16
#include "attention_wide.glsl"

const uint ITEMS = (SIZE / 4 + CLUSTER - 1) / CLUSTER; // vectors of four, of a lane: ITEMS·ROWS at most 8
const uint PITCH = ITEMS * CLUSTER;                    // of a key in shared memory: TILE·PITCH at most 512
const uint SLOTS = gl_WorkGroupSize.x / CLUSTER;
const uint QUERIES = SLOTS * ROWS / HEADS;
const uint OWN = BLOCK / CLUSTER; // scores of a lane

shared vec4 keys[512], values[512];

// Of a tile, in 16 bytes, and of a lane.
const uint WIDES = TILE * (SIZE / WIDE);
const uint FETCHED = (WIDES + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x; // at most 8

// fetch reads what a lane puts into shared memory: keys and values from tile on and before end.
void fetch(uint sequence, uint group, uint tile, uint end, out uvec4 a[8], out uvec4 b[8]) {
	uvec2 rows[8];
	bool lost[8];
	[[unroll]] for (uint n = 0; n < FETCHED; n++) {
		uint i = n * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		rows[n] = rows_of(sequence, min(tile + i / (SIZE / WIDE), end - 1), lost[n]) + group * (SIZE / WIDE) + i % (SIZE / WIDE);
	}
	[[unroll]] for (uint n = 0; n < FETCHED; n++) {
		a[n] = k[rows[n].x];
		b[n] = v[rows[n].y];
	}
	[[unroll]] for (uint n = 0; n < FETCHED; n++) {
		uint i = n * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		bool past = tile + i / (SIZE / WIDE) >= end;
		if (TABLE) {
			a[n] = mix(a[n], uvec4(0x7fff7fffu), bvec4(lost[n])); // NaN of any type
		}
		a[n] = mix(a[n], uvec4(0), bvec4(past));
		b[n] = mix(b[n], uvec4(0), bvec4(past));
	}
}

void main() {
	uint lane = gl_LocalInvocationID.x, of = lane % CLUSTER, run = gl_WorkGroupID.z;
	uint head0 = gl_WorkGroupID.y * HEADS, group = head0 / p.shared_by;
	uint t0 = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * QUERIES; // those that see most keys begin first
	uint tokens = p.seq + run * p.time, sequence = at[tokens];
	uint position0 = at[p.pos + run * p.time] + p.first_time + t0;

	vec4 query[8], acc[8];
	float largest[2], total[2]; // total: of the keys that this lane has the scores of
	uint begin[2], end[2];      // keys that a row sees
	bool padding[2];
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		uint row = r * SLOTS + lane / CLUSTER, t = t0 + row / HEADS, head = head0 + row % HEADS, near = min(t, p.time - 1);
		uint position = position0 + row / HEADS;
		padding[r] = sequence == PADDING || at[tokens + p.first_time + near] == PADDING;
		bool live = t < p.time && !padding[r] && sequence < p.sequences && position < p.context;
		end[r] = live ? position + 1 : 0;
		begin[r] = EXTRAS && end[r] > p.window ? end[r] - p.window : 0;
		[[unroll]] for (uint i = 0; i < ITEMS; i++) {
			uint d = i * CLUSTER + of;
			vec4 x = q[(p.q + run * p.q_run + near * p.q_time + head * SIZE) / 4 + min(d, SIZE / 4 - 1)];
			query[r * ITEMS + i] = d < SIZE / 4 ? x : vec4(0);
			acc[r * ITEMS + i] = vec4(0);
		}
		largest[r] = LEAST;
		total[r] = 0;
		if (EXTRAS && p.sinks != ABSENT) {
			float sink = sinks[p.sinks + head];
			largest[r] = max(largest[r], sink);
			total[r] = of == 0 ? exp_(sink - largest[r]) : 0.0;
		}
	}

	// Keys that some row sees: positions follow one another, so those of the last query that stands in the
	// cache and those of the first one say it. Padding is behind them.
	uint all_begin = 0, all_end = 0;
	if (sequence < p.sequences) {
		uint queries = min(QUERIES, p.time - t0);
		if (int(position0) < 0) { // modulo 2³²: the first ones are outside
			uint outside = min(0 - position0, queries);
			queries -= outside;
			position0 += outside;
		}
		if (queries > 0 && position0 < p.context) {
			all_end = min(position0 + queries, p.context);
			all_begin = EXTRAS && position0 + 1 > p.window ? position0 + 1 - p.window : 0;
			all_begin = all_begin / TILE * TILE; // so that what a row gets does not depend on how many a workgroup serves
		}
	}

	uvec4 a[8], b[8];
	if (all_begin < all_end) {
		fetch(sequence, group, all_begin, all_end, a, b);
	}
	for (uint tile = all_begin; tile < all_end; tile += TILE) {
		if (tile > all_begin) {
			barrier();
		}
		[[unroll]] for (uint n = 0; n < FETCHED; n++) {
			uint i = n * gl_WorkGroupSize.x + lane, to = i / (SIZE / WIDE) * PITCH + i % (SIZE / WIDE) * FOURS;
			if (FETCHED * gl_WorkGroupSize.x == WIDES || i < WIDES) {
				[[unroll]] for (uint f = 0; f < FOURS; f++) {
					keys[to + f] = four(a[n], f);
					values[to + f] = four(b[n], f);
				}
			}
		}
		if (SIZE / 4 < PITCH) {
			const uint PAST = PITCH - SIZE / 4;
			for (uint i = lane; i < TILE * PAST; i += gl_WorkGroupSize.x) {
				keys[i / PAST * PITCH + SIZE / 4 + i % PAST] = vec4(0);
				values[i / PAST * PITCH + SIZE / 4 + i % PAST] = vec4(0);
			}
		}
		barrier();
		if (tile + TILE < all_end) { // while this tile is multiplied the next one is on its way
			fetch(sequence, group, tile + TILE, all_end, a, b);
		}

		for (uint block = 0; block < TILE && tile + block < all_end; block += BLOCK) {
			float s[32];
			[[unroll]] for (uint n = 0; n < BLOCK; n++) {
				vec4 products[2];
				[[unroll]] for (uint i = 0; i < ITEMS; i++) {
					vec4 key = keys[(block + n) * PITCH + i * CLUSTER + of];
					[[unroll]] for (uint r = 0; r < ROWS; r++) {
						vec4 x = query[r * ITEMS + i] * key;
						products[r] = i == 0 ? x : products[r] + x;
					}
				}
				[[unroll]] for (uint r = 0; r < ROWS; r++) {
					s[r * BLOCK + n] = (products[r].x + products[r].y) + (products[r].z + products[r].w);
				}
			}
			// Lanes exchange halves: a lane with the bit of apart keeps the upper one.
			uint first = tile + block + of * OWN; // the key of its first score
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				[[unroll]] for (uint bit = 0; bit < 4; bit++) { // loops of literals, which compilers unroll
					uint apart = CLUSTER >> bit + 1, n = apart * OWN;
					bool upper = (of & apart) != 0;
					[[unroll]] for (uint i = 0; i < 8; i++) {
						if (i < n) {
							float low = s[r * BLOCK + i], high = s[r * BLOCK + n + i];
							s[r * BLOCK + i] = mix(low, high, upper) + subgroupShuffleXor(mix(high, low, upper), apart);
						}
					}
				}
				float before = largest[r];
				[[unroll]] for (uint i = 0; i < OWN; i++) {
					float x = score(s[r * BLOCK + i]);
					s[r * BLOCK + i] = x;
					largest[r] = mix(largest[r], max(largest[r], x), first + i < end[r] && (!EXTRAS || first + i >= begin[r]));
				}
				[[unroll]] for (uint bit = 0; bit < 4; bit++) {
					if (1u << bit < CLUSTER) {
						largest[r] = max(largest[r], subgroupShuffleXor(largest[r], 1u << bit));
					}
				}
				float scaled = exp_(before - largest[r]);
				total[r] *= scaled;
				[[unroll]] for (uint i = 0; i < OWN; i++) {
					bool seen = first + i < end[r] && (!EXTRAS || first + i >= begin[r]);
					float weight = mix(0.0, exp_(s[r * BLOCK + i] - largest[r]), seen);
					s[r * BLOCK + i] = weight;
					total[r] += weight;
				}
				[[unroll]] for (uint bit = 0; bit < 4; bit++) {
					uint apart = 1u << bit, n = apart * OWN;
					bool upper = (of & apart) != 0;
					[[unroll]] for (uint i = 0; i < 8; i++) {
						if (i < n && apart < CLUSTER) {
							float mine = s[r * BLOCK + i], other = subgroupShuffleXor(mine, apart);
							s[r * BLOCK + i] = mix(mine, other, upper);
							s[r * BLOCK + n + i] = mix(other, mine, upper);
						}
					}
				}
				[[unroll]] for (uint i = 0; i < ITEMS; i++) {
					acc[r * ITEMS + i] *= scaled;
				}
			}
			// Where not every row of the workgroup sees every key, values may be NaN that a row does not see.
			bool every = tile + block + BLOCK <= position0 + 1 && (!EXTRAS || tile + block + p.window >= all_end);
			[[unroll]] for (uint n = 0; n < BLOCK; n++) {
				[[unroll]] for (uint i = 0; i < ITEMS; i++) {
					vec4 value = values[(block + n) * PITCH + i * CLUSTER + of];
					[[unroll]] for (uint r = 0; r < ROWS; r++) {
						vec4 x = value;
						if (!every) {
							uint j = tile + block + n;
							x = mix(vec4(0), value, bvec4(j < end[r] && (!EXTRAS || j >= begin[r])));
						}
						acc[r * ITEMS + i] += s[r * BLOCK + n] * x;
					}
				}
			}
		}
	}

	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		[[unroll]] for (uint bit = 0; bit < 4; bit++) {
			if (1u << bit < CLUSTER) {
				total[r] += subgroupShuffleXor(total[r], 1u << bit);
			}
		}
		uint row = r * SLOTS + lane / CLUSTER, t = t0 + row / HEADS, head = head0 + row % HEADS;
		float factor = total[r] > 0 ? 1 / total[r] : nan(); // NaN too where no score is above −∞
		[[unroll]] for (uint i = 0; i < ITEMS; i++) {
			uint d = i * CLUSTER + of;
			if (t < p.time && d < SIZE / 4) {
				vec4 x = end[r] > 0 ? acc[r * ITEMS + i] * factor : vec4(padding[r] ? 0.0 : nan());
				dst[(p.dst + run * p.dst_run + t * p.dst_time + head * SIZE) / 4 + d] = x;
			}
		}
	}
}
