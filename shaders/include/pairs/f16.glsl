// f16, two in a word: IEEE 754 binary16.
#ifndef F16_GLSL // blocks of activations include it too
#define F16_GLSL

// f16_pair converts both elements of a word with the device's instruction, which may
// flush denormals to 0.
vec2 f16_pair(uint word) { return unpackHalf2x16(word); }

// f16_widen returns the bits of the f32 with the same value. f16_round returns the bits
// of the nearest f16, ties to even, which packHalf2x16 does not guarantee. Both compute
// all cases and select one, because branches are much slower on software drivers.
uint f16_widen(uint h) {
	uint magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
	uint normal = (magnitude << 13) + 0x38000000u;
	uint subnormal = floatBitsToUint(float(magnitude) * 5.9604644775390625e-8); // a multiple of 2⁻²⁴
	uint special = 0x7f800000u | (magnitude & 0x3ffu) << 13; // infinity and NaN, which becomes a quiet one
	uint v = mix(normal, subnormal, magnitude < 0x400u);
	v = mix(v, special, magnitude >= 0x7c00u);
	return sign | mix(v, special | 0x400000u, magnitude > 0x7c00u);
}

uint f16_round(uint bits) {
	uint magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
	uint normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
	// Below 2⁻¹⁴ the 24-bit significand is shifted right by 14 … 24; by more it becomes 0.
	uint m = (magnitude & 0x7fffffu) | 0x800000u, down = min(126u - (magnitude >> 23), 31u);
	uint subnormal = (m + (1u << down >> 1u) - 1u + (m >> down & 1u)) >> down; // down may be 0 where this is not selected
	uint v = mix(normal, subnormal, magnitude < 0x38800000u);
	v = mix(v, 0x7c00u, magnitude >= 0x477ff000u); // at least 65520, halfway between 65504 and 65536: infinity
	return sign | mix(v, 0x7e00u | (magnitude >> 13 & 0x3ffu), magnitude > 0x7f800000u);
}
#endif
