// round_f16 gives the bits of an f32 with a significand of 11 bits, that of f16: the nearest,
// ties to even. What is not finite stays. See backend/round.go.
//
// rounded does so within a product, with fewer instructions: adding a number that is too small to change the
// rounded one makes NaN of what was NaN. A device may take denormals for 0.

uint round_f16(uint bits) {
	uint v = (bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u;
	return mix(v, bits, (bits & 0x7f800000u) == 0x7f800000u);
}

float rounded(float x) {
	uint bits = floatBitsToUint(x);
	return uintBitsToFloat((bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u) + x * 9.094947017729282e-13; // 2⁻⁴⁰
}

vec4 rounded(vec4 x) { return vec4(rounded(x.x), rounded(x.y), rounded(x.z), rounded(x.w)); }
