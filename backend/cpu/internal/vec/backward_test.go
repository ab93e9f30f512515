package vec

import (
	"math"
	"slices"
	"testing"
)

func TestNormalizeGradients(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			x, dy, gamma := random(n, 1), random(n, 2), random(n, 3)
			for i := range x {
				x[i] += 1000
			}
			const mean, scale, g, gn = 1000.00001, 0.75, 0.25, -0.5
			squares, sum, product, magnitude := 0.0, 0.0, 0.0, 0.0
			for i := range x {
				d, v := float64(x[i])-mean, float64(dy[i]*gamma[i])
				squares += d * d
				sum += v
				product += v * d
				magnitude += math.Abs(v) * (1 + math.Abs(d))
			}
			gotSquares, gotSum, gotProduct := NormalizeSums(x, dy, gamma, mean)
			near(t, "squares", gotSquares, squares, squares*1e-12)
			near(t, "sum", gotSum, sum, magnitude*1e-12)
			near(t, "product", gotProduct, product, magnitude*1e-12)

			dx, dgamma, dbeta := append(random(n, 1), 77), append(random(n, 4), 77), append(random(n, 5), 77)
			wasGamma, wasBeta := slices.Clone(dgamma), slices.Clone(dbeta)
			NormalizeBackward(dx[:n], x, dy, gamma, mean, scale, g, gn)
			AddNormalized(dgamma[:n], dbeta[:n], x, dy, 1000, scale)
			for i := range x {
				v, normed := float64(dy[i])*float64(gamma[i]), (float64(x[i])-mean)*scale
				near(t, "dx", float64(dx[i]), scale*(v-g-normed*gn), 1e-6*(1+math.Abs(v)+math.Abs(normed)))
				want := float64(wasGamma[i]) + float64(dy[i])*(float64(x[i])-1000)*scale
				near(t, "dgamma", float64(dgamma[i]), want, 1e-6*(1+math.Abs(want)+math.Abs(float64(wasGamma[i]))))
				near(t, "dbeta", float64(dbeta[i]), float64(wasBeta[i]+dy[i]), 0)
			}
			if dx[n] != 77 || dgamma[n] != 77 || dbeta[n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}

func TestSoftmaxBackward(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			d, p := append(random(n, 1), 77), random(n, 2)
			was := slices.Clone(d)
			SoftmaxBackward(d[:n], p, 0.3)
			for i := range n {
				near(t, "gradient", float64(d[i]), float64(p[i]*(was[i]-0.3)), 0)
			}
			if d[n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}

// Every number of a step differs, so that none can stand for another.
func TestAdamW(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		o := AdamW{
			Scale: 0.5, Beta1: 0.875, Rest1: 0.125, Beta2: 0.96875, Rest2: 0.03125,
			Correct1: 3, Correct2: 7, Epsilon: 0.001953125, Decay: 0.0625, Rate: 0.015625,
		}
		for _, n := range lengths {
			w, m, v, g := append(random(n, 1), 77), append(random(n, 2), 77), append(random(n, 3), 77), random(n, 4)
			for i := range v {
				v[i] = v[i] * v[i]
			}
			v[0], g[0], m[0] = 0, 0, 0
			end := v[n]
			w0, m0, v0 := slices.Clone(w), slices.Clone(m), slices.Clone(v)
			o.Move(w[:n], m[:n], v[:n], g)
			for i := range n {
				g := float64(g[i]) * 0.5
				mean, square := 0.875*float64(m0[i])+0.125*g, 0.96875*float64(v0[i])+0.03125*g*g
				move := 0.0625*float64(w0[i]) + mean*3/(math.Sqrt(square*7)+0.001953125)
				near(t, "m", float64(m[i]), mean, 1e-6*(math.Abs(float64(m0[i]))+math.Abs(g)))
				near(t, "v", float64(v[i]), square, 1e-6*square)
				near(t, "w", float64(w[i]), float64(w0[i])-0.015625*move, 1e-6*(1+math.Abs(move)))
			}
			if w[n] != 77 || m[n] != 77 || v[n] != end {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}
