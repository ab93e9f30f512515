// How a large operand (weights, keys, values) is stored, chosen by macros:
//
//	(none)   float      LOAD(b, i): element i
//	F16      uint       LOAD(b, i): element i, two a word
//	X4       vec4       LOAD4(b, i): elements i … i+3, i a multiple of 4
//	F16 X4   uvec2      LOAD4(b, i)
//	TEXEL    (texture)  LOAD4(b, i), from f32 or f16: the view's format converts
//
// ELEMENT is the type of the buffer's array. f16 is read as words because not
// every device (SwiftShader, older GPUs) has 16-bit types.
//
// VEC and READ(b, i) are for code that is the same for single elements and for
// fours: READ gives a VEC that begins at element i, WIDTH is its length.

#if defined(TEXEL)
#define LOAD4(b, i) texelFetch(b, int((i) >> 2))
#elif defined(X4) && defined(F16)
#define ELEMENT uvec2
vec4 half4(uvec2 u) { return vec4(unpackHalf2x16(u.x), unpackHalf2x16(u.y)); }
#define LOAD4(b, i) half4(b[(i) >> 2])
#elif defined(X4)
#define ELEMENT vec4
#define LOAD4(b, i) (b[(i) >> 2])
#elif defined(F16)
#define ELEMENT uint
#define LOAD(b, i) (unpackHalf2x16(b[(i) >> 1] >> (((i) & 1u) << 4)).x)
#else
#define ELEMENT float
#define LOAD(b, i) (b[i])
#endif

#if defined(LOAD4)
#define VEC vec4
#define WIDTH 4u
#define READ(b, i) LOAD4(b, i)
float sum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
#else
#define VEC float
#define WIDTH 1u
#define READ(b, i) LOAD(b, i)
float sum(float v) { return v; }
#endif

// Activations beside it are f32: single, in fours, or through the texture unit.
#if defined(TEXEL)
#define READ_X(b, i) texelFetch(b, int((i) >> 2))
#elif defined(X4)
#define X_ELEMENT vec4
#define READ_X(b, i) (b[(i) >> 2])
#else
#define X_ELEMENT float
#define READ_X(b, i) (b[i])
#endif
