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

// For expert_linear.comp: the c-th block of the row that begins at byte at, of which all is asked for at once.
struct mxfp4_whole { uvec4 words; uint last, by; }; // the block begins with bit by of the first word
#define MXFP4_FIRST(at, c) ((at) + (c) * 17u >> 2)
#define mxfp4_load(b, at, c) mxfp4_whole(FOUR_WORDS(b, MXFP4_FIRST(at, c)), b[MXFP4_FIRST(at, c) + 4u], ((at) + (c) * 17u & 3u) << 3)
uvec4 mxfp4_words(mxfp4_whole v) { return v.words >> v.by >> 8u | uvec4(v.words.yzw, v.last) << (24u - v.by); }

// The scale of the block, where its numbers are those of mxfp4_floats times MXFP4_FACTOR.
float mxfp4_scale(mxfp4_whole v) {
	uint e = v.words.x >> v.by & 0xffu;
	return uintBitsToFloat(mix(e - 1 << 23, 0x200000u << (e & 1u), e < 2));
}

// The numbers in the low and in the high halves of four bytes. The three bits of a magnitude are also the last two bits of
// an exponent and the first of the fraction of an f16, which is 2⁻¹⁴ of the number, and denormal where the number is ½. A device
// may take that for 0: the kernel's check finds it.
#define MXFP4_FACTOR 32768.0
void mxfp4_floats(uint word, out vec4 low, out vec4 high) {
	uvec4 at = uvec4(word << 12, word << 4, word << 8, word); // bytes 0 and 2, then 1 and 3
	at = at & 0x80008000u | at >> 3 & 0x0e000e00u;
	vec2 a = unpackHalf2x16(at.x), b = unpackHalf2x16(at.y), c = unpackHalf2x16(at.z), d = unpackHalf2x16(at.w);
	low = vec4(a.x, b.x, a.y, b.y);
	high = vec4(c.x, d.x, c.y, d.y);
}
