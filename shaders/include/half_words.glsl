// Blocks of quantised types out of a buffer of words. They are an odd number of
// half words, so every other one begins in the middle of a word.

#ifdef WORDS
// Block is 32 elements: numbers times scale.
struct Block {
	float scale;
	vec4 numbers[8];
};

// Four texels, of which a block's first word is among the first four. shifted returns them from that word on, for 16-bit word h.
struct Texels {
	uint words[16];
};

Texels shifted(uint h, Texels t) {
	[[unroll]] for (uint i = 0; i < 14; i++) {
		t.words[i] = mix(t.words[i], t.words[i + 2], (h & 4u) != 0);
	}
	[[unroll]] for (uint i = 0; i < 13; i++) {
		t.words[i] = mix(t.words[i], t.words[i + 1], (h & 2u) != 0);
	}
	return t;
}

// block_scale is the f16 that a block begins with, and block_word word i of its numbers, which begin behind it.
float block_scale(uint h, Texels t) { return unpackHalf2x16(mix(t.words[0], t.words[0] >> 16, (h & 1u) != 0)).x; }
uint block_word(uint h, Texels t, uint i) {
	return mix(t.words[i] >> 16 | t.words[i + 1] << 16, t.words[i + 1], (h & 1u) != 0);
}
#endif

#define HALF(b, h) ((b[(h) >> 1] >> (((h) & 1u) << 4)) & 0xffffu)
// WORD is two half words, from any.
#define WORD(b, h) (((h) & 1u) == 0 ? b[(h) >> 1] : b[(h) >> 1] >> 16 | b[((h) >> 1) + 1] << 16)
#define SCALE(b, h) unpackHalf2x16(HALF(b, h)).x
