// f16, two in a word: IEEE 754 binary16.

// f16_pair converts both of a word with the device's instruction, which may
// take denormals for 0.
vec2 f16_pair(uint word) { return unpackHalf2x16(word); }

// f16_widen gives the bits of the f32 of the same value, and f16_round those of
// the nearest f16, ties to even, which packHalf2x16 does not promise. All cases
// are computed and one is chosen: branches cost drivers that compute on the CPU
// many times as much.
uint f16_widen(uint h) {
	uint magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
	uint normal = (magnitude << 13) + 0x38000000u;
	uint subnormal = floatBitsToUint(float(magnitude) * 5.9604644775390625e-8); // a multiple of 2⁻²⁴
	uint special = 0x7f800000u | (magnitude & 0x3ffu) << 13; // infinity and NaN
	uint v = mix(normal, subnormal, magnitude < 0x400u);
	return sign | mix(v, special, magnitude >= 0x7c00u);
}

uint f16_round(uint bits) {
	uint magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
	uint normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
	// Below 2⁻¹⁴ the 24-bit significand moves down by 14 … 24, and by more to 0.
	uint m = (magnitude & 0x7fffffu) | 0x800000u, down = min(126u - (magnitude >> 23), 31u);
	uint subnormal = (m + (1u << (down - 1u)) - 1u + (m >> down & 1u)) >> down;
	uint v = mix(normal, subnormal, magnitude < 0x38800000u);
	v = mix(v, 0x7c00u, magnitude >= 0x477ff000u); // at least 65520, halfway to what would come next
	return sign | mix(v, 0x7e00u | (magnitude >> 13 & 0x3ffu), magnitude > 0x7f800000u);
}
