// The functions of backend.Activation and their slopes, with its numbers. f is
// to be a constant, so that a pipeline holds the code of one function alone.
// A slope is 1 or 0 where x is so large that it would round to that, infinities
// included. NaN stays NaN. Include math.glsl first.

const uint GELU_TANH = 1, GELU_ERF = 2, GELU_SIGMOID = 3, RELU = 4, SILU = 5; // 0: none

// x·σ(β·x), σ(z) = 1 / (1 + e^(−z)): nothing cancels for large negative x.
float swish(float x, float beta) { return x / (1.0 + exp_(-beta * x)); }

float swish_slope(float x, float beta) {
	float s = 1.0 / (1.0 + exp_(-beta * x)), steep = s * (1.0 - s);
	return steep > 0.0 ? s + beta * x * steep : s; // where steep is 0, x may be infinite
}

// Φ(x) = ½·(1 + erf(x/√2)), with e = e^(−x²/2) at hand. Below 0 it is e·P(|x|), so
// that no digits are lost: see normal in backend/cpu/internal/vec/activation.go.
float normal(float x, float e) {
	float t = 1.0 / (1.0 + 0.305 * abs(x));
	float p = 0.036696939;
	p = p * t - 0.152978162;
	p = p * t + 0.185697817;
	p = p * t - 0.0379574823;
	p = p * t + 0.121010298;
	p = p * t + 0.103424739;
	p = p * t + 0.122466113;
	p = p * t + 0.121639785;
	float tail = p * t * e;
	return x < 0.0 ? tail : 1.0 - tail;
}

float activation(uint f, float x) {
	switch (f) {
	case GELU_TANH: return gelu(x);
	case GELU_ERF: return x * normal(x, exp_(-0.5 * x * x));
	case GELU_SIGMOID: return swish(x, 1.702);
	case RELU: return is_nan(x) ? x : max(x, 0.0);
	case SILU: return swish(x, 1.0);
	}
	return x;
}

float slope(uint f, float x) {
	switch (f) {
	case GELU_TANH: {
		const float one = 2.0 * 0.797884561, three = one * 0.044715; // GELU is x·σ(one·x + three·x³)
		float s = 1.0 / (1.0 + exp_(-x * (one + three * x * x))), steep = s * (1.0 - s);
		return steep > 0.0 ? s + x * steep * (one + 3.0 * three * x * x) : s;
	}
	case GELU_ERF: {
		float e = exp_(-0.5 * x * x), s = normal(x, e);
		return e > 0.0 ? s + x * e * 0.398942280 : s; // 1/√(2π)
	}
	case GELU_SIGMOID: return swish_slope(x, 1.702);
	case RELU: return is_nan(x) ? x : x > 0.0 ? 1.0 : 0.0;
	case SILU: return swish_slope(x, 1.0);
	}
	return 1.0;
}

vec4 activation(uint f, vec4 x) { return vec4(activation(f, x.x), activation(f, x.y), activation(f, x.z), activation(f, x.w)); }

vec4 slope(uint f, vec4 x) { return vec4(slope(f, x.x), slope(f, x.y), slope(f, x.z), slope(f, x.w)); }

// at_most is x, but limit where it is above; within clamps it to ±limit. NaN
// stays NaN.
float at_most(float x, float limit) { return is_nan(x) ? x : min(x, limit); }
float within(float x, float limit) { return is_nan(x) ? x : clamp(x, -limit, limit); }

vec4 at_most(vec4 x, float limit) { return vec4(at_most(x.x, limit), at_most(x.y, limit), at_most(x.z, limit), at_most(x.w, limit)); }
vec4 within(vec4 x, float limit) { return vec4(within(x.x, limit), within(x.y, limit), within(x.z, limit), within(x.w, limit)); }
