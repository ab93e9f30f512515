// Blocks of ggml's mxfp4 (see backend/mxfp4.go): 17 bytes for 32 elements. Bases and strides
// are in bytes.
#include "bytes.glsl"

float mxfp4_of(uint q) {
	float v = float(byte_of(mix(0x03020100u, 0x0c080604u, (q & 4u) != 0), q & 3u));
	return mix(v, -v, q >= 8);
}

vec4 mxfp4_value(uint e, uint word, uint k) {
	uvec4 q = nibbles_of(word, (k & 16u) >> 2);
	return uintBitsToFloat(mix(e - 1 << 23, 0x200000u << (e & 1u), e < 2)) * vec4(mxfp4_of(q.x), mxfp4_of(q.y), mxfp4_of(q.z), mxfp4_of(q.w));
}

#define MXFP4_BLOCK(at, k) ((at) + ((k) >> 5) * 17u)
#define MXFP4_BYTE(b, at) (b[(at) >> 2] >> (((at) & 3u) * 8u) & 0xffu)
#define MXFP4_WORD(b, at) (((at) & 3u) == 0 ? b[(at) >> 2] : b[(at) >> 2] >> (((at) & 3u) * 8u) | b[((at) >> 2) + 1u] << (32u - ((at) & 3u) * 8u))
#define MXFP4_AT(b, at, k) mxfp4_value(MXFP4_BYTE(b, MXFP4_BLOCK(at, k)), MXFP4_WORD(b, MXFP4_BLOCK(at, k) + 1u + ((k) & 15u)), k)

#ifdef WORDS
Group mxfp4_group(utextureBuffer w, uint at, uint k) {
	uint first = MXFP4_BLOCK(at, k), by = (first & 1u) << 3;
	Texels t = run_of(w, first >> 1, 9u, 2u);
	Group g;
	uint e = t.words[0] >> by & 0xffu;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		uint word = t.words[i & 3u] >> (8u + by) | t.words[(i & 3u) + 1u] << (24u - by);
		g.numbers[i] = mxfp4_value(e, word, (i & 4u) << 2);
	}
	return g;
}
#endif
