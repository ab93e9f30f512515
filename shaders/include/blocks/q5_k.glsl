// Blocks of ggml's q5_k (see backend/q5_k.go): 44 words for 256 elements.
#include "bytes.glsl"

vec4 q5_k_value(uint scales, uint a, uint b, uint c, uint high, uint word, uint k) {
	uint j = (k >> 5) & 7u;
	vec2 s = group_scales(scales, a, b, c, j);
	return s.x * vec4(nibbles_of(word, (k & 32u) >> 3) | (bytes_of(high >> j) & 1u) << 4) - s.y;
}

#define Q5_K_BLOCK(at, k) (((at) >> 1) + ((k) >> 8) * 44u)
#define Q5_K_AT(b, at, k) q5_k_value(b[Q5_K_BLOCK(at, k)], b[Q5_K_BLOCK(at, k) + 1u], b[Q5_K_BLOCK(at, k) + 2u], b[Q5_K_BLOCK(at, k) + 3u], \
	b[Q5_K_BLOCK(at, k) + 4u + (((k) & 31u) >> 2)], b[Q5_K_BLOCK(at, k) + 12u + (((k) & 0xc0u) >> 3) + (((k) & 31u) >> 2)], k)
