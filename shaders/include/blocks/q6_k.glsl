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

#ifdef WORDS
Group q6_k_group(utextureBuffer w, uint at, uint k) {
	uint first = Q6_K_BLOCK(at, k);
	Texels low = run_of(w, first + ((k & 128u) >> 2) + ((k & 32u) >> 1), 16u, 3u), high = run_of(w, first + 64u + ((k & 128u) >> 3), 16u, 3u);
	int scales = int(half_of(w, first + 96u + ((k & 255u) >> 5)));
	float scale = widened_low(half_of(w, first + 104u));
	Group g;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		uvec4 q = nibbles_of(low.words[i], (k & 64u) >> 4) | (bytes_of(high.words[i] >> ((k & 96u) >> 4)) & 3u) << 4;
		g.numbers[i] = scale * float(bitfieldExtract(scales, int(i & 4u) * 2, 8)) * vec4(ivec4(q) - 32);
	}
	return g;
}
#endif
