// Blocks of ggml's q4_0 (see backend/q4_0.go): 9 16-bit words for 32 elements.
#include "half_words.glsl"

vec4 q4_0_numbers(uint bytes, uint k) {
	uvec4 v = uvec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24) >> ((k & 16u) >> 2) & 15u;
	return vec4(ivec4(v) - 8);
}

// Elements k … k+3 of the row that begins at 16-bit word at; k is a multiple of 4.
#define Q4_0_BLOCK(at, k) ((at) + ((k) >> 5) * 9u)
#define Q4_0_AT(b, at, k) (SCALE(b, Q4_0_BLOCK(at, k)) * q4_0_numbers(WORD(b, Q4_0_BLOCK(at, k) + 1u + (((k) & 15u) >> 1)), k))

// For shaders that take eight elements at a time, k a multiple of 8: the 16-bit word where their
// numbers begin, and the numbers of four bytes.
#define Q4_0_EIGHT(at, k) (Q4_0_BLOCK(at, k) + 1u + (((k) & 15u) >> 1))
#define Q4_0_NUMBERS(bytes, k) q4_0_numbers(bytes, k)

#ifdef WORDS
#define Q4_0_TEXELS 2u
Block q4_0_unpack(uint h, Texels t) {
	t = shifted(h, t);
	Block b;
	b.scale = block_scale(h, t);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		uint word = block_word(h, t, i);
		b.numbers[i] = q4_0_numbers(word, 0u);
		b.numbers[i + 4] = q4_0_numbers(word, 16u);
	}
	return b;
}
#endif
