// bf16, two in a word: the upper half of an f32. The functions correspond to those of
// f16.glsl. All are exact.

vec2 bf16_pair(uint word) { return uintBitsToFloat(uvec2(word << 16, word & 0xffff0000u)); }

uint bf16_widen(uint h) { return h << 16; }

uint bf16_round(uint bits) {
	uint v = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
	return mix(v, bits >> 16 | 0x40u, (bits & 0x7fffffffu) > 0x7f800000u); // NaN stays NaN
}
