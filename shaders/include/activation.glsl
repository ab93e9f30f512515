// The functions of backend.Activation and their slopes, with its numbers. f is
// to be a constant, so that a pipeline holds the code of one function alone.
// A slope is 1 or 0 where x is so large that it would round to that, infinities
// included. NaN stays NaN. Include math.glsl first.

const uint GELU_TANH = 1, GELU_ERF = 2, GELU_SIGMOID = 3, RELU = 4, SILU = 5; // 0: none

bool positive(float x) { return x > 0.0; }
bvec4 positive(vec4 x) { return greaterThan(x, vec4(0.0)); }

#define NUMBER float
#include "functions.glsl"
#undef NUMBER
#define NUMBER vec4
#include "functions.glsl"
#undef NUMBER
