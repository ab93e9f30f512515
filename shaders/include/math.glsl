// Functions of numbers that every driver must compute alike. Vulkan leaves exp
// some slack and NaN mostly undefined, and compilers fold isnan away: hence
// bits and our own exp.

float nan() { return uintBitsToFloat(0x7fc00000u); }

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

bool is_infinite(float x) { return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u; }

// e^x within 2 units in the last place: x = n·ln 2 + r, then a polynomial in r
// (Moshier's Cephes, expf) times 2ⁿ in two steps, so that neither overflows early.
float exp_(float x) {
	float c = clamp(x, -104.0, 89.0);
	float n = floor(c * 1.44269504 + 0.5);
	precise float r = (c - n * 0.693359375) - n * -2.12194440e-4;
	float p = 1.9875691500e-4;
	p = p * r + 1.3981999507e-3;
	p = p * r + 8.3334519073e-3;
	p = p * r + 4.1665795894e-2;
	p = p * r + 1.6666665459e-1;
	p = p * r + 5.0000001201e-1;
	p = (p * r * r + r) + 1.0;
	int k = int(n), half_k = k >> 1;
	float y = p * intBitsToFloat((half_k + 127) << 23) * intBitsToFloat((k - half_k + 127) << 23);
	return is_nan(x) ? x : y;
}

// 1/√x, 0 for infinity: a driver may take √x for x · (1/√x).
float inverse_root(float x) { return is_infinite(x) ? 0.0 : 1.0 / sqrt(x); }

// tanh x within a few units in the last place: with e = exp(2x) − 1 it is
// e / (e + 2), and e = 2ⁿ·(exp(r) − 1) + (2ⁿ − 1), which loses no digits near 0.
float tanh_(float x) {
	float c = clamp(2.0 * x, -18.0, 18.0);
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

// ½·x·(1 + tanh(u)) = x / (1 + e^(−2u)): nothing cancels for large negative x.
float gelu(float x) {
	float u = 0.797884561 * (x + 0.044715 * x * x * x);
	return x / (1.0 + exp_(-2.0 * u));
}

vec4 gelu(vec4 x) { return vec4(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w)); }
