#version 450
// The last dispatch of sample: see backend.Sample. A workgroup draws for a row: it collects
// the candidates, from the blocks that have some, and finds for each of them how many come
// before it and how much these weigh, by going through all of them.
#extension GL_GOOGLE_include_directive : require
#define LANES 128
#include "sample.glsl"

layout(binding = 0) restrict writeonly buffer Dst { uint dst[]; };
layout(binding = 1) restrict writeonly buffer Next { uint next[]; };
layout(binding = 2) restrict readonly buffer X { uint x[]; };
layout(binding = 3) restrict readonly buffer Slots { uint slots[]; };
layout(binding = 4) restrict readonly buffer Settings { uint settings[]; };
layout(binding = 5) restrict buffer Marks { uint marks[]; };
layout(binding = 6) restrict buffer Recent { uint recent[]; };
layout(binding = 7) restrict readonly buffer Scratch { uint scratch[]; };
#include "sample_slot.glsl"

const uint DRAWN = 0, TOO_MANY = 1, NOT_FINITE = 2, ALL_BARRED = 3;

// The candidates. An id has 20 bits, and the upper word of a weight 9: they share a word.
shared uint candidate_key[1024], candidate_id[1024], candidate_low[1024];
shared uint visited, count, last_cells, top_cells, chosen, repeated;

const uint ID = 0xfffffu;

uint id_of(uint i) { return candidate_id[i] & ID; }
uvec2 weight_of(uint i) { return uvec2(candidate_low[i], candidate_id[i] >> 20); }

void put(uint i, uint id, uvec2 w) {
	candidate_id[i] = id | w.y << 20;
	candidate_low[i] = w.x;
}

bool before(uint key_a, uint id_a, uint key_b, uint id_b) { return key_a > key_b || (key_a == key_b && id_a < id_b); }

// workgroup_last is the last of candidates in the order, each with the complement of its
// key, its id, and 1 if there is one. See workgroup_add.
uvec4 workgroup_last(uvec4 v) {
	uint lane = gl_LocalInvocationID.x;
	partial[lane] = v;
	barrier();
	for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
		if (lane < n) {
			uvec4 a = partial[lane], b = partial[lane + n];
			bool second = b.z > a.z || (b.z == a.z && before(~a.x, a.y, ~b.x, b.y));
			partial[lane] = second ? b : a;
		}
		barrier();
	}
	return partial[0];
}

// product64 is the upper half of a · b; rest tells whether the lower one is not 0.
uvec2 product64(uvec2 a, uvec2 b, out bool rest) {
	uint h0, l0, h1, l1, h2, l2, h3, l3, c, d;
	umulExtended(a.x, b.x, h0, l0);
	umulExtended(a.x, b.y, h1, l1);
	umulExtended(a.y, b.x, h2, l2);
	umulExtended(a.y, b.y, h3, l3);
	uint second = uaddCarry(h0, l1, c);
	second = uaddCarry(second, l2, d);
	rest = (l0 | second) != 0;
	return add(add(uvec2(l3, h3), uvec2(h1, 0)), add(uvec2(h2, 0), uvec2(c + d, 0)));
}

// cells_of returns how many cells the candidates are taken from: as few as the filters allow.
// It is 0 if others may be kept too, for all that is known; sure is false if top-p decides
// that.
uint cells_of(uint r, Sampling s, out bool sure) {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x, from = p.scratch + r * p.scratch_stride;
	uint each = CELLS / lanes, sum = 0;
	for (uint c = lane * each; c < (lane + 1) * each; c++) {
		sum += scratch[from + c];
	}
	barrier();
	partial[lane].x = sum;
	if (lane == 0) {
		visited = 0;
		count = 0;
		last_cells = 0;
		top_cells = CELLS;
	}
	barrier();
	uint all = 0, up_to = 0;
	for (uint i = 0; i < lanes; i++) {
		all += partial[i].x;
		up_to += i < lane ? partial[i].x : 0;
	}
	uint k = min(s.top_k, all);
	for (uint c = lane * each; c < (lane + 1) * each; c++) {
		up_to += scratch[from + c];
		if (up_to <= CANDIDATES) {
			atomicMax(last_cells, c + 1);
		}
		if (up_to >= k) {
			atomicMin(top_cells, c + 1);
		}
	}
	barrier();
	uint last = last_cells, wanted = s.top_k > 0 ? top_cells : cell(s.min_p) + 1;
	sure = last == CELLS || wanted <= last || s.top_k > 0;
	if (wanted <= last) {
		return wanted;
	}
	return s.top_k > 0 && last < CELLS || s.top_p == uvec2(0) && !sure ? 0 : last;
}

