#version 450
// The gradient of causal attention over whole sequences, in three dispatches
// (PASS), each of which computes the scores again, and a fourth if there are
// sinks with a gradient:
//
//	STATS    log Σ exp(score) and D = Σ p · dp of each query, over its keys
//	QUERIES  dq = Σ ds · k, over the keys
//	KEYS     dk = Σ ds · q and dv = Σ p · dy, over the queries of all heads that share them
//	SINKS    dsinks += −Σ exp(sink − log Σ exp(score)) · D, over all queries
//
// with p = exp(score − log Σ exp(score)), dp = dy · v, ds = p · (dp − D) · scale.
// A sink is one of the scores of each query, with dp = 0.
//
// A workgroup owns OWN neighbouring queries of one head (or keys of one group)
// and walks over the others, the keys (or queries). In STATS each invocation
// keeps what it knows of the softmax of its own share of the keys (Milakov and
// Gimelshein 2018, arXiv:1805.02867). Else, of each chunk of CHUNK others, its
// invocations take in turn
//
//	1. others: one each (or AT_ONCE), its p and ds with all that are owned
//	2. elements: parts share the others; each invocation gathers one
//	   element (or four) of the sums for all that are owned
//
// Each sum belongs to one invocation, and those of the parts are added in order.
//
// Sequences too large to be bound come in pieces of queries and keys, a
// dispatch for each pair: sums go on from what the last one left.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "load.glsl"
#include "math.glsl"

const uint STATS = 0, QUERIES = 1, KEYS = 2, SINKS = 3;
layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint PASS = STATS;
layout(constant_id = 2) const uint OWN = 8;     // divides the workgroup's size, at most 8 and 512 by that
layout(constant_id = 3) const uint CHUNK = 64;  // a multiple of the workgroup's size, at most 512/OWN
layout(constant_id = 4) const uint AT_ONCE = 1; // at most 4
layout(constant_id = 5) const bool EXTRAS = false; // whether there is a window, a soft-cap or sinks

layout(push_constant) uniform Push {
	uint dst, dst_batch, dst_row; // dq, dk or dsinks
	uint dv, dv_batch, dv_row;
	uint q, q_batch, q_row;
	uint k, k_batch, k_row;
	uint v, v_batch, v_row;
	uint dy, dy_batch, dy_row;
	uint stats, stats_batch, stats_head;
	uint first_query, queries; // where q, dy, dq and stats begin in the sequence, and how many they are
	uint first_key, keys;      // in SINKS keys are sequences
	uint shared_by;            // heads of a group
	uint size;                 // of a head
	uint parts;                // times what is owned times SUMS heads: at most 2560
	float scale;
	uint window;    // keys that a query sees at most
	float soft_cap; // 0: none
	uint sinks;     // ABSENT: there are none
} p;
const uint ABSENT = 0xffffffffu;

layout(binding = 0) restrict buffer Dst { float dst[]; };
#ifdef TEXEL
layout(binding = 1) uniform textureBuffer q;
layout(binding = 2) uniform textureBuffer k;
layout(binding = 3) uniform textureBuffer v;
layout(binding = 4) uniform textureBuffer dy;
#else
layout(binding = 1) restrict readonly buffer Q { ELEMENT q[]; };
layout(binding = 2) restrict readonly buffer K { ELEMENT k[]; };
layout(binding = 3) restrict readonly buffer V { ELEMENT v[]; };
layout(binding = 4) restrict readonly buffer DY { ELEMENT dy[]; };
#endif
layout(binding = 5) restrict buffer Stats { float stats[]; };
layout(binding = 6) restrict buffer Dv { float dv[]; };
layout(binding = 7) restrict readonly buffer Sinks { float sinks[]; };

const uint LANES = gl_WorkGroupSize.x;
const uint SUMS = PASS == KEYS ? 2 : 1;

shared float weight[1536];         // ds of [own][other], at 512 p; in STATS largest, total and Σ exp · dp of [own][lane]
shared VEC gathered[2560 / WIDTH]; // [sum][part][own][item]

// Where the vectors of the head at hand begin, in q, k, v and dy.
uint at_q, at_k, at_v, at_dy;
uint own0;  // the first that is owned
uint items; // of a head's vector

uint below(uint a, uint b) { return a > b ? a - b : 0; }

uint owned(uint i) { return min(own0 + i, (PASS == KEYS ? p.keys : p.queries) - 1); }

// Whether dst, or stats, holds what earlier pieces gave: the first piece of keys
// has the first one that the first query sees, the first piece of queries begins
// where the keys do.
bool adds() {
	return PASS == KEYS ? p.first_query > p.first_key : p.first_key > below(p.first_query + 1, p.window);
}

