#version 450
// dst = x, whatever the strides of either. Equal types are moved as bits.
//
//	DST_F16, X_F16  that operand holds f16, else words of 32 bits
//
// An invocation writes one element, or in f16 the two of a word.
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uvec4 shape, dst_strides, x_strides;
	uint dst_base, x_base;
	uint rows, items; // items in each row
} p;
layout(binding = 0) restrict buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
#include "half_store.glsl"

#ifdef X_F16
uint bits(uint i) { return x[i >> 1] >> ((i & 1u) << 4) & 0xffffu; }
float value(uint i) { return half_to_float(bits(i)); }
#else
uint bits(uint i) { return x[i]; }
float value(uint i) { return uintBitsToFloat(bits(i)); }
#endif

#if defined(DST_F16) && defined(X_F16)
uint half_bits(uint i) { return bits(i); }
#else
uint half_bits(uint i) { return float_to_half(value(i)); }
#endif

uint offset(uint base, uvec4 strides, uint r) {
	return base + r / (p.shape.y * p.shape.z) * strides.x + r / p.shape.z % p.shape.y * strides.y + r % p.shape.z * strides.z;
}

void main() {
	uint total = p.rows * p.items;
	for (uint id = gl_GlobalInvocationID.x; id < total; id += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
		uint r = id / p.items, item = id % p.items;
		uint to = offset(p.dst_base, p.dst_strides, r), from = offset(p.x_base, p.x_strides, r);
#ifdef DST_F16
		// Pairs begin where words do. A word whose other half is a neighbour's is written with atomics.
		uint second = 2 * item + 1 - (to & 1u), first = second - 1;
		bool has_first = first < p.shape.w, has_second = second < p.shape.w;
		uint a = has_first ? half_bits(from + first * p.x_strides.w) : 0;
		uint b = has_second ? half_bits(from + second * p.x_strides.w) : 0;
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
#ifdef X_F16
		dst[to + item * p.dst_strides.w] = floatBitsToUint(value(i));
#else
		dst[to + item * p.dst_strides.w] = bits(i);
#endif
#endif
	}
}
