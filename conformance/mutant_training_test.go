package conformance

import (
	"math"
	"testing"

	"caldera/backend"
)

// overwrites makes a fault of an op that forgets what x held before.
func overwrites(x backend.Tensor) { direct{}.store(x, newValues(x.Len())) }

// trainingMutants compute one op of training wrongly.
var trainingMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"is the gradient of the sigmoid's GELU", "gelu_backward", wrong(func(o *backend.GELUBackward) {
		dy := direct{}.load(o.DY)
		i := 0
		eachVector(o.DX, o.X, func(x, dst []float64) {
			for j, v := range x {
				s := 1 / (1 + math.Exp(-1.702*v))
				dst[j] = dy.v[i] * (s + 1.702*v*s*(1-s))
				i++
			}
		})
	})},
	{"forgets the upstream gradient", "gelu_backward", wrong(func(o *backend.GELUBackward) {
		o.DY = copied(o.DY, func(float64) float64 { return 1 })
		right(o)
	})},
	{"multiplies infinity by 0", "gelu_backward", wrong(func(o *backend.GELUBackward) {
		x := direct{}.load(o.X)
		right(o)
		dx := direct{}.load(o.DX)
		for i, v := range x.v {
			if math.IsInf(float64(float32(v)*float32(v)), 0) {
				dx.v[i] = math.NaN()
			}
		}
		direct{}.store(o.DX, dx)
	})},
	{"sets gamma's gradient instead of adding to it", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		overwrites(o.DGamma)
		right(o)
	})},
	{"takes the mean for a constant", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		right(o) // and then without the terms of mean and variance
		gamma, stats := direct{}.load(o.Gamma), 0
		x := direct{}.load(o.X)
		n := len(gamma.v)
		eachVector(o.DX, o.DY, func(dy, dst []float64) {
			_, scale := moments(x.row(stats, n), float64(o.Epsilon))
			stats++
			for i, v := range dy {
				dst[i] = v * gamma.v[i] * scale.v
			}
		})
	})},
	{"leaves the last row out of the sums", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		dgamma, dbeta := direct{}.load(o.DGamma), direct{}.load(o.DBeta)
		right(o)
		if n := o.X.Dim(2); n > 1 {
			direct{}.store(o.DGamma, dgamma)
			direct{}.store(o.DBeta, dbeta)
			o.X, o.DY, o.DX, o.Stats = o.X.Slice(2, 0, n-1), o.DY.Slice(2, 0, n-1), o.DX.Slice(2, 0, n-1), o.Stats.Slice(2, 0, n-1)
			right(o)
		}
	})},
	{"sets the matrix's gradient instead of adding to it", "linear_backward", wrong(func(o *backend.LinearBackward) {
		overwrites(o.DW)
		right(o)
	})},
	{"ignores dw's orientation", "linear_backward", wrong(func(o *backend.LinearBackward) {
		if o.DW.Stride(-1) != 1 {
			o.DW.Strides[2], o.DW.Strides[3] = o.DW.Dim(-1), 1
		}
		right(o)
	})},
	{"forgets the bias's gradient", "linear_backward", wrong(func(o *backend.LinearBackward) { o.DBias = backend.Tensor{}; right(o) })},
	{"sums the first of the outer axes only", "linear_backward", wrong(func(o *backend.LinearBackward) {
		o.X, o.DY = o.X.Slice(1, 0, 1), o.DY.Slice(1, 0, 1)
		right(o)
	})},
	{"multiplies in f16", "linear_backward", wrong(func(o *backend.LinearBackward) { o.X = copied(o.X, truncated(10)); right(o) })},
	{"loses all but one of equal ids", "embedding_backward", wrong(func(o *backend.EmbeddingBackward) {
		seen := map[float64]bool{}
		o.IDs = copied(o.IDs, func(id float64) float64 {
			if seen[id] {
				return -1
			}
			seen[id] = true
			return id
		})
		right(o)
	})},
	{"clamps ids to the vocabulary", "embedding_backward", wrong(func(o *backend.EmbeddingBackward) {
		last := float64(o.DTokens.Dim(-2) - 1)
		o.IDs = copied(o.IDs, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"counts positions from 0", "embedding_backward", wrong(func(o *backend.EmbeddingBackward) {
		if !o.At.Absent() {
			o.At = copied(o.At, func(float64) float64 { return 0 })
		}
		right(o)
	})},
}

func TestTrainingMutants(t *testing.T) {
	for _, m := range trainingMutants {
		t.Run(m.group+"/"+m.name, func(t *testing.T) {
			caught := examine(m.open, m.group)
			if len(caught) == 0 {
				t.Fatal("no check failed")
			}
			t.Log(caught[0])
		})
	}
}
