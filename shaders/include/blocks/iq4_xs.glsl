// Blocks of ggml's iq4_xs (see backend/iq4_xs.go): 34 words for 256 elements.
#include "bytes.glsl"

vec4 iq4_xs_value(uint scales, uint low, uint word, uint k) {
	uint j = (k >> 5) & 7u;
	int s = int((low >> (4 * j) & 15u) | (scales >> (16 + 2 * j) & 3u) << 4) - 32;
	return widened_low(scales) * float(s) * iq4_numbers(nibbles_of(word, (k & 16u) >> 2));
}

#define IQ4_XS_BLOCK(at, k) (((at) >> 1) + ((k) >> 8) * 34u)
#define IQ4_XS_AT(b, at, k) iq4_xs_value(b[IQ4_XS_BLOCK(at, k)], b[IQ4_XS_BLOCK(at, k) + 1u], b[IQ4_XS_BLOCK(at, k) + 2u + (((k) & 0xe0u) >> 3) + (((k) & 15u) >> 2)], k)

#ifdef WORDS
Group iq4_xs_group(utextureBuffer w, uint at, uint k) {
	uint first = 2u * IQ4_XS_BLOCK(at, k), j = (k >> 5) & 7u;
	Texels h = run_of(w, first, 4u, 1u), t = run_of(w, first + 4u + 8u * j, 8u, 2u);
	int s = int((h.words[1] >> (4 * j) & 15u) | (h.words[0] >> (16 + 2 * j) & 3u) << 4) - 32;
	return iq4_group(t, 0u, widened_low(h.words[0]) * float(s));
}
#endif
