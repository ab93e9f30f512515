#version 450
// Causal attention of one query a sequence on a GPU: flash-decoding (Dao et al. 2023).
//
// A workgroup serves up to four heads of a group, which share what is read of k and v. CLUSTER
// neighbouring lanes share a key: each of them has 16 bytes of its vector or several times as much, and the
// same elements of the value, of the queries and of the sums. A lane takes KEYS keys at a time,
// asks for all of them and of their values before it waits for any, and keeps a softmax of its own
// (Milakov and Gimelshein 2018, arXiv:1805.02867). These are joined at the end, within
// a subgroup first, then in shared memory.
//
// SPLIT: a workgroup serves one of several parts of the keys, of p.part_keys each, and leaves its sums with their
// maximum and total for attention_join.comp. A part without keys leaves nothing.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SIZE = 64;    // of a head: a multiple of WIDE
layout(constant_id = 2) const bool EXTRAS = false; // whether there is a window, a soft-cap or sinks
layout(constant_id = 3) const bool TABLE = false;
layout(constant_id = 4) const uint HEADS = 1;    // of a workgroup, at most 4
layout(constant_id = 5) const uint CLUSTER = 8;  // a power of two, at most a subgroup
layout(constant_id = 6) const uint KEYS = 4;     // at most 4
layout(constant_id = 7) const uint SUBGROUPS = 1; // of a workgroup, at most 8
layout(constant_id = 8) const bool SPLIT = false;
#include "attention_wide.glsl"

const uint ITEMS = (SIZE / WIDE + CLUSTER - 1) / CLUSTER; // of 16 bytes, of a lane: ITEMS·KEYS at most 8, ITEMS·HEADS·FOURS at most 8
const uint SUBGROUP_SIZE = gl_WorkGroupSize.x / SUBGROUPS;
const uint CLUSTERS = gl_WorkGroupSize.x / CLUSTER;
const bool WHOLE = SIZE / WIDE % CLUSTER == 0;

shared vec4 sums[768];    // [subgroup][head][size/4]
shared vec2 stats[8 * 4]; // [subgroup][head]: maximum and total

// The i-th item of a lane, and the last one for what is past the end.
bool inside(uint i) { return WHOLE || i * CLUSTER + gl_LocalInvocationID.x % CLUSTER < SIZE / WIDE; }
uint item(uint i) {
	uint c = i * CLUSTER + gl_LocalInvocationID.x % CLUSTER;
	return WHOLE ? c : min(c, SIZE / WIDE - 1);
}

