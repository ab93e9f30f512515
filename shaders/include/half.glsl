// f16 in words of two. The conversions are exact at every value and rounding
// is to the nearest, ties to even, which packHalf2x16 does not promise.

float half_to_float(uint h) {
	uint magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
	if (magnitude >= 0x7c00u) { // infinity and NaN
		return uintBitsToFloat(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
	}
	if (magnitude < 0x400u) { // subnormal: a multiple of 2⁻²⁴
		return uintBitsToFloat(sign | floatBitsToUint(float(magnitude) * 5.9604644775390625e-8));
	}
	return uintBitsToFloat(sign | (magnitude << 13) + 0x38000000u);
}

uint float_to_half(float f) {
	uint bits = floatBitsToUint(f), magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
	if (magnitude > 0x7f800000u) {
		return sign | 0x7e00u | (magnitude >> 13 & 0x3ffu);
	}
	if (magnitude >= 0x477ff000u) { // at least 65520, halfway to what would come next
		return sign | 0x7c00u;
	}
	if (magnitude < 0x38800000u) { // below 2⁻¹⁴, subnormal
		if (magnitude < 0x33000000u) {
			return sign;
		}
		uint shift = 126u - (magnitude >> 23); // of the 24-bit significand: 14 … 24
		uint m = (magnitude & 0x7fffffu) | 0x800000u;
		uint down = m >> shift, rest = m & ((1u << shift) - 1u), halfway = 1u << (shift - 1u);
		return sign | (down + uint(rest > halfway || (rest == halfway && (down & 1u) == 1u)));
	}
	return sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
}
