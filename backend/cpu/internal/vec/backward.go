package vec

import "math"

// NormalizeSums returns the sums that the gradient of a normalization needs: those of
// d², of g, and of g·d, in float64, with d = x − mean and g = dy·gamma.
func NormalizeSums(x, dy, gamma []float32, mean float64) (squares, g, gd float64) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		squares, g, gd = normalizeSumsFast(&x[0], &dy[:len(x)][0], &gamma[:len(x)][0], i, mean)
	}
	for ; i < len(x); i++ {
		d := float64(x[i]) - mean
		v := float64(dy[i] * gamma[i])
		squares += d * d
		g += v
		gd += v * d
	}
	return squares, g, gd
}

// NormalizeBackward computes the gradient of a normalization: dx = scale·(dy·gamma −
// g − n·gn) with n = (x − mean)·scale. g is the mean of dy·gamma, and gn the mean of
// dy·gamma·n. The mean is subtracted as two float32, as in [Normalize].
func NormalizeBackward(dx, x, dy, gamma []float32, mean float64, scale, g, gn float32) {
	hi := float32(mean)
	lo := float32(mean - float64(hi))
	i := 0
	if fast && len(dx) >= Lanes {
		i = len(dx) &^ (Lanes - 1)
		normalizeBackwardFast(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], &gamma[:len(dx)][0], i, hi, lo, scale, g, gn)
	}
	for ; i < len(dx); i++ {
		n := (x[i] - hi - lo) * scale
		dx[i] = scale * (float32(dy[i]*gamma[i]) - g - n*gn)
	}
}

// AddNormalized computes dgamma += dy·(x − mean)·scale and dbeta += dy.
func AddNormalized(dgamma, dbeta, x, dy []float32, mean, scale float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		addNormalizedFast(&dgamma[:len(x)][0], &dbeta[:len(x)][0], &x[0], &dy[:len(x)][0], i, mean, scale)
	}
	for ; i < len(x); i++ {
		dgamma[i] += dy[i] * ((x[i] - mean) * scale)
		dbeta[i] += dy[i]
	}
}

// SoftmaxBackward computes d = p·(d − mean): the gradient of a softmax with the
// probabilities p. mean must be Σ p·d.
func SoftmaxBackward(d, p []float32, mean float32) {
	i := 0
	if fast && len(d) >= Lanes {
		i = len(d) &^ (Lanes - 1)
		softmaxBackwardFast(&d[0], &p[:len(d)][0], i, mean)
	}
	for ; i < len(d); i++ {
		d[i] = p[i] * (d[i] - mean)
	}
}

// AdamW has the settings of a step of AdamW (see backend.AdamW for the formula). The
// assembly reads the fields by their offsets.
type AdamW struct {
	Scale              float32 // of gradients
	Beta1, Rest1       float32 // Rest is 1 − Beta
	Beta2, Rest2       float32
	Correct1, Correct2 float32 // 1 / (1 − Betaᵗ)
	Epsilon            float32
	Decay              float32
	Rate               float32
}

// Move updates the weights w, and their moving averages m and v, with gradients g.
func (o *AdamW) Move(w, m, v, g []float32) {
	i := 0
	if fast && len(w) >= Lanes {
		i = len(w) &^ (Lanes - 1)
		adamWFast(&w[0], &m[:len(w)][0], &v[:len(w)][0], &g[:len(w)][0], i, o)
	}
	for ; i < len(w); i++ {
		g := g[i] * o.Scale
		m[i] = o.Beta1*m[i] + o.Rest1*g
		v[i] = o.Beta2*v[i] + o.Rest2*g*g
		root := float32(math.Sqrt(float64(v[i] * o.Correct2)))
		w[i] -= o.Rate * (o.Decay*w[i] + m[i]*o.Correct1/(root+o.Epsilon))
	}
}