// draw returns the token that is drawn, and sets how many the filters keep: 0 if that is for
// the host to find out.
uint draw(uint r, uint slot, Sampling s, uint best, uvec2 total, out uint kept) {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	bool sure;
	uint cells = cells_of(r, s, sure);
	kept = 0;
	if (cells == 0) {
		return 0;
	}
	// Blocks whose largest logit is a candidate: no more than there are candidates.
	uint blocks = p.scratch + r * p.scratch_stride + blocks_at();
	for (uint b = lane; b < (p.n + BLOCK - 1) / BLOCK; b += lanes) {
		uint k = scratch[blocks + b];
		if (k != 0 && cell(distance_to(best, k)) < cells) {
			candidate_low[atomicAdd(visited, 1)] = b;
		}
	}
	barrier();
	for (uint j = lane; j < visited * BLOCK; j += lanes) {
		uint i = candidate_low[j / BLOCK] * BLOCK + j % BLOCK;
		uint k = i < p.n ? keys(r, slot, s, i).y : NONE;
		if (k != NONE && cell(distance_to(best, k)) < cells) {
			uint at = atomicAdd(count, 1);
			candidate_key[at] = k;
			candidate_id[at] = i;
		}
	}
	barrier();
	uint n = count;
	for (uint i = lane; i < n; i += lanes) {
		put(i, candidate_id[i], weight(distance_to(best, candidate_key[i])));
	}
	barrier();
	bool by_p = s.top_p != uvec2(0), by_k = s.top_k > 0;
	if (by_p && (by_k || !sure)) { // the weight of the first k, or of all candidates
		uvec2 sum = uvec2(0);
		for (uint i = lane; i < n; i += lanes) {
			uint k = candidate_key[i], id = id_of(i), rank = 0;
			if (by_k) {
				for (uint j = 0; j < n; j++) {
					rank += before(candidate_key[j], id_of(j), k, id) ? 1 : 0;
				}
			}
			if (!by_k || rank < s.top_k) {
				sum = add(sum, weight_of(i));
			}
		}
		sum = workgroup_add(uvec4(sum, 0, 0)).xy;
		if (by_k) {
			total = sum;
		}
		bool rest;
		uvec2 target = product64(s.top_p, total, rest);
		if (!by_k && less(sum, add(target, uvec2(rest ? 1 : 0, 0)))) {
			return 0;
		}
	}
	bool rest;
	uvec2 target = product64(s.top_p, total, rest);
	target = add(target, uvec2(rest ? 1 : 0, 0));
	uvec4 last = uvec4(0, 0xffffffffu, 0, 0); // the last that is kept: the complement of its key, its id
	uint own = 0;
	for (uint i = lane; i < n; i += lanes) {
		uint k = candidate_key[i], id = id_of(i), rank = 0;
		uvec2 sum = uvec2(0);
		for (uint j = 0; j < n; j++) {
			if (before(candidate_key[j], id_of(j), k, id)) {
				rank++;
				sum = add(sum, weight_of(j));
			}
		}
		if ((!by_k || rank < s.top_k) && (!by_p || less(sum, target)) && distance_to(best, k) <= s.min_p) {
			own++;
			if (own == 1 || before(~last.x, last.y, k, id)) {
				last.xy = uvec2(~k, id);
			}
		}
	}
	// The filters keep the first tokens of the order, so the last one tells which.
	barrier();
	uvec2 all = workgroup_add(uvec4(own, 0, 0, 0)).xy;
	barrier();
	uvec4 end = workgroup_last(own > 0 ? uvec4(last.xy, 1, 0) : uvec4(0));
	kept = all.x;
	uvec2 sum = uvec2(0);
	for (uint i = lane; i < n; i += lanes) {
		uint k = candidate_key[i], id = id_of(i);
		uvec2 w = before(~end.x, end.y, k, id) ? uvec2(0) : weight(product(distance_to(best, k), s.scale));
		put(i, id, w);
		sum = add(sum, w);
	}
	barrier();
	sum = workgroup_add(uvec4(sum, 0, 0)).xy;
	uvec4 random = philox(s.seed, uvec4(recent[p.recent + slot * p.recent_stride], 0, 0x73616d70u, 0x6c650000u));
	uvec2 u = product64(random.xy, sum, rest);
	for (uint i = lane; i < n; i += lanes) {
		uint id = id_of(i);
		uvec2 w = weight_of(i), below = uvec2(0);
		if (w == uvec2(0)) {
			continue;
		}
		for (uint j = 0; j < n; j++) {
			if (id_of(j) < id) {
				below = add(below, weight_of(j));
			}
		}
		if (!less(u, below) && less(u, add(below, w))) {
			chosen = id;
		}
	}
	barrier();
	return chosen;
}