void main() {
	uint lane = gl_LocalInvocationID.x, part = gl_WorkGroupID.x, run = gl_WorkGroupID.z;
	uint shares = (p.shared_by + HEADS - 1) / HEADS; // workgroups of a group
	uint group = gl_WorkGroupID.y / shares;
	uint head = group * p.shared_by + gl_WorkGroupID.y % shares * HEADS, last_head = (group + 1) * p.shared_by - 1;

	uint sequence = at[p.seq + run], position = at[p.pos + run];
	bool live = sequence < p.sequences && position < p.context;
	uint end = live ? position + 1 : 0, begin = EXTRAS && end > p.window ? end - p.window : 0;
	if (SPLIT) {
		begin += part * p.part_keys;
		if (begin >= end) {
			return;
		}
		end = min(end, begin + p.part_keys);
	}

	vec4 query[8], acc[8];
	float largest[4], total[4];
	[[unroll]] for (uint h = 0; h < HEADS; h++) {
		uint of = min(head + h, last_head);
		[[unroll]] for (uint i = 0; i < ITEMS; i++) {
			[[unroll]] for (uint f = 0; f < FOURS; f++) {
				vec4 x = q[(p.q + run * p.q_run + of * SIZE) / 4 + item(i) * FOURS + f];
				query[(h * ITEMS + i) * FOURS + f] = inside(i) ? x : vec4(0);
				acc[(h * ITEMS + i) * FOURS + f] = vec4(0);
			}
		}
		largest[h] = LEAST;
		total[h] = 0;
		if (EXTRAS && p.sinks != ABSENT && part == 0 && lane < CLUSTER) {
			float sink = sinks[p.sinks + of];
			largest[h] = max(largest[h], sink);
			total[h] = exp_(sink - largest[h]);
		}
	}

	uint cluster = lane / CLUSTER, at_group = group * (SIZE / WIDE);
	for (uint first = begin; first < end; first += CLUSTERS * KEYS) {
		uvec2 rows[4];
		bool lost[4], seen[4];
		uvec4 keys[8], values[8];
		[[unroll]] for (uint n = 0; n < KEYS; n++) { // keys past the end are read like the last one
			uint j = first + n * CLUSTERS + cluster;
			seen[n] = j < end;
			rows[n] = rows_of(sequence, min(j, end - 1), lost[n]) + at_group;
		}
		[[unroll]] for (uint n = 0; n < KEYS; n++) {
			[[unroll]] for (uint i = 0; i < ITEMS; i++) {
				keys[n * ITEMS + i] = k[rows[n].x + item(i)];
			}
		}
		[[unroll]] for (uint n = 0; n < KEYS; n++) {
			[[unroll]] for (uint i = 0; i < ITEMS; i++) {
				values[n * ITEMS + i] = v[rows[n].y + item(i)];
			}
		}
		// There is no branch from here to the last use of values, behind which compilers would put reading them.
		float scores[16];
		[[unroll]] for (uint n = 0; n < KEYS; n++) {
			vec4 products[4];
			[[unroll]] for (uint h = 0; h < HEADS; h++) {
				products[h] = vec4(0);
			}
			[[unroll]] for (uint i = 0; i < ITEMS; i++) {
				uvec4 raw = WHOLE ? keys[n * ITEMS + i] : mix(uvec4(0), keys[n * ITEMS + i], bvec4(inside(i)));
				[[unroll]] for (uint f = 0; f < FOURS; f++) {
					vec4 key = four(raw, f);
					[[unroll]] for (uint h = 0; h < HEADS; h++) {
						products[h] += query[(h * ITEMS + i) * FOURS + f] * key;
					}
				}
			}
			[[unroll]] for (uint h = 0; h < HEADS; h++) {
				scores[n * HEADS + h] = (products[h].x + products[h].y) + (products[h].z + products[h].w);
			}
		}
		[[unroll]] for (uint bit = 0; bit < 7; bit++) { // loops of literals, which compilers unroll
			[[unroll]] for (uint s = 0; s < KEYS * HEADS; s++) {
				if (1u << bit < CLUSTER) {
					scores[s] += subgroupShuffleXor(scores[s], 1u << bit);
				}
			}
		}
		[[unroll]] for (uint h = 0; h < HEADS; h++) {
			float before = largest[h];
			[[unroll]] for (uint n = 0; n < KEYS; n++) {
				float x = mix(score(scores[n * HEADS + h]), nan(), lost[n]);
				scores[n * HEADS + h] = x;
				largest[h] = mix(largest[h], max(largest[h], x), seen[n]);
			}
			float scaled = exp_(before - largest[h]);
			total[h] *= scaled;
			[[unroll]] for (uint n = 0; n < KEYS; n++) {
				float weight = mix(0.0, exp_(scores[n * HEADS + h] - largest[h]), seen[n]);
				scores[n * HEADS + h] = weight;
				total[h] += weight;
			}
			[[unroll]] for (uint i = 0; i < ITEMS * FOURS; i++) {
				acc[h * ITEMS * FOURS + i] *= scaled;
			}
		}
		[[unroll]] for (uint n = 0; n < KEYS; n++) {
			[[unroll]] for (uint i = 0; i < ITEMS; i++) {
				uvec4 raw = mix(uvec4(0), values[n * ITEMS + i], bvec4(seen[n])); // 0 · ∞ would be NaN
				[[unroll]] for (uint f = 0; f < FOURS; f++) {
					vec4 value = four(raw, f);
					[[unroll]] for (uint h = 0; h < HEADS; h++) {
						acc[(h * ITEMS + i) * FOURS + f] += scores[n * HEADS + h] * value;
					}
				}
			}
		}
	}

	uint subgroup = lane / SUBGROUP_SIZE;
	[[unroll]] for (uint h = 0; h < HEADS; h++) {
		float most = subgroupMax(largest[h]), scaled = exp_(largest[h] - most);
		total[h] *= scaled;
		[[unroll]] for (uint i = 0; i < ITEMS * FOURS; i++) {
			acc[h * ITEMS * FOURS + i] *= scaled;
		}
		[[unroll]] for (uint bit = 0; bit < 7; bit++) {
			const uint apart = 1u << bit;
			if (apart >= CLUSTER && apart < SUBGROUP_SIZE) {
				total[h] += subgroupShuffleXor(total[h], apart);
				[[unroll]] for (uint i = 0; i < ITEMS * FOURS; i++) {
					vec4 x = acc[h * ITEMS * FOURS + i];
					acc[h * ITEMS * FOURS + i] = x + vec4(subgroupShuffleXor(x.x, apart), subgroupShuffleXor(x.y, apart),
						subgroupShuffleXor(x.z, apart), subgroupShuffleXor(x.w, apart));
				}
			}
		}
		if (lane % SUBGROUP_SIZE / CLUSTER == h % (SUBGROUP_SIZE / CLUSTER)) {
			[[unroll]] for (uint i = 0; i < ITEMS; i++) {
				[[unroll]] for (uint f = 0; f < FOURS; f++) {
					if (inside(i)) {
						sums[(subgroup * HEADS + h) * (SIZE / 4) + item(i) * FOURS + f] = acc[(h * ITEMS + i) * FOURS + f];
					}
				}
			}
			if (lane % CLUSTER == 0) {
				stats[subgroup * HEADS + h] = vec2(most, total[h]);
			}
		}
	}
	barrier();

	for (uint i = lane; i < HEADS * (SIZE / 4); i += gl_WorkGroupSize.x) {
		uint h = i / (SIZE / 4), d = i % (SIZE / 4);
		float most = LEAST, all = 0;
		[[unroll]] for (uint s = 0; s < SUBGROUPS; s++) {
			most = max(most, stats[s * HEADS + h].x);
		}
		vec4 x = vec4(0);
		[[unroll]] for (uint s = 0; s < SUBGROUPS; s++) {
			float scaled = exp_(stats[s * HEADS + h].x - most);
			all += scaled * stats[s * HEADS + h].y;
			x += scaled * sums[s * HEADS * (SIZE / 4) + i];
		}
		if (head + h > last_head) {
			break;
		}
		if (SPLIT) {
			uint heads = gl_NumWorkGroups.y / shares * p.shared_by;
			uint to = (p.dst + ((run * heads + head + h) * gl_NumWorkGroups.x + part) * (SIZE + 4)) / 4;
			dst[to + 1 + d] = x;
			if (d == 0) {
				dst[to] = vec4(most, all, 0, 0);
			}
		} else {
			float missing = sequence == PADDING ? 0.0 : nan();
			dst[(p.dst + run * p.dst_run + (head + h) * SIZE) / 4 + d] = live ? x * (all > 0 ? 1 / all : nan()) : vec4(missing);
		}
	}
}
