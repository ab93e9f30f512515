package vec

import "math"

// NormalizeSums is what the gradient of a normalization needs to know of a
// vector beside its mean: with d = x − mean and g = dy·gamma, the sums of d²,
// of g, and of g·d, in float64.
func NormalizeSums(x, dy, gamma []float32, mean float64) (squares, g, gd float64) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		squares, g, gd = normalizeSumsAVX2(&x[0], &dy[:len(x)][0], &gamma[:len(x)][0], i, mean)
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

// NormalizeBackward is dx = scale·(dy·gamma − g − n·gn), n = (x − mean)·scale:
// the gradient of a normalization, g and gn being the means of dy·gamma and
// of that times n. The mean is taken off in two parts, as in [Normalize].
func NormalizeBackward(dx, x, dy, gamma []float32, mean float64, scale, g, gn float32) {
	hi := float32(mean)
	lo := float32(mean - float64(hi))
	i := 0
	if fast && len(dx) >= Lanes {
		i = len(dx) &^ (Lanes - 1)
		normalizeBackwardAVX2(&dx[0], &x[:len(dx)][0], &dy[:len(dx)][0], &gamma[:len(dx)][0], i, hi, lo, scale, g, gn)
	}
	for ; i < len(dx); i++ {
		n := (x[i] - hi - lo) * scale
		dx[i] = scale * (float32(dy[i]*gamma[i]) - g - n*gn)
	}
}

// AddNormalized is dgamma += dy·(x − mean)·scale and dbeta += dy.
func AddNormalized(dgamma, dbeta, x, dy []float32, mean, scale float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		addNormalizedAVX2(&dgamma[:len(x)][0], &dbeta[:len(x)][0], &x[0], &dy[:len(x)][0], i, mean, scale)
	}
	for ; i < len(x); i++ {
		dgamma[i] += dy[i] * ((x[i] - mean) * scale)
		dbeta[i] += dy[i]
	}
}

// SoftmaxBackward is d = p·(d − mean): the gradient of a softmax with the
// probabilities p, mean being Σ p·d.
func SoftmaxBackward(d, p []float32, mean float32) {
	i := 0
	if fast && len(d) >= Lanes {
		i = len(d) &^ (Lanes - 1)
		softmaxBackwardAVX2(&d[0], &p[:len(d)][0], i, mean)
	}
	for ; i < len(d); i++ {
		d[i] = p[i] * (d[i] - mean)
	}
}

// AdamW is a step of AdamW, for which package backend has the formula. The
// assembly reads the fields by their place.
type AdamW struct {
	Scale              float32 // of gradients
	Beta1, Rest1       float32 // Rest is 1 − Beta
	Beta2, Rest2       float32
	Correct1, Correct2 float32 // 1 / (1 − Betaᵗ)
	Epsilon            float32
	Decay              float32
	Rate               float32
}

// Move moves the weights w against their gradients g, and their means m and v.
func (o *AdamW) Move(w, m, v, g []float32) {
	i := 0
	if fast && len(w) >= Lanes {
		i = len(w) &^ (Lanes - 1)
		adamWAVX2(&w[0], &m[:len(w)][0], &v[:len(w)][0], &g[:len(w)][0], i, o)
	}
	for ; i < len(w); i++ {
		g := g[i] * o.Scale
		m[i] = o.Beta1*m[i] + o.Rest1*g
		v[i] = o.Beta2*v[i] + o.Rest2*g*g
		root := float32(math.Sqrt(float64(v[i] * o.Correct2)))
		w[i] -= o.Rate * (o.Decay*w[i] + m[i]*o.Correct1/(root+o.Epsilon))
	}
}
