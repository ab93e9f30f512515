// Functions of numbers that every driver must compute alike. Vulkan leaves exp
// some slack and NaN mostly undefined, and compilers fold isnan away: hence
// bits and our own exp.

float nan() { return uintBitsToFloat(0x7fc00000u); }

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

bvec4 is_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)); }

bool is_infinite(float x) { return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u; }

#define NUMBER float
#define INTEGER int
#include "exp.glsl"
#undef NUMBER
#undef INTEGER
#define NUMBER vec4
#define INTEGER ivec4
#include "exp.glsl"
#undef NUMBER
#undef INTEGER

// 1/√x, 0 for infinity: a driver may take √x for x · (1/√x).
float inverse_root(float x) { return is_infinite(x) ? 0.0 : 1.0 / sqrt(x); }
