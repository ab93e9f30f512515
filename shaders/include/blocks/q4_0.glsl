// Blocks of ggml's q4_0 (see backend/q4_0.go): 9 16-bit words for 32 elements.
#include "half_words.glsl"

vec4 q4_0_numbers(uint bytes, uint k) {
	uvec4 v = uvec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24) >> ((k & 16u) >> 2) & 15u;
	return vec4(ivec4(v) - 8);
}

// Elements k … k+3 of the row that begins at 16-bit word at; k is a multiple of 4.
#define Q4_0_BLOCK(at, k) ((at) + ((k) >> 5) * 9u)
#define Q4_0_AT(b, at, k) (SCALE(b, Q4_0_BLOCK(at, k)) * q4_0_numbers(WORD(b, Q4_0_BLOCK(at, k) + 1u + (((k) & 15u) >> 1)), k))

// For shaders that bring eight elements at a time to elsewhere, k a multiple of 8: the 16-bit word where their
// numbers begin, and the numbers of four bytes.
#define Q4_0_EIGHT_AT(at, k) (Q4_0_BLOCK(at, k) + 1u + (((k) & 15u) >> 1))
#define Q4_0_NUMBERS(bytes, k) q4_0_numbers(bytes, k)

// For shaders that take eight elements at a time: four, and those that are 16 further on. They
// lie in one word. Each is put into the last bits of a power of two as an f32, which is
// subtracted: no conversion takes fewer instructions, whatever put says.
#define Q4_0_EIGHT uint
#define Q4_0_EIGHT_WORDS 1

// The eight as bytes, from which an offset is to be subtracted.
#define Q4_0_OFFSET 8
uvec2 q4_0_bytes(uint word) { return uvec2(word, word >> 4) & 0x0f0f0f0fu; }

void q4_0_floats(uint word, bool put, out vec4 low, out vec4 high) {
	uvec2 parts = uvec2(word, word >> 16);
	precise vec2 at0 = uintBitsToFloat(parts & 0xfu | 0x4b000000u) - 8388616.0; // 2²³ + 8
	precise vec2 at4 = uintBitsToFloat(parts & 0xf0u | 0x49000000u) - 524296.0; // 2¹⁹ + 8
	precise vec2 at8 = uintBitsToFloat(parts & 0xf00u | 0x47000000u) - 32776.0; // 2¹⁵ + 8
	precise vec2 at12 = uintBitsToFloat(parts & 0xf000u | 0x45000000u) - 2056.0; // 2¹¹ + 8
	low = vec4(at0.x, at8.x, at0.y, at8.y);
	high = vec4(at4.x, at12.x, at4.y, at12.y);
}

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
