// Blocks of ggml's iq4_nl (see backend/iq4_nl.go): 9 half words for 32 elements.
#include "bytes.glsl"

#define IQ4_NL_BLOCK(at, k) ((at) + ((k) >> 5) * 9u)
#define IQ4_NL_AT(b, at, k) (widened_low(HALF(b, IQ4_NL_BLOCK(at, k))) * \
	iq4_numbers(nibbles_of(WORD(b, IQ4_NL_BLOCK(at, k) + 1u + (((k) & 15u) >> 1)), ((k) & 16u) >> 2)))

#ifdef WORDS
Group iq4_nl_group(utextureBuffer w, uint at, uint k) {
	Texels t = run_of(w, IQ4_NL_BLOCK(at, k), 9u, 2u);
	float scale = widened_low(t.words[0]);
	[[unroll]] for (uint i = 0; i < 4; i++) { // the numbers begin in the middle of a word
		t.words[i] = t.words[i] >> 16 | t.words[i + 1] << 16;
	}
	return iq4_group(t, 0u, scale);
}
#endif
