#version 450
// Causal attention of runs of queries on a driver that computes on the CPU.
//
// A workgroup is one subgroup and serves QUERIES neighbouring queries a lane, of one head. So what is
// known of a query's softmax (see attention.comp) is of one lane, and so are its weights and its sums. The lanes
// read keys and values together, four elements each, and give them to one another, as inputs in
// linear_spread.comp. No score is written to memory.
//
// Keys that all queries see come KEYS at a time; the others one by one, and what a query does
// not see has no part in its sums, for it may be NaN.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "math.glsl"
#include "places.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;  // at most 16
layout(constant_id = 1) const uint SIZE = 64;      // of a head: a multiple of four times the lanes, at most 128
layout(constant_id = 2) const uint QUERIES = 2;    // at most 128/SIZE and 2
layout(constant_id = 3) const bool PERMUTE = false; // see linear_spread.comp

#include "attention_push.glsl"

layout(binding = 0) restrict writeonly buffer Dst { vec4 dst[]; };
layout(binding = 1) uniform textureBuffer q;
layout(binding = 2) uniform textureBuffer k;
layout(binding = 3) uniform textureBuffer v;
layout(binding = 4) restrict readonly buffer At { uint at[]; };

const uint KEYS = 4;
const uint LANES = gl_WorkGroupSize.x;
const uint READS = SIZE / 4 / LANES; // of a key or a value

vec4 query[64];                  // [query][element/4]
float acc[128];                  // [element][query]
float largest[2], total[2];      // of each query: see attention.comp
uint reach[2];                   // the last key that a query sees, plus one; 0 where there is none
uint from[16];                   // the lanes' numbers
uint at_k, at_v;                 // what this lane reads of key 0

// element is number d of those that the lanes have read.
float element(vec4 x, uint d) { return subgroupShuffle(x[d % 4], from[d / 4 % LANES]); }

// attend adds n keys, from j on, of which some queries may not see the first one (then n is 1).
#define ATTEND(j, n, SOME) { \
	vec4 a[32], b[32]; \
	[[unroll]] for (uint i = 0; i < n * READS; i++) { \
		a[i] = texelFetch(k, int((at_k + (j + i / READS) * p.k_row) >> 2) + int(i % READS * LANES)); \
	} \
	[[unroll]] for (uint i = 0; i < n * READS; i++) { \
		b[i] = texelFetch(v, int((at_v + (j + i / READS) * p.v_row) >> 2) + int(i % READS * LANES)); \
	} \
	float s[8], scaled[2]; /* [key][query]: scores, then weights */ \
	[[unroll]] for (uint i = 0; i < n * QUERIES; i++) { \
		s[i] = 0; \
	} \
	[[unroll]] for (uint d = 0; d < SIZE; d++) { \
		[[unroll]] for (uint i = 0; i < n; i++) { \
			float x = element(a[i * READS + d / (4 * LANES)], d); \
			[[unroll]] for (uint r = 0; r < QUERIES; r++) { \
				s[i * QUERIES + r] += query[r * (SIZE / 4) + d / 4][d % 4] * x; \
			} \
		} \
	} \
	[[unroll]] for (uint r = 0; r < QUERIES; r++) { \
		float most = largest[r]; \
		[[unroll]] for (uint i = 0; i < n; i++) { \
			s[i * QUERIES + r] *= p.scale; \
			most = max(most, s[i * QUERIES + r]); \
		} \
		if (SOME) { \
			most = j < reach[r] ? most : largest[r]; \
		} \
		scaled[r] = exp_(largest[r] - most); \
		largest[r] = most; \
		float sum = 0; \
		[[unroll]] for (uint i = 0; i < n; i++) { \
			s[i * QUERIES + r] = exp_(s[i * QUERIES + r] - most); \
			sum += s[i * QUERIES + r]; \
		} \
		float more = total[r] * scaled[r] + sum; \
		total[r] = !SOME || j < reach[r] ? more : total[r]; \
	} \
	[[unroll]] for (uint d = 0; d < SIZE; d++) { \
		float sums[2]; \
		[[unroll]] for (uint r = 0; r < QUERIES; r++) { \
			sums[r] = acc[d * QUERIES + r] * scaled[r]; \
		} \
		[[unroll]] for (uint i = 0; i < n; i++) { \
			float x = element(b[i * READS + d / (4 * LANES)], d); \
			[[unroll]] for (uint r = 0; r < QUERIES; r++) { \
				sums[r] += s[i * QUERIES + r] * x; \
			} \
		} \
		[[unroll]] for (uint r = 0; r < QUERIES; r++) { \
			acc[d * QUERIES + r] = !SOME || j < reach[r] ? sums[r] : acc[d * QUERIES + r]; \
		} \
	} \
}

