// Blocks of ggml's q5_0 (see backend/q5_0.go): 11 half words for 32 elements.
#include "bytes.glsl"

vec4 q5_0_value(uint scale, uint high, uint word, uint k) {
	uvec4 q = nibbles_of(word, (k & 16u) >> 2) | bits_of(high >> (k & 31u)) << 4;
	return widened_low(scale) * vec4(ivec4(q) - 16);
}

#define Q5_0_BLOCK(at, k) ((at) + ((k) >> 5) * 11u)
#define Q5_0_AT(b, at, k) q5_0_value(HALF(b, Q5_0_BLOCK(at, k)), WORD(b, Q5_0_BLOCK(at, k) + 1u), WORD(b, Q5_0_BLOCK(at, k) + 3u + (((k) & 15u) >> 1)), k)

#ifdef WORDS
Group q5_0_group(utextureBuffer w, uint at, uint k) {
	Texels t = run_of(w, Q5_0_BLOCK(at, k), 11u, 3u);
	uint high = t.words[0] >> 16 | t.words[1] << 16;
	float scale = widened_low(t.words[0]);
	[[unroll]] for (uint i = 1; i < 5; i++) { // the numbers begin in the middle of a word
		t.words[i] = t.words[i] >> 16 | t.words[i + 1] << 16;
	}
	return nibble_group(t, 1u, high, scale, 16, 0.0);
}
#endif

// For shaders that take runs: see runs.glsl.
struct q5_0_run { uvec2 head; uvec4 numbers; };
#define Q5_0_HALVES_APART 16u
#define Q5_0_UNIT uint
#define Q5_0_MINS false
#define Q5_0_OFFSET 16
#define Q5_0_LOAD(b, at, k) q5_0_run(uvec2(b[Q5_0_BLOCK(at, k) >> 1], b[(Q5_0_BLOCK(at, k) >> 1) + 1u]), FOUR_WORDS(b, (Q5_0_BLOCK(at, k) >> 1) + 2u))
void q5_0_bytes(q5_0_run r, uint at, uint k, out uvec4 low, out uvec4 high) {
	bool whole = (Q5_0_BLOCK(at, k) & 1u) != 0; // else the numbers begin in the middle of a word
	uvec4 q = mix(halves_on(uvec4(r.head.y, r.numbers.xyz), r.numbers.w), r.numbers, bvec4(whole));
	uvec4 fifth = uvec4(mix(r.head.x >> 16 | r.head.y << 16, r.head.y, whole)) >> uvec4(0, 4, 8, 12);
	low = q & 0x0f0f0f0fu | fifth_bits(fifth);
	high = q >> 4 & 0x0f0f0f0fu | fifth_bits(fifth >> 16);
}
vec4 q5_0_scales(q5_0_run r, uint at, uint k) { return vec4(vec2(half_at(r.head.x, Q5_0_BLOCK(at, k))), 0.0, 0.0); }
