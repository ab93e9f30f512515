// Blocks of ggml's q4_k (see backend/q4_k.go): 36 words for 256 elements.
#include "bytes.glsl"

vec4 q4_k_value(uint scales, uint a, uint b, uint c, uint word, uint k) {
	vec2 s = group_scales(scales, a, b, c, (k >> 5) & 7u);
	return s.x * vec4(nibbles_of(word, (k & 32u) >> 3)) - s.y;
}

#define Q4_K_BLOCK(at, k) (((at) >> 1) + ((k) >> 8) * 36u)
#define Q4_K_AT(b, at, k) q4_k_value(b[Q4_K_BLOCK(at, k)], b[Q4_K_BLOCK(at, k) + 1u], b[Q4_K_BLOCK(at, k) + 2u], b[Q4_K_BLOCK(at, k) + 3u], \
	b[Q4_K_BLOCK(at, k) + 4u + (((k) & 0xc0u) >> 3) + (((k) & 31u) >> 2)], k)

#ifdef WORDS
// A block is nine texels: the first one has scales.
Group q4_k_group(utextureBuffer w, uint at, uint k) {
	uint first = Q4_K_BLOCK(at, k) >> 2, j = (k >> 5) & 7u;
	uvec4 h = texel_of(w, first), u = texel_of(w, first + 1u + (j & 6u)), v = texel_of(w, first + 2u + (j & 6u));
	vec2 s = group_scales(h.x, h.y, h.z, h.w, j);
	Group g;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		g.numbers[i] = s.x * vec4(nibbles_of(i < 4 ? u[i & 3u] : v[i & 3u], (j & 1u) << 2)) - s.y;
	}
	return g;
}
#endif

// For shaders that take runs: see runs.glsl.
struct q4_k_run { uvec4 numbers, head; };
#define Q4_K_HALVES_APART 32u
#define Q4_K_UNIT uvec4
#define Q4_K_MINS true
#define Q4_K_OFFSET 0
#define Q4_K_LOAD(b, at, k) q4_k_run(b[(Q4_K_BLOCK(at, k) >> 2) + 1u + (((k) & 0xc0u) >> 5) + (((k) & 16u) >> 4)], b[Q4_K_BLOCK(at, k) >> 2])
void q4_k_bytes(q4_k_run r, uint at, uint k, out uvec4 low, out uvec4 high) {
	low = r.numbers & 0x0f0f0f0fu;
	high = r.numbers >> 4 & 0x0f0f0f0fu;
}
vec4 q4_k_scales(q4_k_run r, uint at, uint k) { return group_pair(r.head, (k >> 5) & 7u); }
