// Blocks of ggml's q5_1 (see backend/q5_1.go): 6 words for 32 elements.
#include "bytes.glsl"

vec4 q5_1_value(uint scales, uint high, uint word, uint k) {
	uvec4 q = nibbles_of(word, (k & 16u) >> 2) | bits_of(high >> (k & 31u)) << 4;
	return widened_low(scales) * vec4(q) + widened_high(scales);
}

#define Q5_1_BLOCK(at, k) (((at) >> 1) + ((k) >> 5) * 6u)
#define Q5_1_AT(b, at, k) q5_1_value(b[Q5_1_BLOCK(at, k)], b[Q5_1_BLOCK(at, k) + 1u], b[Q5_1_BLOCK(at, k) + 2u + (((k) & 15u) >> 2)], k)

#ifdef WORDS
Group q5_1_group(utextureBuffer w, uint at, uint k) {
	Texels t = run_of(w, 2u * Q5_1_BLOCK(at, k), 12u, 3u);
	return nibble_group(t, 2u, t.words[1], widened_low(t.words[0]), 0, widened_high(t.words[0]));
}
#endif