// Whether number i of what is owned, and another, are a query and a key that it looks at.
bool seen(uint i, uint other) {
	uint query = p.first_query + (PASS == KEYS ? other : own0 + i), key = p.first_key + (PASS == KEYS ? own0 + i : other);
	return key <= query && (!EXTRAS || query - key < p.window);
}

// dots gives the products of AT_ONCE vectors with all that are owned: q · k, or dy · v.
void dots(bool up, uint other[4], out float sums[32]) {
	[[unroll]] for (uint i = 0; i < AT_ONCE * OWN; i++) {
		sums[i] = 0;
	}
	uint query = up ? at_dy : at_q, key = up ? at_v : at_k;
	uint query_row = up ? p.dy_row : p.q_row, key_row = up ? p.v_row : p.k_row;
	uint own_row = PASS == KEYS ? key_row : query_row, other_row = PASS == KEYS ? query_row : key_row;
	uint at_own = PASS == KEYS ? key : query, at_other = PASS == KEYS ? query : key;
	for (uint d = 0; d < p.size; d += WIDTH) {
		VEC mine[8];
		[[unroll]] for (uint i = 0; i < OWN; i++) {
			uint at = at_own + owned(i) * own_row + d;
			mine[i] = PASS == KEYS ? (up ? READ(v, at) : READ(k, at)) : (up ? READ(dy, at) : READ(q, at));
		}
		[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
			uint at = at_other + other[n] * other_row + d;
			VEC x = PASS == KEYS ? (up ? READ(dy, at) : READ(q, at)) : (up ? READ(v, at) : READ(k, at));
			[[unroll]] for (uint i = 0; i < OWN; i++) {
				sums[n * OWN + i] += sum(mine[i] * x);
			}
		}
	}
}

// merge joins what is known of two parts of a softmax.
void merge(inout vec3 a, vec3 b) { // largest score, Σ exp(score − largest), Σ exp(score − largest) · dp
	float largest = max(a.x, b.x);
	a = vec3(largest, a.yz * exp_(a.x - largest) + b.yz * exp_(b.x - largest));
}

vec3 known(uint i) { return vec3(weight[i], weight[512 + i], weight[1024 + i]); }

void keep(uint i, vec3 state) {
	weight[i] = state.x;
	weight[512 + i] = state.y;
	weight[1024 + i] = state.z;
}

const vec3 nothing = vec3(-3e38, 0, 0);

// look goes through the others chunk … end-1: it tells state of them, or (not
// STATS) computes their weights.
void look(uint lane, uint chunk, uint end, uint at_stats, inout vec3 state[8]) {
	float norm[8], mean[8]; // of the queries that are owned
	[[unroll]] for (uint i = 0; i < OWN; i++) {
		if (PASS == QUERIES) {
			norm[i] = stats[at_stats + owned(i) * 2];
			mean[i] = stats[at_stats + owned(i) * 2 + 1];
		}
	}
	for (uint j = chunk + lane; j < end; j += AT_ONCE * LANES) {
		uint other[4]; // those past the end are computed like the last one
		[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
			other[n] = min(j + n * LANES, end - 1);
		}
		float score[32], dp[32];
		dots(false, other, score);
		dots(true, other, dp);
		[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
			if (j + n * LANES >= end) {
				break;
			}
			if (PASS == KEYS) {
				norm[0] = stats[at_stats + other[n] * 2];
				mean[0] = stats[at_stats + other[n] * 2 + 1];
			}
			[[unroll]] for (uint i = 0; i < OWN; i++) {
				bool counts = seen(i, other[n]);
				float x = score[n * OWN + i] * p.scale, up = dp[n * OWN + i], slope = p.scale;
				if (EXTRAS && p.soft_cap > 0) {
					float t = tanh_(x / p.soft_cap);
					x = p.soft_cap * t;
					slope *= 1 - t * t;
				}
				if (PASS != STATS) {
					uint of = PASS == KEYS ? 0 : i, at = i * CHUNK + other[n] - chunk;
					float prob = counts ? exp_(x - norm[of]) : 0;
					weight[at] = prob * (up - mean[of]) * slope;
					if (PASS == KEYS) {
						weight[512 + at] = prob;
					}
				} else if (counts) {
					float less = exp_(-abs(x - state[i].x)); // one of the two is scaled by it
					state[i] = x > state[i].x ? vec3(x, state[i].yz * less + vec2(1, up)) : state[i] + vec3(0, less, less * up);
				}
			}
		}
	}
}

