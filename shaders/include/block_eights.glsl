// Eights of quantised weights for linear_one.comp, out of two blocks at a time. These are an odd
// number of words, so that the numbers of the first block begin in the middle of a word, and those of the
// second at the next one. No word is shifted for that: a word of the first block is taken as it
// lies, with the elements of x that belong to it, and the half word before its second number of
// 16 bits and that behind the others make up its last word.
//
//	word of two blocks of q8_0   0         1 2     3 4      5 6       7 8                9 10      …  15 16
//	it has                       scale 01  2 … 9   10 … 17  18 … 25   26 … 31, scale     0 … 7        24 … 31
//	eight                        with 3    0       1        2         3                  4            7
//
// An eight of q4_0 is one word: four numbers, and those that are 16 elements further on.
// Where an eight stands among the eight of two blocks is the same for all steps and rows, so that
// nearly all of its address is computed once.

const uint GROUP = gl_WorkGroupSize.x * TOGETHER; // eights of a workgroup that lie together: a multiple of 8

// first is the first eight of an invocation. The s-th one is the place-th of its two blocks, of
// which before precede those of the step. blocks says which two they are: the last ones past the end.
uint first() { return gl_LocalInvocationID.x * TOGETHER; }
uint place(uint s) { return (first() & 7u) + s % TOGETHER; }
uint before(uint s) { return s / TOGETHER * (GROUP / 8); }
bool whole(uint s) { return (s / TOGETHER + 1) * GROUP <= EIGHTS; }
bool inside(uint s) { return before(s) + (first() >> 3) < EIGHTS / 8; }
uint blocks(uint s) { return whole(s) ? before(s) + (first() >> 3) : min(before(s) + (first() >> 3), EIGHTS / 8 - 1); }
bool second() { return (first() & 4u) != 0; }
bool fourth(uint s) { return s % TOGETHER == TOGETHER - 1 && place(s) == 3u; }

// Elements of x in twos: where the eight begins, and the last two of its first four (q4_0) or of all.
const uint EIGHT_TWOS = 2 * EIGHT_WORDS; // between one eight and the next
#if EIGHT_WORDS > 1
uint two(uint s) { return blocks(s) * 32 + place(s) * EIGHT_TWOS + (second() ? 0u : 1u); }
#define LOW_TWOS(s) two(s), two(s) + 1
#define HIGH_TWOS(s) two(s) + 2, last_two(s)
#else
uint two(uint s) { return blocks(s) * 32 + place(s) * EIGHT_TWOS + (second() ? 8u : 1u); }
#define LOW_TWOS(s) two(s), last_two(s)
#define HIGH_TWOS(s) two(s) + 8, last_two(s) + 8
#endif
// It is no ?:, of which glslc makes a branch: before a branch Mesa's compiler for NVIDIA waits for all loads.
uint last_two(uint s) { return mix(two(s) + EIGHT_TWOS - 1, blocks(s) * 32, fourth(s)); }

#ifndef X_BLOCKS
#define ORIGIN x[p.x >> 1].x
#define FOUR(b, base, i, j) vec4(b[((base) >> 1) + i], b[((base) >> 1) + j])
#define FOUR_OF(b, base, twos) FOUR(b, base, twos)
#define LOW(b, base, s) FOUR_OF(b, base, LOW_TWOS(s))
#define HIGH(b, base, s) FOUR_OF(b, base, HIGH_TWOS(s))
#endif

// Of the row that begins at word at: numbers, and the word with their scale.
struct RAW { EIGHT numbers; uint scale; };
uint row_at(uint i) { return i >> 1; }
RAW load_eight(uint at, uint s) {
	uint start = at + blocks(s) * (8 * EIGHT_WORDS + 1), scale = w[start + (first() & 4u) * EIGHT_WORDS];
	uint word = start + place(s) * EIGHT_WORDS + 1;
#if EIGHT_WORDS > 1
	return RAW(uvec2(w[word], w[word + 1]), scale);
#else
	return RAW(w[word], scale);
#endif
}

// numbers makes the fourth eight whole.
EIGHT numbers(RAW v, uint s) {
	uint mask = fourth(s) ? 0xffffu : 0xffffffffu;
#if EIGHT_WORDS > 1
	v.numbers.y = v.numbers.y & mask | v.scale & ~mask;
#else
	v.numbers = v.numbers & mask | v.scale & ~mask;
#endif
	return v.numbers;
}

// Scales are f16 in either half of their word.
float eight_scale(RAW v) { return unpackHalf2x16(v.scale >> (second() ? 16 : 0)).x; }

#ifdef X_BLOCKS
// x in blocks of activations (see backend/q8_a.go), of which each is 9 words: the eight as
// bytes, and the word with the scale of its block.
uvec3 x_eight(uint s) {
	uint block = (p.x >> 1) + 9 * (2 * blocks(s) + uint(second())), at = place(s) & 3u;
	uint low = block + 1 + at * EIGHT_WORDS, next = at == 3 ? block + 1 : low + EIGHT_WORDS;
#if EIGHT_WORDS > 1
	uint a = x[low], b = x[low + 1], c = b, d = x[next];
#else
	uint a = x[low], b = x[next], c = x[low + 4], d = x[next + 4];
#endif
	return uvec3(second() ? a : a >> 16 | b << 16, second() ? c : c >> 16 | d << 16, x[block]);
}

float x_scale(uvec3 v) { return unpackHalf2x16(v.z).x; } // see dot.glsl
#endif

#ifdef TO_BLOCKS
// x that becomes such: the eight as bytes, and the scale of its block.
#include "to_q8_a.glsl"

float x_scale(uvec3 v) { return uintBitsToFloat(v.z); }
#endif

#ifdef DOT
// An eight times one of x, without their scales: an integer. start is offset, of the latter.
int product(RAW v, uvec3 x, int start, uint s) {
	uvec2 b = BYTES(numbers(v, s));
	return dot4(b.x, x.x) + (dot4(b.y, x.y) + start);
}

int offset(uvec3 x) { return OFFSET == 0 ? 0 : -OFFSET * (dot4(0x01010101u, x.x) + dot4(0x01010101u, x.y)); }
#else
// An eight times one of x, without the scale, and start: a chain of multiply-adds.
float product(RAW v, vec4 low, vec4 high, float start, uint s) {
	vec4 a, b;
	FLOATS(numbers(v, s), PUT, a, b);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		start += low[i] * a[i];
	}
	[[unroll]] for (uint i = 0; i < 4; i++) {
		start += high[i] * b[i];
	}
	return start;
}
#endif
