#version 450
// Causal attention over a cache of keys and values.
//
// A workgroup serves QUERIES neighbouring queries of one head, so that they
// share what is read of k and v. It walks over the cache in chunks of CHUNK
// keys and keeps what is known so far of each query's softmax (Milakov and
// Gimelshein 2018, arXiv:1805.02867). In a chunk its invocations take, in turn,
//
//	1. keys: one key each, its scores with all queries
//	2. queries: LANES/QUERIES invocations turn a query's scores into weights
//	3. elements: PARTS groups share the keys; each invocation gathers one
//	   element (or four) of the values for all queries
//
// with three to five barriers a chunk. Keys that no query of a workgroup sees,
// past the last one's position or before the first one's window, are not read.
//
// A cache too large to be bound is split: a dispatch for each piece (SPLIT)
// leaves what it knows in dst and state for the next. One of more sequences than can
// be bound is split, too: a dispatch serves the tokens of its sequences, and the
// first one writes NaN, or for padding 0, for all others.
//
// TABLE: keys and values are in blocks of positions, and table has the number of each
// block of a sequence. What is in a block that is none counts as NaN. Such a cache is
// never split.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "load.glsl"
#include "math.glsl"
#include "places.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint QUERIES = 1; // divides the workgroup's size, at most 8
layout(constant_id = 2) const uint CHUNK = 64;  // a multiple of the workgroup's size, at most 512/QUERIES
layout(constant_id = 3) const uint SIZE = 64;   // of a head
layout(constant_id = 4) const bool PROBS = false;
layout(constant_id = 5) const bool SPLIT = false;
layout(constant_id = 6) const uint AT_ONCE = 1;   // keys of an invocation in step 1, at most 4
layout(constant_id = 7) const bool EXTRAS = false; // whether there is a window, a soft-cap or sinks

#include "attention_push.glsl"
const uint ABSENT = 0xffffffffu;

layout(binding = 0) restrict buffer Dst { float dst[]; };
#ifdef TEXEL
layout(binding = 1) uniform textureBuffer q;
layout(binding = 2) uniform textureBuffer k;
layout(binding = 3) uniform textureBuffer v;
#else
layout(binding = 1) restrict readonly buffer Q { X_ELEMENT q[]; };
layout(binding = 2) restrict readonly buffer K { ELEMENT k[]; };
layout(binding = 3) restrict readonly buffer V { ELEMENT v[]; };
#endif
layout(binding = 4) restrict readonly buffer At { uint at[]; };
layout(binding = 5) restrict buffer Probs { float probs[]; };
#ifdef TABLE
layout(binding = 6) restrict readonly buffer Table { uint table[]; };
#else
layout(binding = 6) restrict buffer State { float state[]; }; // maximum and total of each head and query
#endif
layout(binding = 7) restrict readonly buffer Sinks { float sinks[]; };

const uint LANES = gl_WorkGroupSize.x;
const uint LANES_A_QUERY = LANES / QUERIES;
const uint ITEMS = SIZE / WIDTH; // of a head's vector
const uint PARTS = LANES > ITEMS ? LANES / ITEMS : 1;

shared float score[512];            // [query][key], then weights
shared float part[256];             // of a query's maximum or total
shared float factor[8];             // what the weights so far must be scaled by
shared VEC gathered[3072 / WIDTH];  // [part][query][item]

#if defined(FOURS)
void set(uint i, uint element, float x) { gathered[i][element] = x; }
#else
void set(uint i, uint element, float x) { gathered[i] = x; }
#endif

uint position0; // of the first query
uint live;      // a bit for each query: whether it stands in the cache
uint padding;   // a bit for each query: whether it is none

// The last key that query i sees, plus one; 0 where there is none.
uint reach(uint i) { return (live >> i & 1u) != 0 ? position0 + i + 1 : 0; }

// What is computed for query i, if it sees no key.
float missing(uint i) { return (padding >> i & 1u) != 0 ? 0.0 : nan(); }

#ifdef TABLE
uint own_table; // of the sequence
uint first_seq() { return 0; }
uint first_key() { return 0; }
uint end_key() { return p.context; }

// The block of position j; none that is outside of the pool.
uint block_of(uint j) { return table[own_table + (j >> p.first_seq)]; }
bool lost(uint j) { return block_of(j) >= p.state; }

