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

#ifdef WORDS
// A block is eleven texels: the first one has scales, the next two fifth bits.
Group q5_k_group(utextureBuffer w, uint at, uint k) {
	uint first = Q5_K_BLOCK(at, k) >> 2, j = (k >> 5) & 7u;
	uvec4 h = texel_of(w, first), u = texel_of(w, first + 3u + (j & 6u)), v = texel_of(w, first + 4u + (j & 6u));
	uvec4 a = texel_of(w, first + 1u) >> j, b = texel_of(w, first + 2u) >> j;
	vec2 s = group_scales(h.x, h.y, h.z, h.w, j);
	Group g;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		uvec4 q = nibbles_of(i < 4 ? u[i & 3u] : v[i & 3u], (j & 1u) << 2) | (bytes_of(i < 4 ? a[i & 3u] : b[i & 3u]) & 1u) << 4;
		g.numbers[i] = s.x * vec4(q) - s.y;
	}
	return g;
}
#endif

// For shaders that take runs: see runs.glsl.
struct q5_k_run { uvec4 numbers, high, head; };
#define Q5_K_HALVES_APART 32u
#define Q5_K_UNIT uvec4
#define Q5_K_MINS true
#define Q5_K_OFFSET 0
#define Q5_K_LOAD(b, at, k) q5_k_run(b[(Q5_K_BLOCK(at, k) >> 2) + 3u + (((k) & 0xc0u) >> 5) + (((k) & 16u) >> 4)], \
	b[(Q5_K_BLOCK(at, k) >> 2) + 1u + (((k) & 16u) >> 4)], b[Q5_K_BLOCK(at, k) >> 2])
void q5_k_bytes(q5_k_run r, uint at, uint k, out uvec4 low, out uvec4 high) {
	uvec4 fifth = r.high >> ((k >> 5) & 7u);
	low = r.numbers & 0x0f0f0f0fu | (fifth & 0x01010101u) << 4;
	high = r.numbers >> 4 & 0x0f0f0f0fu | (fifth & 0x02020202u) << 3;
}
vec4 q5_k_scales(q5_k_run r, uint at, uint k) { return group_pair(r.head, (k >> 5) & 7u); }
