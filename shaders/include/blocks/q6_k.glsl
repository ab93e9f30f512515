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

// For shaders that take runs: see runs.glsl. Where a block begins in the middle of a word, so do all its numbers: then each word is
// shifted, and takes half of the next one.
struct q6_k_run { uvec4 low, high; uvec2 next, scales; uint scale; };
#define Q6_K_HALVES_APART 64u
#define Q6_K_UNIT uint
#define Q6_K_MINS false
#define Q6_K_OFFSET 32
#define Q6_K_LOW(at, k) ((Q6_K_BLOCK(at, k) >> 1) + (((k) & 128u) >> 3) + (((k) & 63u) >> 2))
#define Q6_K_HIGH(at, k) ((Q6_K_BLOCK(at, k) >> 1) + 32u + (((k) & 128u) >> 4) + (((k) & 31u) >> 2))
#define Q6_K_SCALE_BYTE(at, k) (2u * Q6_K_BLOCK(at, k) + 192u + (((k) & 255u) >> 4))
#define Q6_K_LOAD(b, at, k) q6_k_run(FOUR_WORDS(b, Q6_K_LOW(at, k)), FOUR_WORDS(b, Q6_K_HIGH(at, k)), uvec2(b[Q6_K_LOW(at, k) + 4u], b[Q6_K_HIGH(at, k) + 4u]), \
	uvec2(b[Q6_K_SCALE_BYTE(at, k) >> 2], b[(Q6_K_SCALE_BYTE(at, k) >> 2) + 1u]), b[(Q6_K_BLOCK(at, k) + 104u) >> 1])
void q6_k_bytes(q6_k_run r, uint at, uint k, out uvec4 low, out uvec4 high) {
	bvec4 odd = bvec4((Q6_K_BLOCK(at, k) & 1u) != 0);
	uvec4 l = mix(r.low, halves_on(r.low, r.next.x), odd), h = mix(r.high, halves_on(r.high, r.next.y), odd) >> ((k & 32u) >> 4);
	low = l & 0x0f0f0f0fu | (h & 0x03030303u) << 4;
	high = l >> 4 & 0x0f0f0f0fu | h & 0x30303030u;
}
vec4 q6_k_scales(q6_k_run r, uint at, uint k) {
	ivec2 s = ivec2(r.scales << (24u - 8u * (Q6_K_SCALE_BYTE(at, k) & 3u))) >> 24;
	return vec4(half_at(r.scale, Q6_K_BLOCK(at, k)) * vec2(s), 0.0, 0.0);
}
