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

// at_most is x, but limit where it is above; within clamps it to ±limit. NaN
// stays NaN.
float at_most(float x, float limit) { return is_nan(x) ? x : min(x, limit); }
float within(float x, float limit) { return is_nan(x) ? x : clamp(x, -limit, limit); }

vec4 at_most(vec4 x, float limit) { return vec4(at_most(x.x, limit), at_most(x.y, limit), at_most(x.z, limit), at_most(x.w, limit)); }
vec4 within(vec4 x, float limit) { return vec4(within(x.x, limit), within(x.y, limit), within(x.z, limit), within(x.w, limit)); }