// Where position j is, in blocks that are so far apart, rather than outside of the pool.
uint place_of(uint j, uint apart, uint row) {
	uint block = block_of(j);
	return (block < p.state ? block : 0) * apart + (j & (1u << p.first_seq) - 1) * row;
}
#else
uint first_seq() { return p.first_seq; }
uint first_key() { return p.first_key; }
uint end_key() { return p.first_key + p.keys; }
bool lost(uint j) { return false; }
uint place_of(uint j, uint apart, uint row) { return j * row; }
#endif

// The first key that query i sees, if it sees any.
uint begin_of(uint i) {
	uint end = position0 + i + 1;
	return EXTRAS && end > p.window ? end - p.window : 0;
}

// The first number from at least n on that is part plus a multiple of PARTS.
uint next(uint part, uint n) { return part >= n ? part : part + (n - part + PARTS - 1) / PARTS * PARTS; }

// over_query gives the maximum (or the sum) over the invocations of a query. Before it is called again there is a
// barrier: others may still read part.
float over_query(float x, bool largest) {
	if (LANES_A_QUERY == 1) {
		return x;
	}
	uint lane = gl_LocalInvocationID.x, first = lane / LANES_A_QUERY * LANES_A_QUERY;
	part[lane] = x;
	barrier();
	x = part[first];
	for (uint i = 1; i < LANES_A_QUERY; i++) {
		x = largest ? max(x, part[first + i]) : x + part[first + i];
	}
	return x;
}

void scores(uint lane, uint chunk, uint end, uint at_q, uint at_k) {
	for (uint j = lane; j < CHUNK && chunk + j < end; j += AT_ONCE * LANES) {
		float sums[32];
		[[unroll]] for (uint i = 0; i < AT_ONCE * QUERIES; i++) {
			sums[i] = 0;
		}
		uint from[4]; // keys past the end are computed like the last one
		[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
			from[n] = at_k + place_of(min(chunk + j + n * LANES, end - 1), p.k_seq, p.k_row);
		}
		for (uint d = 0; d < SIZE; d += WIDTH) {
			VEC query[8];
			[[unroll]] for (uint i = 0; i < QUERIES; i++) {
				query[i] = READ_X(q, at_q + min(gl_WorkGroupID.x * QUERIES + i, p.time - 1) * p.q_time + d);
			}
			[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
				VEC key = READ(k, from[n] + d);
				[[unroll]] for (uint i = 0; i < QUERIES; i++) {
					sums[n * QUERIES + i] += sum(query[i] * key);
				}
			}
		}
		[[unroll]] for (uint n = 0; n < AT_ONCE; n++) {
			if (j + n * LANES < CHUNK) {
				[[unroll]] for (uint i = 0; i < QUERIES; i++) {
					float x = sums[n * QUERIES + i] * p.scale;
					if (EXTRAS && p.soft_cap > 0) {
						x = p.soft_cap * tanh_(x / p.soft_cap);
					}
					score[i * CHUNK + j + n * LANES] = lost(min(chunk + j + n * LANES, end - 1)) ? nan() : x;
				}
			}
		}
	}
}

VEC value(uint at_v, uint j) { return READ(v, at_v + place_of(j, p.v_seq, p.v_row)); }

