// What the shaders of sample share. backend/weights.go has the same arithmetic in Go: each
// operation here must give the same bits. Numbers of 64 bits are uvec2(low, high). A shader
// defines LANES, how many invocations a workgroup has at most.

#include "philox.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint dst, dst_stride, next;
	uint x, x_stride, rows, n;
	uint slots, slot_count;
	uint settings, settings_stride;
	uint marks, marks_slot, marks_seen; // from slot to slot, and from barred to seen
	uint recent, recent_stride, window; // window: how many tokens there is room for
	uint scratch, scratch_stride;
} p;

const uint CELLS = 512, CHUNK = 2048, CANDIDATES = 1024;

// Scratch of a row: how many tokens are in each cell, then for each chunk of logits eight
// words: the largest key without a penalty, that with the penalty, its id, the id of the
// first logit that is NaN or +∞, and two sums of weights. Then for each block of logits the
// largest key with the penalty, 0 if no token of it may be drawn.
const uint PARTS = CELLS, PART = 8, BLOCK = 64;
uint chunks() { return (p.n + CHUNK - 1) / CHUNK; }
uint blocks_at() { return PARTS + chunks() * PART; }
const uint NOBODY = 0xffffffffu; // an id that is none

const uint ZERO = 0x80000000u, INFINITY = 0x7f800000u;
const uint NONE = ZERO - INFINITY; // the key of −∞

uint key(uint bits) {
	uint magnitude = bits & 0x7fffffffu;
	if (magnitude < 0x00800000u) {
		return ZERO;
	}
	if (magnitude == bits) {
		return ZERO + magnitude;
	}
	return magnitude > INFINITY ? 0xffffffffu : ZERO - magnitude;
}

bool finite_key(uint k) { return k > NONE && k < ZERO + INFINITY; }

float value(uint k) { return uintBitsToFloat(k >= ZERO ? k - ZERO : (ZERO - k) | ZERO); }

// at_most makes the largest number of infinity. The sign stays.
uint at_most(uint bits) { return (bits & 0x7fffffffu) >= INFINITY ? (bits & ZERO) | 0x7f7fffffu : bits; }

float distance_to(uint best, uint k) {
	precise float d = value(best) - value(k);
	uint bits = at_most(floatBitsToUint(d)) & 0x7fffffffu;
	return uintBitsToFloat(bits < 0x00800000u ? 0u : bits);
}

float product(float a, float b) {
	precise float c = a * b;
	return uintBitsToFloat(at_most(floatBitsToUint(c)));
}

uint cell(float d) { return d < 32.0 ? uint(product(d, 16.0)) : CELLS - 1; }

uint high(uint a, uint b) {
	uint h, l;
	umulExtended(a, b, h, l);
	return h;
}

uvec2 weight(float d) {
	if (!(d < 32.0)) {
		return uvec2(0);
	}
	uint h, l;
	umulExtended(uint(product(d, 134217728.0)), 0xb8aa3b29u, h, l);
	uint n = h >> 26, f = h << 6 | l >> 26;
	uint q = 0x0054a612u - high(0x00078809u, f);
	q = 0x0274f388u - high(q, f);
	q = 0x0e353290u - high(q, f);
	q = 0x3d7f7506u - high(q, f);
	q = 0xb17217dfu - high(q, f);
	uint e = 0x80000000u - (high(q, f) >> 1);
	uvec2 w = uvec2(e << 9, e >> 23);
	if (n >= 32) {
		return uvec2(w.y >> (n - 32), 0);
	}
	return n == 0 ? w : uvec2(w.x >> n | w.y << (32 - n), w.y >> n);
}

uvec2 add(uvec2 a, uvec2 b) {
	uint carry;
	uint low = uaddCarry(a.x, b.x, carry);
	return uvec2(low, a.y + b.y + carry);
}

bool less(uvec2 a, uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }

// Workgroups have a power of two of invocations. All of them must call these functions, and
// all get the result. They use partial: a barrier must stand between what read it before, an
// earlier call too, and the call.

shared uvec4 partial[LANES];

// joined is of two parts: see PARTS.
uvec4 joined(uvec4 a, uvec4 b) {
	bool second = b.y > a.y || (b.y == a.y && b.z < a.z);
	return uvec4(max(a.x, b.x), second ? b.yz : a.yz, min(a.w, b.w));
}

uvec4 workgroup_join(uvec4 v) {
	uint lane = gl_LocalInvocationID.x;
	partial[lane] = v;
	barrier();
	for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
		if (lane < n) {
			partial[lane] = joined(partial[lane], partial[lane + n]);
		}
		barrier();
	}
	return partial[0];
}

// Two sums at once.
uvec4 workgroup_add(uvec4 v) {
	uint lane = gl_LocalInvocationID.x;
	partial[lane] = v;
	barrier();
	for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
		if (lane < n) {
			uvec4 a = partial[lane], b = partial[lane + n];
			partial[lane] = uvec4(add(a.xy, b.xy), add(a.zw, b.zw));
		}
		barrier();
	}
	return partial[0];
}

// Settings of a slot: see backend.SampleSettings.
struct Sampling {
	uvec2 seed, top_p;
	uint top_k;
	float min_p, scale;
	bool greedy;
	float penalty, inverse;
	int window;
};
