// What readers of blocks share that take four numbers at a time, k … k+3 of a row, k a
// multiple of 4. A block of whole words begins with a word; others begin with a half word,
// or with any byte. Scales are often denormal, so they are converted by integer code.
#ifndef BYTES_GLSL
#define BYTES_GLSL
#include "half_words.glsl"
#include "pairs/f16.glsl"

float widened_low(uint word) { return uintBitsToFloat(f16_widen(word & 0xffffu)); }
float widened_high(uint word) { return uintBitsToFloat(f16_widen(word >> 16)); }

// The four bytes of a word, and a bit of each of four bytes, or of four neighbouring bits, as a number.
uvec4 bytes_of(uint word) { return uvec4(word, word >> 8, word >> 16, word >> 24) & 0xffu; }
uvec4 nibbles_of(uint word, uint shift) { return bytes_of(word >> shift) & 15u; }
uvec4 bits_of(uint bits) { return uvec4(bits, bits >> 1, bits >> 2, bits >> 3) & 1u; }
uint byte_of(uint word, uint i) { return word >> (8 * i) & 0xffu; }

// The scale and the minimum of group j of a K type, out of the words of a block before its numbers.
vec2 group_scales(uint scales, uint a, uint b, uint c, uint j) {
	uint i = j & 3u, low = byte_of(a, i), high = byte_of(b, i), rest = byte_of(c, i);
	uvec2 s = mix(uvec2(rest & 15u | low >> 6 << 4, rest >> 4 | high >> 6 << 4), uvec2(low, high) & 63u, bvec2(j < 4));
	return vec2(widened_low(scales), widened_high(scales)) * vec2(s);
}

// Those of groups j and j+1, j even, of the words of a block of a K type before its numbers: two factors, and two numbers that are added.
vec4 group_pair(uvec4 head, uint j) {
	uvec3 at = head.yzw >> ((j & 2u) << 3);
	uvec2 s = mix(uvec2(at.z, at.z >> 4) & 0x0f0fu | at.xy >> 2 & 0x3030u, at.xy & 0x3f3fu, bvec2(j < 4));
	vec2 scales = unpackHalf2x16(head.x);
	return vec4(scales.x * vec2(s.x & 0xffu, s.x >> 8), -scales.y * vec2(s.y & 0xffu, s.y >> 8));
}

// The f16 at half word h, in its word. A device may take denormals for 0: the kernel's check finds that.
float half_at(uint word, uint h) { return unpackHalf2x16(word >> ((h & 1u) << 4)).x; }

// Four words, and what they are where numbers begin in the middle of the first one, and end in the next one.
#define FOUR_WORDS(b, i) uvec4(b[i], b[(i) + 1u], b[(i) + 2u], b[(i) + 3u])
uvec4 halves_on(uvec4 words, uint next) { return words >> 16 | uvec4(words.yzw, next) << 16; }

// The lowest four bits as the fifth bits of four bytes.
uvec4 fifth_bits(uvec4 bits) { return ((bits & 15u) * 0x204081u & 0x01010101u) << 4; }

// Numbers of ggml's table for iq4_nl and iq4_xs. Compilers make a branch of ?:, and mix selects.
float iq4_of(uint q) {
	bool odd = (q & 4u) != 0;
	uint word = mix(mix(0xbfad9881u, 0xf6eaddcfu, odd), mix(0x26190d01u, 0x71594535u, odd), q >= 8);
	return float(bitfieldExtract(int(word), int(q & 3u) * 8, 8));
}
vec4 iq4_numbers(uvec4 q) { return vec4(iq4_of(q.x), iq4_of(q.y), iq4_of(q.z), iq4_of(q.w)); }

#ifdef WORDS
#include "groups.glsl"
#endif
#endif