// gather adds the values of keys from, from+PARTS … before to, which every query sees.
void gather(inout VEC acc[8], uint chunk, uint from, uint to, uint at_v) {
	uint j = from;
#ifdef TABLE
	for (uint last = to; j < last;) { // keys of one block, of which the place is looked up once
		uint first = chunk + j, rows = 1u << p.first_seq;
		to = min(last, j + rows - (first & rows - 1));
		uint at = at_v + place_of(first, p.v_seq, p.v_row) - first * p.v_row; // of key 0, modulo 2³²
#define VALUE(j) READ(v, at + (j) * p.v_row)
#else
	{
#define VALUE(j) value(at_v, j)
#endif
		for (; j + 3 * PARTS < to; j += 4 * PARTS) {
			VEC a = VALUE(chunk + j), b = VALUE(chunk + j + PARTS);
			VEC c = VALUE(chunk + j + 2 * PARTS), d = VALUE(chunk + j + 3 * PARTS);
			[[unroll]] for (uint i = 0; i < QUERIES; i++) {
				uint at = i * CHUNK + j;
				acc[i] += (score[at] * a + score[at + PARTS] * b) + (score[at + 2 * PARTS] * c + score[at + 3 * PARTS] * d);
			}
		}
		for (; j < to; j += PARTS) {
			VEC a = VALUE(chunk + j);
			[[unroll]] for (uint i = 0; i < QUERIES; i++) {
				acc[i] += score[i * CHUNK + j] * a;
			}
		}
	}
}

// gather_seen does so where not every query sees every key: the others' values may be NaN.
void gather_seen(inout VEC acc[8], uint chunk, uint from, uint to, uint at_v) {
	for (uint j = from; j < to; j += PARTS) {
		VEC a = value(at_v, chunk + j);
		[[unroll]] for (uint i = 0; i < QUERIES; i++) {
			if (chunk + j < reach(i) && (!EXTRAS || chunk + j >= begin_of(i))) {
				acc[i] += score[i * CHUNK + j] * a;
			}
		}
	}
}

void main() {
	uint lane = gl_LocalInvocationID.x, t0 = gl_WorkGroupID.x * QUERIES, run = gl_WorkGroupID.z;
	uint head = gl_WorkGroupID.y, group = (p.first_head + head) / p.shared_by;
	uint at_q = p.q + run * p.q_run + head * SIZE;
	uint at_probs = p.probs + run * p.probs_run + head * p.probs_head + t0 * p.probs_time;
	// Modulo 2³²: negative numbers are outside.
	uint tokens = p.seq + run * p.time, sequence = at[tokens - p.first_time], own = sequence - first_seq();
	bool mine = own < p.sequences;
	if (!mine && first_seq() > 0) {
		return; // another dispatch serves it
	}
	position0 = at[p.pos + run * p.time] + p.first_time + t0;
	live = padding = 0;
	[[unroll]] for (uint i = 0; i < QUERIES; i++) {
		if (t0 + i < p.time) {
			if (sequence == PADDING || at[tokens + t0 + i] == PADDING) {
				padding |= 1u << i;
			} else if (mine && position0 + i < p.context) {
				live |= 1u << i;
			}
		}
	}
#ifdef TABLE
	uint at_k = p.k + group * SIZE, at_v = p.v + group * SIZE;
	own_table = p.first_key + own * p.keys;
#else
	// Of key 0, which may lie before the piece: modulo 2³² that is all right.
	uint at_k = p.k + own * p.k_seq + group * SIZE - p.first_key * p.k_row;
	uint at_v = p.v + own * p.v_seq + group * SIZE - p.first_key * p.v_row;
#endif

	// Keys that some query sees, and that all of them see.
	uint begin = 0xffffffffu, end = 0, every_begin = 0, every_end = 0xffffffffu;
	[[unroll]] for (uint i = 0; i < QUERIES; i++) {
		end = max(end, reach(i));
		every_end = min(every_end, reach(i));
		if (EXTRAS && reach(i) > 0) {
			begin = min(begin, begin_of(i));
			every_begin = max(every_begin, begin_of(i));
		}
	}
	end = min(end, end_key());
	if (!EXTRAS || begin < first_key()) {
		begin = first_key();
	} else if (PROBS) { // so that the scores in probs are of the same invocations in each chunk
		begin -= (begin - first_key()) % LANES_A_QUERY;
	}
	for (uint i = lane; i < PARTS * QUERIES * ITEMS; i += LANES) {
		gathered[i] = VEC(0);
	}
	uint query = lane / LANES_A_QUERY, first = lane % LANES_A_QUERY; // in step 2
	// Of this invocation's query; total: of its keys. The maximum begins at the least finite number: a difference of
	// two −∞ would be NaN, and stay in the total when larger scores come.
	float largest = uintBitsToFloat(0xff7fffffu), total = 0;
	if (EXTRAS && p.sinks != ABSENT && first_key() == 0) {
		float sink = sinks[p.sinks + head];
		largest = max(largest, sink);
		total = first == 0 ? exp_(sink - largest) : 0;
	}
#ifndef TABLE
	uint at_state = p.state + 2 * ((run * gl_NumWorkGroups.y + head) * p.time + t0 + query);
	if (SPLIT && p.first_key > 0) {
		barrier();
	}
	if (SPLIT && p.first_key > 0 && t0 + query < p.time) { // go on from what the last piece left
		largest = state[at_state];
		total = first == 0 ? state[at_state + 1] : 0;
		for (uint d = first; d < ITEMS; d += LANES_A_QUERY) {
			uint from = p.dst + run * p.dst_run + (t0 + query) * p.dst_time + head * SIZE + d * WIDTH;
			for (uint i = 0; i < WIDTH; i++) {
				set(query * ITEMS + d, i, dst[from + i]);
			}
		}
	}
#endif

	for (uint chunk = begin; chunk < end; chunk += CHUNK) {
		scores(lane, chunk, end, at_q, at_k);
		barrier();

		uint seen = min(reach(query), min(chunk + CHUNK, end)), stop = seen > chunk ? seen - chunk : 0;
		uint start = first; // and of these the first that the query sees
		if (EXTRAS && begin_of(query) > chunk + first) {
			start += (begin_of(query) - chunk - first + LANES_A_QUERY - 1) / LANES_A_QUERY * LANES_A_QUERY;
		}
		float before = largest;
		for (uint j = start; j < stop; j += LANES_A_QUERY) {
			largest = max(largest, score[query * CHUNK + j]);
			if (PROBS) {
				probs[at_probs + query * p.probs_time + chunk + j] = score[query * CHUNK + j];
			}
		}
		largest = over_query(largest, true);
		float scaled = stop > 0 ? exp_(before - largest) : 1;
		total *= scaled;
		for (uint j = start; j < stop; j += LANES_A_QUERY) {
			float weight = exp_(score[query * CHUNK + j] - largest);
			score[query * CHUNK + j] = weight;
			total += weight;
		}
		if (first == 0) {
			factor[query] = scaled;
		}
		barrier();

		uint chunk_end = min(end - chunk, CHUNK), known = every_end > chunk ? min(every_end - chunk, chunk_end) : 0;
		uint front = EXTRAS && every_begin > chunk ? min(every_begin - chunk, known) : 0;
		for (uint item = lane; item < PARTS * ITEMS; item += LANES) {
			uint of = item / ITEMS, d = item % ITEMS;
			VEC acc[8];
			[[unroll]] for (uint i = 0; i < QUERIES; i++) {
				acc[i] = gathered[(of * QUERIES + i) * ITEMS + d] * factor[i];
			}
			if (EXTRAS) {
				gather_seen(acc, chunk, of, front, at_v + d * WIDTH);
			}
			gather(acc, chunk, EXTRAS ? next(of, front) : of, known, at_v + d * WIDTH);
			gather_seen(acc, chunk, next(of, known), chunk_end, at_v + d * WIDTH);
			[[unroll]] for (uint i = 0; i < QUERIES; i++) {
				gathered[(of * QUERIES + i) * ITEMS + d] = acc[i];
			}
		}
		barrier();
	}
	total = over_query(total, false);
	if (first == 0) {
		factor[query] = total > 0 ? 1 / total : nan(); // NaN too where no score is above −∞
#ifndef TABLE
		if (SPLIT && end_key() < p.context) {
			factor[query] = 1;
			if (t0 + query < p.time) {
				state[at_state] = largest;
				state[at_state + 1] = total;
			}
		}
#endif
	}
	barrier();

	for (uint i = lane; i < QUERIES * ITEMS; i += LANES) {
		uint of = i / ITEMS, d = i % ITEMS;
		if (t0 + of >= p.time) {
			break;
		}
		VEC x = gathered[i];
		for (uint part = 1; part < PARTS; part++) {
			x += gathered[part * QUERIES * ITEMS + i];
		}
		x = reach(of) > 0 ? x * factor[of] : VEC(missing(of));
		uint to = p.dst + run * p.dst_run + (t0 + of) * p.dst_time + head * SIZE + d * WIDTH;
#if defined(FOURS)
		dst[to] = x.x;
		dst[to + 1] = x.y;
		dst[to + 2] = x.z;
		dst[to + 3] = x.w;
#else
		dst[to] = x;
#endif
	}
	if (PROBS && t0 + query < p.time && (!SPLIT || end_key() == p.context)) {
		uint row = at_probs + query * p.probs_time;
		// The scores there of this piece of the cache are this invocation's own: chunks begin with its first key.
		for (uint j = (first_key() + first) % LANES_A_QUERY; j < p.context; j += LANES_A_QUERY) {
			bool seen = j < reach(query) && (!EXTRAS || j >= begin_of(query));
			float weight = seen ? exp_(probs[row + j] - largest) * factor[query] : 0;
			probs[row + j] = reach(query) > 0 ? weight : missing(query);
		}
	}
}
