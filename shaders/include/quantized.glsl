// Blocks of ggml's q8_0 and q4_0 (see backend/quantize.go) out of a buffer of
// words. A block is an odd number of half words, so every other one begins in
// the middle of a word.

#define HALF(b, h) ((b[(h) >> 1] >> (((h) & 1u) << 4)) & 0xffffu)
// WORD is two half words, from any.
#define WORD(b, h) (((h) & 1u) == 0 ? b[(h) >> 1] : b[(h) >> 1] >> 16 | b[((h) >> 1) + 1] << 16)
#define SCALE(b, h) unpackHalf2x16(HALF(b, h)).x

// Four neighbours k … k+3 of the row at half word at, k a multiple of 4.
#ifdef Q8_0
vec4 numbers(uint bytes, uint k) {
	int i = int(bytes);
	return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8), bitfieldExtract(i, 24, 8));
}
#define BLOCK(at, k) ((at) + ((k) >> 5) * 17u)
#define READ_AT(b, at, k) (SCALE(b, BLOCK(at, k)) * numbers(WORD(b, BLOCK(at, k) + 1u + (((k) & 31u) >> 1)), k))
#else
vec4 numbers(uint bytes, uint k) {
	uvec4 v = uvec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24) >> ((k & 16u) >> 2) & 15u;
	return vec4(ivec4(v) - 8);
}
#define BLOCK(at, k) ((at) + ((k) >> 5) * 9u)
#define READ_AT(b, at, k) (SCALE(b, BLOCK(at, k)) * numbers(WORD(b, BLOCK(at, k) + 1u + (((k) & 15u) >> 1)), k))
#endif