// remember adds a token to the window: see backend.Sample.
void remember(uint slot, Sampling s, uint id) {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	uint at = p.recent + slot * p.recent_stride, ring = at + 2, seen = p.marks + slot * p.marks_slot + p.marks_seen;
	uint draws = recent[at], known = recent[at + 1], old = NOBODY, place = 0;
	if (s.window > 0) {
		place = known % uint(s.window);
		if (known >= uint(s.window)) {
			old = recent[ring + place];
		}
	}
	if (lane == 0) {
		repeated = 0;
	}
	barrier();
	if (s.window > 0) {
		for (uint i = lane; i < uint(s.window); i += lanes) {
			if ((i == place ? id : recent[ring + i]) == old) {
				atomicOr(repeated, 1);
			}
		}
	}
	barrier();
	if (lane == 0) {
		recent[at] = draws + 1;
		if (s.window != 0) {
			recent[at + 1] = known + 1;
			if (s.window > 0) {
				recent[ring + place] = id;
			}
			if (old < p.n && repeated == 0) {
				marks[seen + old / 32] &= ~(1u << (old & 31u));
			}
			marks[seen + id / 32] |= 1u << (id & 31u);
		}
	}
}

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint to = p.dst + r * p.dst_stride, slot = slot_of(r);
		if (slot >= p.slot_count) {
			for (uint i = lane; i < 8; i += lanes) {
				dst[to + i] = 0;
			}
			continue;
		}
		Sampling s = sampling(slot);
		uvec4 best = uvec4(0, 0, NOBODY, NOBODY), sums = uvec4(0);
		for (uint i = lane; i < chunks(); i += lanes) {
			uint at = p.scratch + r * p.scratch_stride + PARTS + i * PART;
			best = joined(best, uvec4(scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]));
			uvec4 more = uvec4(scratch[at + 4], scratch[at + 5], scratch[at + 6], scratch[at + 7]);
			sums = uvec4(add(sums.xy, more.xy), add(sums.zw, more.zw));
		}
		barrier();
		best = workgroup_join(best);
		barrier();
		sums = workgroup_add(sums);
		uint status = DRAWN, id = best.z, kept = 1;
		if (best.w != NOBODY) {
			status = NOT_FINITE;
			id = best.w;
		} else if (best.y == 0) {
			status = ALL_BARRED;
		} else if (!s.greedy) {
			id = draw(r, slot, s, best.y, sums.zw, kept);
			status = kept == 0 ? TOO_MANY : DRAWN;
		}
		uint draws = recent[p.recent + slot * p.recent_stride];
		if (status == DRAWN) {
			remember(slot, s, id);
			draws++;
		}
		if (lane == 0) {
			bool none = status == ALL_BARRED, fault = status == NOT_FINITE;
			uint logit = none || status == TOO_MANY ? 0 : x[p.x + r * p.x_stride + id];
			if (fault && (logit & 0x7fffffffu) > INFINITY) {
				logit = 0x7fc00000u;
			}
			dst[to] = none ? 0 : id;
			dst[to + 1] = status;
			dst[to + 2] = none || fault ? 0 : floatBitsToUint(value(best.x));
			dst[to + 3] = logit;
			dst[to + 4] = none || fault ? 0 : sums.x;
			dst[to + 5] = none || fault ? 0 : sums.y;
			dst[to + 6] = status == DRAWN ? kept : 0;
			dst[to + 7] = draws;
			if (status == DRAWN) {
				next[p.next + r] = id;
			}
		}
	}
}
