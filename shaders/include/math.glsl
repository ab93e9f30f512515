// Functions that must be accurate, and right for NaN, with every driver. Vulkan allows
// large errors in exp and defines NaN only in part, and some compilers remove isnan. So
// these functions test bits, and exp_ replaces exp.

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

// 1/√x, and 0 for infinity. It is no 1.0/sqrt(x), because a driver may compute sqrt(x) as
// x · (1/√x), which is NaN for infinity.
float inverse_root(float x) { return is_infinite(x) ? 0.0 : 1.0 / sqrt(x); }

// tanh x with an error of a few units in the last place: e / (e + 2) with
// e = exp(2x) − 1, computed as 2ⁿ·(exp(r) − 1) + (2ⁿ − 1), which is accurate near 0.
float tanh_(float x) {
	float c = is_nan(x) ? 0.0 : clamp(2.0 * x, -18.0, 18.0); // NaN as an integer is undefined
	float n = floor(c * 1.44269504 + 0.5);
	precise float r = (c - n * 0.693359375) - n * -2.12194440e-4;
	float p = 1.9875691500e-4;
	p = p * r + 1.3981999507e-3;
	p = p * r + 8.3334519073e-3;
	p = p * r + 4.1665795894e-2;
	p = p * r + 1.6666665459e-1;
	p = p * r + 5.0000001201e-1;
	float power = intBitsToFloat((int(n) + 127) << 23);
	precise float e = (p * r * r + r) * power + (power - 1.0);
	return is_nan(x) ? x : e / (e + 2.0);
}
