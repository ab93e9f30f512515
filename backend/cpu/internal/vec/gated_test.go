package vec

import (
	"math"
	"slices"
	"testing"
)

func TestGate(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			x, up := random(n, 4), random(n, 3)
			up[n/2], x[n-1] = inf, nan
			got, clipped := append(random(n, 1), 77), append(random(n, 1), 77)
			Clip(clipped[:n], x, 3)
			Gate(got[:n], x, up, 3, 0.5)
			for i := range n {
				near(t, "clip", float64(clipped[i]), math.Min(float64(x[i]), 3), 0)
				near(t, "gate", float64(got[i]), float64(x[i]*(min(max(up[i], -3), 3)+0.5)), 0)
			}
			up[n/2] = nan
			Gate(got[:n], x, up, inf, 0) // no limit
			for i := range n {
				near(t, "gate without a limit", float64(got[i]), float64(x[i]*up[i]), 0)
			}
			if got[n] != 77 || clipped[n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}

func TestRotate(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range append([]int{2, 3, 4, 5, 12}, lengths...) {
			a, b, cos, sin := random(n, 1), random(n, 2), random(n, 3), random(n, 4)
			first, second := append(random(n, 5), 77), append(random(n, 6), 77)
			x, pairs := make([]float32, 2*n), append(random(2*n, 7), 77)
			for i := range n {
				x[2*i], x[2*i+1] = a[i], b[i]
			}
			for _, sign := range []float32{1, -1} {
				Rotate(first[:n], second[:n], a, b, cos, sin, sign)
				RotatePairs(pairs[:2*n], x, cos, sin, sign)
				for i := range n {
					a, b, c, s := float64(a[i]), float64(b[i]), float64(cos[i]), float64(sin[i]*sign)
					within := 2e-7 * (math.Abs(a) + math.Abs(b)) * (math.Abs(c) + math.Abs(s))
					near(t, "first", float64(first[i]), a*c-b*s, within)
					near(t, "second", float64(second[i]), b*c+a*s, within)
					near(t, "first of a pair", float64(pairs[2*i]), a*c-b*s, within)
					near(t, "second of a pair", float64(pairs[2*i+1]), b*c+a*s, within)
				}
			}
			inA, inB, inX := slices.Clone(a), slices.Clone(b), slices.Clone(x)
			Rotate(inA, inB, inA, inB, cos, sin, -1)
			RotatePairs(inX, inX, cos, sin, -1)
			if !slices.Equal(inA, first[:n]) || !slices.Equal(inB, second[:n]) || !slices.Equal(inX, pairs[:2*n]) {
				t.Errorf("n=%d: in place differs", n)
			}
			if first[n] != 77 || second[n] != 77 || pairs[2*n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}
