// exp_ for math.glsl, which includes this file twice: with NUMBER float and INTEGER int,
// and with NUMBER vec4 and INTEGER ivec4.

// eˣ with an error of at most 2 units in the last place: x = n·ln 2 + r, a polynomial in
// r (expf of Moshier's Cephes), then two multiplications for 2ⁿ, because 2ⁿ itself may
// overflow where the result does not.
NUMBER exp_(NUMBER x) {
	NUMBER c = mix(clamp(x, -104.0, 89.0), NUMBER(0.0), is_nan(x)); // NaN as an integer is undefined
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
