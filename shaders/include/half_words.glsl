// Blocks of quantised types out of a buffer of words. They are an odd number of
// half words, so every other one begins in the middle of a word.

#define HALF(b, h) ((b[(h) >> 1] >> (((h) & 1u) << 4)) & 0xffffu)
// WORD is two half words, from any.
#define WORD(b, h) (((h) & 1u) == 0 ? b[(h) >> 1] : b[(h) >> 1] >> 16 | b[((h) >> 1) + 1] << 16)
#define SCALE(b, h) unpackHalf2x16(HALF(b, h)).x
