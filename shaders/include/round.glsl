// round_f16 gives the bits of an f32 with a significand of 11 bits, that of f16: the nearest,
// ties to even. What is not finite stays. See backend/round.go.

uint round_f16(uint bits) {
	uint v = (bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u;
	return mix(v, bits, (bits & 0x7f800000u) == 0x7f800000u);
}
