// Blocks of ggml's iq4_nl (see backend/iq4_nl.go): 9 half words for 32 elements.
#include "bytes.glsl"

#define IQ4_NL_BLOCK(at, k) ((at) + ((k) >> 5) * 9u)
#define IQ4_NL_AT(b, at, k) (widened_low(HALF(b, IQ4_NL_BLOCK(at, k))) * \
	iq4_numbers(nibbles_of(WORD(b, IQ4_NL_BLOCK(at, k) + 1u + (((k) & 15u) >> 1)), ((k) & 16u) >> 2)))
