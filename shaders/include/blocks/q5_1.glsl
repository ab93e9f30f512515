// Blocks of ggml's q5_1 (see backend/q5_1.go): 6 words for 32 elements.
#include "bytes.glsl"

vec4 q5_1_value(uint scales, uint high, uint word, uint k) {
	uvec4 q = nibbles_of(word, (k & 16u) >> 2) | bits_of(high >> (k & 31u)) << 4;
	return widened_low(scales) * vec4(q) + widened_high(scales);
}

#define Q5_1_BLOCK(at, k) (((at) >> 1) + ((k) >> 5) * 6u)
#define Q5_1_AT(b, at, k) q5_1_value(b[Q5_1_BLOCK(at, k)], b[Q5_1_BLOCK(at, k) + 1u], b[Q5_1_BLOCK(at, k) + 2u + (((k) & 15u) >> 2)], k)