// finish_stats joins what the invocations know and writes it.
void finish_stats(uint lane, uint at_stats, vec3 state[8]) {
	[[unroll]] for (uint i = 0; i < OWN; i++) {
		keep(i * LANES + lane, state[i]);
	}
	barrier();
	// LANES/OWN invocations to each query, and of these the first.
	uint mine = lane / (LANES / OWN), first = lane % (LANES / OWN);
	vec3 all = nothing;
	for (uint i = first; i < LANES; i += LANES / OWN) {
		merge(all, known(mine * LANES + i));
	}
	barrier();
	keep(lane, all);
	barrier();
	if (first > 0 || own0 + mine >= p.queries) {
		return;
	}
	for (uint i = 1; i < LANES / OWN; i++) {
		merge(all, known(lane + i));
	}
	if (EXTRAS && p.sinks != ABSENT && !adds()) {
		merge(all, vec3(sinks[p.sinks + gl_WorkGroupID.y], 1, 0));
	}
	uint at = at_stats + (own0 + mine) * 2;
	if (adds() && stats[at] != nothing.x) {
		merge(all, vec3(stats[at], 1, stats[at + 1]));
	}
	if (all.y == 0 && p.first_key + p.keys <= p.first_query + own0 + mine) { // all −∞ so far, and keys are to come
		stats[at] = nothing.x;
		return;
	}
	float l = log(all.y);
	l += all.y * exp_(-l) - 1; // a step of Newton's method, to the digits of exp_
	stats[at] = all.y > 0 ? all.x + l : nan(); // NaN too where no score is above −∞
	stats[at + 1] = all.z / all.y;
}

// The sums of an element over the others from, from + parts … before count of a
// chunk. Those from all_from to all_to go with all that is owned. Of the rest
// only what is seen is added: the others' vectors may be NaN.
#define ONE(BUFFER) { \
		VEC a = READ(BUFFER, at + (chunk + j) * row); \
		[[unroll]] for (uint i = 0; i < OWN; i++) { \
			if (seen(i, chunk + j)) { \
				acc[i] += weight[weights + i * CHUNK + j] * a; \
			} \
		} \
	}
#define GATHER(NAME, BUFFER) \
void NAME(inout VEC acc[8], uint chunk, uint from, uint count, uint all_from, uint all_to, uint at, uint row, uint weights) { \
	uint j = from; \
	for (; j < all_from; j += p.parts) ONE(BUFFER) \
	for (; j + 3 * p.parts < all_to; j += 4 * p.parts) { \
		VEC a = READ(BUFFER, at + (chunk + j) * row), b = READ(BUFFER, at + (chunk + j + p.parts) * row); \
		VEC c = READ(BUFFER, at + (chunk + j + 2 * p.parts) * row), d = READ(BUFFER, at + (chunk + j + 3 * p.parts) * row); \
		[[unroll]] for (uint i = 0; i < OWN; i++) { \
			uint w = weights + i * CHUNK + j; \
			acc[i] += (weight[w] * a + weight[w + p.parts] * b) + (weight[w + 2 * p.parts] * c + weight[w + 3 * p.parts] * d); \
		} \
	} \
	for (; j < count; j += p.parts) ONE(BUFFER) \
}
GATHER(gather_k, k)
GATHER(gather_q, q)
GATHER(gather_dy, dy)

// gather adds the others chunk … chunk+count-1 to the sums.
void gather(uint lane, uint chunk, uint count, uint all_from, uint all_to) {
	for (uint item = lane; item < SUMS * p.parts * items; item += LANES) {
		uint part = item / items, of = part % p.parts, d = item % items, first = part * OWN * items + d;
		VEC acc[8];
		[[unroll]] for (uint i = 0; i < OWN; i++) {
			acc[i] = gathered[first + i * items];
		}
		if (PASS == QUERIES) {
			gather_k(acc, chunk, of, count, EXTRAS ? all_from : 0, all_to, at_k + d * WIDTH, p.k_row, 0);
		} else if (part < p.parts) {
			gather_q(acc, chunk, of, count, all_from, EXTRAS ? all_to : count, at_q + d * WIDTH, p.q_row, 0);
		} else {
			gather_dy(acc, chunk, of, count, all_from, EXTRAS ? all_to : count, at_dy + d * WIDTH, p.dy_row, 512);
		}
		[[unroll]] for (uint i = 0; i < OWN; i++) {
			gathered[first + i * items] = acc[i];
		}
	}
}

