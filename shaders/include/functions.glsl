// The functions of activation.glsl, which includes this once for numbers and once
// for vectors of four: NUMBER is float, or vec4. Vectors make shaders that apply
// a function in many places small. positive(x) is x > 0, for each number.

// x·σ(z): nothing cancels for large negative z.
NUMBER swish(NUMBER x, NUMBER z) { return x / (1.0 + exp_(-z)); }

// The slope of x·σ(z), where z has the slope dz.
NUMBER swish_slope(NUMBER x, NUMBER z, NUMBER dz) {
	NUMBER s = 1.0 / (1.0 + exp_(-z)), steep = s * (1.0 - s);
	return mix(s, s + x * steep * dz, positive(steep)); // where steep is 0, x or dz may be infinite
}

// ½·x·(1 + tanh(u)) is x·σ(z), z = 2·u.
NUMBER gelu_exponent(NUMBER x) { return 1.595769122 * (x + 0.044715 * x * x * x); }

// Φ(x) = ½·(1 + erf(x/√2)), with e = e^(−x²/2) at hand. Below 0 it is e·P(|x|), so
// that no digits are lost: see normal in backend/cpu/internal/vec/activation.go.
NUMBER normal(NUMBER x, NUMBER e) {
	NUMBER t = 1.0 / (1.0 + 0.305 * min(abs(x), 100.0)); // e is 0, or NaN, where that matters
	NUMBER p = NUMBER(0.036696939);
	p = p * t - 0.152978162;
	p = p * t + 0.185697817;
	p = p * t - 0.0379574823;
	p = p * t + 0.121010298;
	p = p * t + 0.103424739;
	p = p * t + 0.122466113;
	p = p * t + 0.121639785;
	p = p * t * e;
	return mix(p, 1.0 - p, positive(x));
}

NUMBER activation(uint f, NUMBER x) {
	if (f == GELU_TANH) {
		x = swish(x, gelu_exponent(x));
	} else if (f == GELU_ERF) {
		x *= normal(x, exp_(-0.5 * x * x));
	} else if (f == GELU_SIGMOID) {
		x = swish(x, 1.702 * x);
	} else if (f == RELU) {
		x = mix(max(x, 0.0), x, is_nan(x));
	} else if (f == SILU) {
		x = swish(x, x);
	}
	return x;
}

NUMBER slope(uint f, NUMBER x) {
	NUMBER y = NUMBER(1.0);
	if (f == GELU_TANH) {
		y = swish_slope(x, gelu_exponent(x), 1.595769122 + 3.0 * 0.044715 * 1.595769122 * x * x);
	} else if (f == GELU_ERF) {
		NUMBER e = exp_(-0.5 * x * x);
		y = normal(x, e);
		y = mix(y, y + x * e * 0.398942280, positive(e)); // 1/√(2π); where e is 0, x may be infinite
	} else if (f == GELU_SIGMOID) {
		y = swish_slope(x, 1.702 * x, NUMBER(1.702));
	} else if (f == RELU) {
		y = mix(mix(NUMBER(0.0), NUMBER(1.0), positive(x)), x, is_nan(x));
	} else if (f == SILU) {
		y = swish_slope(x, x, NUMBER(1.0));
	}
	return y;
}
