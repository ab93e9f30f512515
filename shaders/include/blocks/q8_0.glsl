// Blocks of ggml's q8_0 (see backend/q8_0.go): 17 16-bit words for 32 elements.
#include "half_words.glsl"

vec4 q8_0_numbers(uint bytes) {
	int i = int(bytes);
	return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8), bitfieldExtract(i, 24, 8));
}

// Elements k … k+3 of the row that begins at 16-bit word at; k is a multiple of 4.
#define Q8_0_BLOCK(at, k) ((at) + ((k) >> 5) * 17u)
#define Q8_0_AT(b, at, k) (SCALE(b, Q8_0_BLOCK(at, k)) * q8_0_numbers(WORD(b, Q8_0_BLOCK(at, k) + 1u + (((k) & 31u) >> 1))))

// For shaders that bring eight elements at a time to elsewhere, k a multiple of 8: the 16-bit word where their
// numbers begin, and the numbers of four bytes.
#define Q8_0_EIGHT_AT(at, k) (Q8_0_BLOCK(at, k) + 1u + (((k) & 31u) >> 1))
#define Q8_0_NUMBERS(bytes, k) q8_0_numbers(bytes)

// For shaders that take eight elements at a time. They lie in two words.
#define Q8_0_EIGHT uvec2
#define Q8_0_EIGHT_WORDS 2

// A number of 0 … 255 is put into the last bits of the f32 2²³, and where it begins at
// bit 8 into those of 2¹⁵: one instruction, and one to subtract that.
vec4 q8_0_put(uint word) {
	uvec2 parts = uvec2(word, word >> 16);
	// ^ also makes 0 … 255 of −128 … 127.
	precise vec2 at0 = uintBitsToFloat((parts & 0xffu) ^ 0x4b000080u) - 8388736.0; // 2²³ + 128
	precise vec2 at8 = uintBitsToFloat((parts & 0xff00u) ^ 0x47008000u) - 32896.0; // 2¹⁵ + 128
	return vec4(at0.x, at8.x, at0.y, at8.y);
}

// The eight as bytes, from which an offset is to be subtracted.
#define Q8_0_OFFSET 0
uvec2 q8_0_bytes(uvec2 words) { return words; }

void q8_0_floats(uvec2 words, bool put, out vec4 low, out vec4 high) {
	low = put ? q8_0_put(words.x) : q8_0_numbers(words.x);
	high = put ? q8_0_put(words.y) : q8_0_numbers(words.y);
}

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
