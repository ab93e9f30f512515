// Blocks of ggml's q4_1 (see backend/q4_1.go): 5 words for 32 elements.
#include "bytes.glsl"

vec4 q4_1_value(uint scales, uint word, uint k) {
	return widened_low(scales) * vec4(nibbles_of(word, (k & 16u) >> 2)) + widened_high(scales);
}

#define Q4_1_BLOCK(at, k) (((at) >> 1) + ((k) >> 5) * 5u)
#define Q4_1_AT(b, at, k) q4_1_value(b[Q4_1_BLOCK(at, k)], b[Q4_1_BLOCK(at, k) + 1u + (((k) & 15u) >> 2)], k)

#ifdef WORDS
Group q4_1_group(utextureBuffer w, uint at, uint k) {
	Texels t = run_of(w, 2u * Q4_1_BLOCK(at, k), 10u, 2u);
	return nibble_group(t, 1u, 0u, widened_low(t.words[0]), 0, widened_high(t.words[0]));
}
#endif
