// Blocks of ggml's q6_k (see backend/q6_k.go): 105 half words for 256 elements.
#include "bytes.glsl"

vec4 q6_k_value(uint low, uint high, uint scales, uint scale, uint k) {
	uvec4 q = nibbles_of(low, (k & 64u) >> 4) | (bytes_of(high >> ((k & 96u) >> 4)) & 3u) << 4;
	return widened_low(scale) * float(bitfieldExtract(int(scales), int(k & 16u) >> 1, 8)) * vec4(ivec4(q) - 32);
}

#define Q6_K_BLOCK(at, k) ((at) + ((k) >> 8) * 105u)
#define Q6_K_AT(b, at, k) q6_k_value(WORD(b, Q6_K_BLOCK(at, k) + (((k) & 128u) >> 2) + (((k) & 63u) >> 1)), \
	WORD(b, Q6_K_BLOCK(at, k) + 64u + (((k) & 128u) >> 3) + (((k) & 31u) >> 1)), \
	HALF(b, Q6_K_BLOCK(at, k) + 96u + (((k) & 255u) >> 5)), HALF(b, Q6_K_BLOCK(at, k) + 104u), k)
