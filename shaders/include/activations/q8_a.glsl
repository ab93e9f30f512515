// Blocks of activations (see backend/q8_a.go): 9 words for 32 elements.
#include "pairs/f16.glsl"

vec4 q8_a_numbers(uint bytes) {
	int i = int(bytes);
	return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8), bitfieldExtract(i, 24, 8));
}

// Four neighbours k … k+3 of the row at half word at, k a multiple of 4. Scales of
// activations are often denormal, so they are converted by integer code.
#define Q8_A_BLOCK(at, k) (((at) >> 1) + ((k) >> 5) * 9u)
#define Q8_A_AT(b, at, k) (uintBitsToFloat(f16_widen(b[Q8_A_BLOCK(at, k)] & 0xffffu)) * q8_a_numbers(b[Q8_A_BLOCK(at, k) + 1u + (((k) & 31u) >> 2)]))