void main() {
	uint lane = gl_SubgroupInvocationID, t0 = gl_WorkGroupID.x * LANES * QUERIES, run = gl_WorkGroupID.z;
	uint head = gl_WorkGroupID.y, group = (p.first_head + head) / p.shared_by;
	// Modulo 2³²: negative numbers are outside.
	uint tokens = p.seq + run * p.time, sequence = at[tokens - p.first_time];
	uint position0 = at[p.pos + run * p.time] + p.first_time;
	[[unroll]] for (uint i = 0; i < LANES; i++) {
		from[i] = PERMUTE ? i + (p.k_row & 3u) : i;
	}

	// Queries past the end are computed like the last one, and not written.
	bool padding[2];
	uint end = 0, every = 0xffffffffu; // keys that some query sees, and that all see that see any
	[[unroll]] for (uint r = 0; r < QUERIES; r++) {
		uint t = min(t0 + r * LANES + lane, p.time - 1);
		padding[r] = sequence == PADDING || at[tokens + t] == PADDING;
		bool live = !padding[r] && sequence < p.sequences && position0 + t < p.context;
		reach[r] = live ? position0 + t + 1 : 0;
		end = max(end, reach[r]);
		every = live ? min(every, reach[r]) : every;
		[[unroll]] for (uint i = 0; i < SIZE / 4; i++) {
			query[r * (SIZE / 4) + i] = texelFetch(q, int((p.q + run * p.q_run + t * p.q_time + head * SIZE) >> 2) + int(i));
		}
		largest[r] = uintBitsToFloat(0xff7fffffu);
		total[r] = 0;
	}
#define OF_LANES(n) \
	if (LANES > n) { \
		end = max(end, subgroupShuffleXor(end, n)); \
		every = min(every, subgroupShuffleXor(every, n)); \
	}
	OF_LANES(1)
	OF_LANES(2)
	OF_LANES(4)
	OF_LANES(8)
	[[unroll]] for (uint i = 0; i < SIZE * QUERIES; i++) {
		acc[i] = 0;
	}
	at_k = p.k + sequence * p.k_seq + group * SIZE + 4 * lane;
	at_v = p.v + sequence * p.v_seq + group * SIZE + 4 * lane;

	uint together = min(every, end) / KEYS * KEYS;
	for (uint j = 0; j < together; j += KEYS) {
		ATTEND(j, KEYS, false)
	}
	for (uint j = together; j < end; j++) {
		ATTEND(j, 1, true)
	}

	[[unroll]] for (uint r = 0; r < QUERIES; r++) {
		uint t = t0 + r * LANES + lane;
		float factor = total[r] > 0 ? 1 / total[r] : nan(); // NaN too where no score is above −∞
		float missing = padding[r] ? 0.0 : nan();           // of a query that sees no key
		if (t < p.time) {
			uint to = (p.dst + run * p.dst_run + t * p.dst_time + head * SIZE) >> 2;
			[[unroll]] for (uint d = 0; d < SIZE; d += 4) {
				vec4 x = vec4(acc[d * QUERIES + r], acc[(d + 1) * QUERIES + r], acc[(d + 2) * QUERIES + r], acc[(d + 3) * QUERIES + r]);
				dst[to + d / 4] = reach[r] > 0 ? x * factor : vec4(missing);
			}
		}
	}
}
