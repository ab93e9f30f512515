#version 450
// dst = x, whatever the strides of either. Equal types are moved as bits.
//
//	DST_F16 …, X_F16 …  that operand holds a type of pairs/, else words of 32 bits
//	MOVE                both hold the same type of 16 bits
//
// An invocation writes one element, or of 16 bits the two of a word.
#extension GL_GOOGLE_include_directive : require
#include "dtypes.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uvec4 shape, dst_strides, x_strides;
	uint dst_base, x_base;
	uint rows, items; // items in each row
} p;
layout(binding = 0) restrict buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
#include "pair_store.glsl"

#if defined(X_PAIRS) || defined(MOVE)
uint bits(uint i) { return x[i >> 1] >> ((i & 1u) << 4) & 0xffffu; }
#else
uint bits(uint i) { return x[i]; }
#endif

// value is element i as dst holds it.
#if defined(X_PAIRS) && defined(DST_PAIRS)
uint value(uint i) { return DST_ROUND(X_WIDEN(bits(i))); }
#elif defined(X_PAIRS)
uint value(uint i) { return X_WIDEN(bits(i)); }
#elif defined(DST_PAIRS)
uint value(uint i) { return DST_ROUND(bits(i)); }
#else
uint value(uint i) { return bits(i); }
#endif

uint offset(uint base, uvec4 strides, uint r) {
	return base + r / (p.shape.y * p.shape.z) * strides.x + r / p.shape.z % p.shape.y * strides.y + r % p.shape.z * strides.z;
}

void main() {
	uint total = p.rows * p.items;
	for (uint id = gl_GlobalInvocationID.x; id < total; id += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
		uint r = id / p.items, item = id % p.items;
		uint to = offset(p.dst_base, p.dst_strides, r), from = offset(p.x_base, p.x_strides, r);
#if defined(DST_PAIRS) || defined(MOVE)
		// Pairs begin where words do. A word whose other half is a neighbour's is written with atomics.
		uint second = 2 * item + 1 - (to & 1u), first = second - 1;
		bool has_first = first < p.shape.w, has_second = second < p.shape.w;
		uint a = has_first ? value(from + first * p.x_strides.w) : 0;
		uint b = has_second ? value(from + second * p.x_strides.w) : 0;
		if (has_first && has_second && p.dst_strides.w == 1) {
			store_pair(to + first, a, b);
			continue;
		}
		if (has_first) {
			store_half(to + first * p.dst_strides.w, a);
		}
		if (has_second) {
			store_half(to + second * p.dst_strides.w, b);
		}
#else
		uint i = from + item * p.x_strides.w;
		dst[to + item * p.dst_strides.w] = value(i);
#endif
	}
}
