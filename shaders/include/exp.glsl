// exp_ for math.glsl, which includes this once for numbers and once for vectors
// of four: NUMBER is float and INTEGER int, or vec4 and ivec4.

// e^x within 2 units in the last place: x = n·ln 2 + r, then a polynomial in r
// (Moshier's Cephes, expf) times 2ⁿ in two steps, so that neither overflows early.
NUMBER exp_(NUMBER x) {
	NUMBER c = clamp(x, -104.0, 89.0);
	NUMBER n = floor(c * 1.44269504 + 0.5);
	precise NUMBER r = (c - n * 0.693359375) - n * -2.12194440e-4;
	NUMBER p = NUMBER(1.9875691500e-4);
	p = p * r + 1.3981999507e-3;
	p = p * r + 8.3334519073e-3;
	p = p * r + 4.1665795894e-2;
	p = p * r + 1.6666665459e-1;
	p = p * r + 5.0000001201e-1;
	p = (p * r * r + r) + 1.0;
	INTEGER k = INTEGER(n), half_k = k >> 1;
	NUMBER y = p * intBitsToFloat((half_k + 127) << 23) * intBitsToFloat((k - half_k + 127) << 23);
	return mix(y, x, is_nan(x));
}