// Sums go to their place, and to what is there already if earlier pieces gave something.
#if defined(FOURS)
#define WRITE(NAME, BUFFER) \
void NAME(uint to, vec4 value) { \
	if (adds()) { \
		value += vec4(BUFFER[to], BUFFER[to + 1], BUFFER[to + 2], BUFFER[to + 3]); \
	} \
	BUFFER[to] = value.x; \
	BUFFER[to + 1] = value.y; \
	BUFFER[to + 2] = value.z; \
	BUFFER[to + 3] = value.w; \
}
#else
#define WRITE(NAME, BUFFER) \
void NAME(uint to, float value) { BUFFER[to] = adds() ? value + BUFFER[to] : value; }
#endif
WRITE(write_dst, dst)
WRITE(write_dv, dv)

// finish_sinks adds the gradient of a head's sink up.
void finish_sinks(uint lane) {
	uint head = gl_WorkGroupID.y;
	float sink = sinks[p.sinks + head], sum = 0;
	for (uint i = lane; i < p.keys * p.queries; i += LANES) {
		uint at = p.stats + i / p.queries * p.stats_batch + head * p.stats_head + i % p.queries * 2;
		sum -= exp_(sink - stats[at]) * stats[at + 1];
	}
	weight[lane] = sum;
	barrier();
	if (lane == 0) {
		for (uint i = 1; i < LANES; i++) {
			sum += weight[i];
		}
		dst[p.dst + head] += sum;
	}
}

void main() {
	uint lane = gl_LocalInvocationID.x, b = gl_WorkGroupID.z;
	if (PASS == SINKS) {
		finish_sinks(lane);
		return;
	}
	uint group = PASS == KEYS ? gl_WorkGroupID.y : gl_WorkGroupID.y / p.shared_by;
	uint first_head = PASS == KEYS ? group * p.shared_by : gl_WorkGroupID.y, heads = PASS == KEYS ? p.shared_by : 1;
	own0 = gl_WorkGroupID.x * OWN;
	items = p.size / WIDTH;
	vec3 state[8];
	[[unroll]] for (uint i = 0; i < OWN; i++) {
		state[i] = nothing;
	}
	at_k = p.k + b * p.k_batch + group * p.size;
	at_v = p.v + b * p.v_batch + group * p.size;
	if (PASS != STATS) {
		for (uint i = lane; i < SUMS * p.parts * OWN * items; i += LANES) {
			gathered[i] = VEC(0);
		}
	}
	// The others that some of what is owned goes with, and those that all of it does.
	uint begin = 0, end = PASS == KEYS ? p.queries : p.keys, all_from = 0, all_to = end;
	uint last = min(own0 + OWN, PASS == KEYS ? p.keys : p.queries) - 1;
	if (PASS == KEYS) {
		begin = uint(max(int(p.first_key + own0 - p.first_query), 0));
		all_from = uint(max(int(p.first_key + last - p.first_query), 0));
		if (EXTRAS) {
			end = min(end, below(p.first_key + last + p.window, p.first_query));
			all_to = below(p.first_key + own0 + p.window, p.first_query);
		}
	} else {
		all_to = min(end, p.first_query + own0 + 1 - p.first_key);
		end = min(end, p.first_query + last + 1 - p.first_key);
		if (EXTRAS) {
			begin = below(below(p.first_query + own0 + 1, p.window), p.first_key);
			all_from = below(below(p.first_query + last + 1, p.window), p.first_key);
		}
	}

	for (uint head = first_head; head < first_head + heads; head++) {
		at_q = p.q + b * p.q_batch + head * p.size;
		at_dy = p.dy + b * p.dy_batch + head * p.size;
		uint at_stats = p.stats + b * p.stats_batch + head * p.stats_head;
		uint step = PASS == STATS ? end : CHUNK; // others at a time
		for (uint chunk = begin; chunk < end; chunk += step) {
			uint count = min(end - chunk, step);
			look(lane, chunk, chunk + count, at_stats, state);
			if (PASS != STATS) {
				barrier();
				gather(lane, chunk, count, min(max(all_from, chunk) - chunk, count), min(max(all_to, chunk) - chunk, count));
				barrier();
			}
		}
		if (PASS == STATS) {
			finish_stats(lane, at_stats, state);
			return;
		}
	}
	barrier();

	for (uint item = lane; item < SUMS * OWN * items; item += LANES) {
		uint which = item / (OWN * items), i = item / items % OWN, d = item % items;
		if (own0 + i > last) {
			continue;
		}
		VEC value = VEC(0);
		for (uint of = 0; of < p.parts; of++) {
			value += gathered[((which * p.parts + of) * OWN + i) * items + d];
		}
		uint at = gl_WorkGroupID.y * p.size + d * WIDTH;
		if (PASS == KEYS && which == 1) {
			write_dv(p.dv + b * p.dv_batch + (own0 + i) * p.dv_row + at, value);
		} else {
			write_dst(p.dst + b * p.dst_batch + (own0 + i) * p.dst_row + at, value);
		}
	}
}
