// Blocks of ggml's q8_0 (see backend/q8_0.go): 17 16-bit words for 32 elements.
#include "half_words.glsl"

vec4 q8_0_numbers(uint bytes) {
	int i = int(bytes);
	return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8), bitfieldExtract(i, 24, 8));
}

// Elements k … k+3 of the row that begins at 16-bit word at; k is a multiple of 4.
#define Q8_0_BLOCK(at, k) ((at) + ((k) >> 5) * 17u)
#define Q8_0_AT(b, at, k) (SCALE(b, Q8_0_BLOCK(at, k)) * q8_0_numbers(WORD(b, Q8_0_BLOCK(at, k) + 1u + (((k) & 31u) >> 1))))

// For shaders that take eight elements at a time, k a multiple of 8: the 16-bit word where their
// numbers begin, and the numbers of four bytes.
#define Q8_0_EIGHT(at, k) (Q8_0_BLOCK(at, k) + 1u + (((k) & 31u) >> 1))
#define Q8_0_NUMBERS(bytes, k) q8_0_numbers(bytes)

#ifdef WORDS
#define Q8_0_TEXELS 3u
Block q8_0_unpack(uint h, Texels t) {
	t = shifted(h, t);
	Block b;
	b.scale = block_scale(h, t);
	[[unroll]] for (uint i = 0; i < 8; i++) {
		b.numbers[i] = q8_0_numbers(block_word(h, t, i));
	}
	return b;
}
#endif
