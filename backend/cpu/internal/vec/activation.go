package vec

import "math"

// The activations and their gradients. s is the logistic function σ at z, and
// func(x) = x·s. 1 − s is s·e with e = exp(−z), which loses no digits.

// GELUTanh is dst = ½·x·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³). It is computed
// as x / (1 + exp(−2u)), which is the same and loses no digits where tanh is
// near −1.
func GELUTanh(dst, x []float32) {
	i := 0
	if wide && len(dst) >= 2*Lanes {
		i = len(dst) &^ (2*Lanes - 1)
		geluTanhWide(&dst[0], &x[:len(dst)][0], i)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		geluTanhFast(&dst[i], &x[:len(dst)][i], n)
		i += n
	}
	for ; i < len(dst); i++ {
		v := x[i]
		dst[i] = v / (1 + exp(v*(v*v*gelu3+gelu1)))
	}
}

// GELUTanhBackward is dx = dy·(s + x·s·(1 − s)·2u'), with z = 2u.
func GELUTanhBackward(dx, x, dy []float32) {
	i := 0
	if wide && len(dx) >= 2*Lanes {
		i = len(dx) &^ (2*Lanes - 1)
		geluTanhBackwardWide(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], i)
	}
	if n := (len(dx) - i) &^ (Lanes - 1); fast && n > 0 {
		geluTanhBackwardFast(&dx[i], &x[:len(dx)][i], &dy[:len(dx)][i], n)
		i += n
	}
	for ; i < len(dx); i++ {
		v := x[i]
		e := exp(v * (v*v*gelu3 + gelu1))
		s := 1 / (1 + e)
		slope := s
		if t := s * e * s; t > 0 { // else u' may be infinite
			slope -= v * t * (3*v*v*gelu3 + gelu1)
		}
		dx[i] = dy[i] * slope
	}
}

// The coefficients of −2u, of x and x³.
const (
	gelu1 = -2 * 0.797884560802865355879892119868763737
	gelu3 = gelu1 * 0.044715
)

// sigmoidScale is that of GELUSigmoid.
const sigmoidScale = 1.702

// GELUSigmoid is dst = x·σ(1.702·x).
func GELUSigmoid(dst, x []float32) { swish(dst, x, sigmoidScale) }

// GELUSigmoidBackward is the gradient of GELUSigmoid.
func GELUSigmoidBackward(dx, x, dy []float32) { swishBackward(dx, x, dy, sigmoidScale) }

// SiLU is dst = x·σ(x).
func SiLU(dst, x []float32) { swish(dst, x, 1) }

// SiLUBackward is the gradient of SiLU.
func SiLUBackward(dx, x, dy []float32) { swishBackward(dx, x, dy, 1) }

// swish is dst = x·σ(scale·x).
func swish(dst, x []float32, scale float32) {
	i := 0
	if wide && len(dst) >= 2*Lanes {
		i = len(dst) &^ (2*Lanes - 1)
		swishWide(&dst[0], &x[:len(dst)][0], i, -scale)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		swishFast(&dst[i], &x[:len(dst)][i], n, -scale)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = x[i] / (1 + exp(-scale*x[i]))
	}
}

// swishBackward is dx = dy·(s + x·s·(1 − s)·scale).
func swishBackward(dx, x, dy []float32, scale float32) {
	i := 0
	if wide && len(dx) >= 2*Lanes {
		i = len(dx) &^ (2*Lanes - 1)
		swishBackwardWide(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], i, -scale)
	}
	if n := (len(dx) - i) &^ (Lanes - 1); fast && n > 0 {
		swishBackwardFast(&dx[i], &x[:len(dx)][i], &dy[:len(dx)][i], n, -scale)
		i += n
	}
	for ; i < len(dx); i++ {
		e := exp(-scale * x[i])
		s := 1 / (1 + e)
		slope := s
		if t := s * e * s; t > 0 { // else x may be infinite
			slope += x[i] * t * scale
		}
		dx[i] = dy[i] * slope
	}
}

// GELUErf is dst = x·Φ(x), Φ being the distribution function of the normal
// distribution: ½·x·(1 + erf(x/√2)).
func GELUErf(dst, x []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		geluErfFast(&dst[0], &x[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		phi, _ := normal(x[i])
		dst[i] = x[i] * phi
	}
}

// GELUErfBackward is dx = dy·(Φ(x) + x·exp(−x²/2)/√(2π)).
func GELUErfBackward(dx, x, dy []float32) {
	i := 0
	if fast && len(dx) >= Lanes {
		i = len(dx) &^ (Lanes - 1)
		geluErfBackwardFast(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], i)
	}
	for ; i < len(dx); i++ {
		slope, e := normal(x[i])
		if e > 0 { // else x may be infinite
			slope += x[i] * e * 0.398942280401432677939946059934381868
		}
		dx[i] = dy[i] * slope
	}
}

// normal is Φ(x), within 2e-7, and e = exp(−x²/2). Below 0 it is e·R(|x|), so that
// it keeps its digits: within 1e-6 of itself down to −3. R is a polynomial in
// t = 1/(1 + 0.305·|x|), as in Abramowitz and Stegun 1964, 26.2.17, but of degree
// 8 with the smallest relative error up to 14, 1e-7, beyond which e is 0 (Remez's
// algorithm). math.glsl has it too.
func normal(x float32) (phi, e float32) {
	e = exp(-0.5 * x * x)
	t := 1 / (1 + 0.305*float32(math.Abs(float64(x))))
	p := float32(0.036696939)
	p = p*t - 0.152978162
	p = p*t + 0.185697817
	p = p*t - 0.0379574823
	p = p*t + 0.121010298
	p = p*t + 0.103424739
	p = p*t + 0.122466113
	p = p*t + 0.121639785
	phi = p * t * e
	if x >= 0 {
		phi = 1 - phi
	}
	return phi, e
}

// ReLU is dst = max(x, 0).
func ReLU(dst, x []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		reluFast(&dst[0], &x[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = max(x[i], 0)
	}
}

// ReLUBackward is dx = dy·s, with s 1 where x > 0, NaN where x is, else 0.
func ReLUBackward(dx, x, dy []float32) {
	i := 0
	if fast && len(dx) >= Lanes {
		i = len(dx) &^ (Lanes - 1)
		reluBackwardFast(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], i)
	}
	for ; i < len(dx); i++ {
		slope := x[i] // NaN
		switch {
		case x[i] > 0:
			slope = 1
		case x[i] <= 0:
			slope = 0
		}
		dx[i] = dy[i] * slope
	}
}
