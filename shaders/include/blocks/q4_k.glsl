// Blocks of ggml's q4_k (see backend/q4_k.go): 36 words for 256 elements.
#include "bytes.glsl"

vec4 q4_k_value(uint scales, uint a, uint b, uint c, uint word, uint k) {
	vec2 s = group_scales(scales, a, b, c, (k >> 5) & 7u);
	return s.x * vec4(nibbles_of(word, (k & 32u) >> 3)) - s.y;
}

#define Q4_K_BLOCK(at, k) (((at) >> 1) + ((k) >> 8) * 36u)
#define Q4_K_AT(b, at, k) q4_k_value(b[Q4_K_BLOCK(at, k)], b[Q4_K_BLOCK(at, k) + 1u], b[Q4_K_BLOCK(at, k) + 2u], b[Q4_K_BLOCK(at, k) + 3u], \
	b[Q4_K_BLOCK(at, k) + 4u + (((k) & 0xc0u) >> 3) + (((k) & 31u) >> 2)], k)
