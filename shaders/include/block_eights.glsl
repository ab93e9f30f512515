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

const uint EIGHT_TWOS = 2 * EIGHT_WORDS;           // of x, between one eight and the next
const uint SECOND_TWO = EIGHT_WORDS > 1 ? 0u : 8u; // what is added in the second block: see two

// Elements of x in twos: where the eight begins, and the last two of its first four (q4_0) or of all.
uint two(uint s) { return blocks(s) * 32 + place(s) * EIGHT_TWOS + (second() ? SECOND_TWO : 1u); }
uint last_two(uint s) { return fourth(s) ? blocks(s) * 32 : two(s) + EIGHT_TWOS - 1; }
#define LOW_TWO(s) (EIGHT_WORDS > 1 ? two(s) + 1 : last_two(s))
#define HIGH_TWOS (EIGHT_WORDS > 1 ? 2u : 8u)
#define HIGH_TWO(s) (EIGHT_WORDS > 1 ? last_two(s) : last_two(s) + 8)
#define ORIGIN x[p.x >> 1].x
#define LOW(b, base, s) vec4(b[((base) >> 1) + two(s)], b[((base) >> 1) + LOW_TWO(s)])
#define HIGH(b, base, s) vec4(b[((base) >> 1) + two(s) + HIGH_TWOS], b[((base) >> 1) + HIGH_TWO(s)])

// Numbers in x and y, and in z the word with the scale, of the row that begins at word at.
#define RAW uvec3
uint row_at(uint i) { return i >> 1; }
RAW load_eight(uint at, uint s) {
	uint start = at + blocks(s) * (8 * EIGHT_WORDS + 1);
	uint word = start + place(s) * EIGHT_WORDS + 1;
	return uvec3(w[word], EIGHT_WORDS > 1 ? w[word + 1] : 0, w[start + (first() & 4u) * EIGHT_WORDS]);
}

// raw_eight makes the fourth eight whole.
RAW raw_eight(RAW v, uint s) {
	uint mask = fourth(s) ? 0xffffu : 0xffffffffu;
	if (EIGHT_WORDS > 1) {
		v.y = v.y & mask | v.z & ~mask;
	} else {
		v.x = v.x & mask | v.z & ~mask;
	}
	return v;
}

float eight_scale(RAW v) { return unpackHalf2x16(v.z >> (second() ? 16 : 0)).x; }

float product(RAW v, vec4 low, vec4 high, uint s) {
	vec4 a, b;
	FLOATS(raw_eight(v, s).xy, PUT, a, b);
	return eight_scale(v) * (dot(low, a) + dot(high, b));
}
