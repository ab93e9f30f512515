// How a large operand (weights, keys, values) is stored, chosen by macros:
//
//	(none)   float      READ(b, i): element i
//	F16 …    uint       READ(b, i): element i, two a word: types of pairs/
//	X4       vec4       READ(b, i): elements i … i+3, i a multiple of 4
//	F16 X4 … uvec2      READ(b, i)
//	TEXEL    (texture)  READ(b, i), from f32 or f16: the view's format converts
//	WORDS    (texture)  READ(b, i), of types of pairs/ that the view's format does not convert
//	Q8_0 …   uint       READ_AT(b, at, k): elements k … k+3 of the row at at, k a multiple of 4: types of blocks/
//
// A shader that defines RUNS reads those types of blocks/ that have runs with LOAD instead: see runs.glsl.
//
// ELEMENT is the type of the buffer's array. Numbers of 16 bits are read as words
// because not every device (SwiftShader, older GPUs) has 16-bit types.
//
// With WORDS a type of blocks/ is read as texels of 16 bytes: UNPACK(h, t) takes the block that begins
// at 16-bit word h out of the TEXELS texels that it lies in.
//
// VEC is what a read gives, WIDTH its length, and FOURS is defined where that
// is 4: for code that is the same for single elements and for fours. READ_AT
// reads element k of the row that begins at at, of any type. Of quantised
// types bases and strides are in half words, of which their blocks are made.
#include "dtypes.glsl"

#if defined(TEXEL)
#define FOURS
#define READ(b, i) texelFetch(b, int((i) >> 2))
#elif defined(WORDS) && defined(PAIRS)
#define FOURS
vec4 widened(uvec4 u) { return uintBitsToFloat(uvec4(WIDEN(u.x), WIDEN(u.y), WIDEN(u.z), WIDEN(u.w))); }
#define READ(b, i) widened(texelFetch(b, int((i) >> 2)))
#elif defined(X4) && defined(PAIRS)
#define FOURS
#define ELEMENT uvec2
vec4 pair4(uvec2 u) { return vec4(PAIR(u.x), PAIR(u.y)); }
#define READ(b, i) pair4(b[(i) >> 2])
#elif defined(RUNS) && defined(LOAD)
#define FOURS
#define ELEMENT UNIT
#elif defined(BLOCKS)
#define FOURS
#define ELEMENT uint
#define READ_AT BLOCK_AT
#elif defined(X4)
#define FOURS
#define ELEMENT vec4
#define READ(b, i) (b[(i) >> 2])
#elif defined(PAIRS)
#define ELEMENT uint
#define READ(b, i) (PAIR(b[(i) >> 1] >> (((i) & 1u) << 4)).x)
#else
#define ELEMENT float
#define READ(b, i) (b[i])
#endif

#if !defined(READ_AT)
#define READ_AT(b, at, k) READ(b, (at) + (k))
#endif

#if defined(FOURS)
#define VEC vec4
#define WIDTH 4u
float sum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
#else
#define VEC float
#define WIDTH 1u
float sum(float v) { return v; }
#endif

// Activations beside it are f32, with X_F16 of the same type, or with X_Q8_A in
// blocks: single, in fours, or through the texture unit (TEXEL, X_TEXEL). READ_X_AT reads element k
// of the row that begins at at, of any type.
#if defined(X_BLOCKS)
#define X_ELEMENT uint
#define READ_X_AT X_BLOCK_AT
#elif defined(TEXEL) || defined(X_TEXEL)
#define READ_X(b, i) texelFetch(b, int((i) >> 2))
#elif defined(X_PAIRS)
#define X_ELEMENT ELEMENT
#define READ_X READ
#elif defined(X4)
#define X_ELEMENT vec4
#define READ_X(b, i) (b[(i) >> 2])
#elif defined(FOURS)
#define X_ELEMENT float
#define READ_X(b, i) vec4(b[i], b[(i) + 1], b[(i) + 2], b[(i) + 3])
#else
#define X_ELEMENT float
#define READ_X(b, i) (b[i])
#endif

#if !defined(READ_X_AT)
#define READ_X_AT(b, at, k) READ_X(b, (at) + (k))
#endif
