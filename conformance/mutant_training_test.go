package conformance

import (
	"math"
	"testing"

	"caldera/backend"
)

// overwrites makes a fault of an op that forgets what x held before.
func overwrites(x backend.Tensor) { direct{}.Store(x, NewValues(x.Len())) }

// trainingMutants compute one op of training wrongly.
var trainingMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"is the gradient of another function", "activate_backward", wrong(func(o *backend.ActivateBackward) {
		if o.Func == backend.GELUErf {
			o.Func = backend.GELUTanh
		}
		right(o)
	})},
	{"has a slope at 0", "activate_backward", wrong(func(o *backend.ActivateBackward) {
		if o.Func == backend.ReLU {
			o.X = copied(o.X, func(v float64) float64 {
				if v == 0 {
					return 1
				}
				return v
			})
		}
		right(o)
	})},
	{"forgets the upstream gradient", "activate_backward", wrong(func(o *backend.ActivateBackward) {
		o.DY = copied(o.DY, func(float64) float64 { return 1 })
		right(o)
	})},
	{"multiplies infinity by 0", "activate_backward", wrong(func(o *backend.ActivateBackward) {
		x := direct{}.Load(o.X)
		right(o)
		dx := direct{}.Load(o.DX)
		for i, v := range x.v {
			if math.IsInf(float64(float32(v)*float32(v)), 0) {
				dx.v[i] = math.NaN()
			}
		}
		direct{}.Store(o.DX, dx)
	})},
	{"sets gamma's gradient instead of adding to it", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		overwrites(o.DGamma)
		right(o)
	})},
	{"takes the mean for a constant", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		right(o) // and then without the terms of mean and variance
		gamma, stats := direct{}.Load(o.Gamma), 0
		x := direct{}.Load(o.X)
		n := len(gamma.v)
		eachVector(o.DX, o.DY, func(dy, dst []float64) {
			_, scale := moments(x.Row(stats, n), float64(o.Epsilon))
			stats++
			for i, v := range dy {
				dst[i] = v * gamma.v[i] * scale.Value
			}
		})
	})},
	{"leaves the last row out of the sums", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) {
		dgamma, dbeta := direct{}.Load(o.DGamma), direct{}.Load(o.DBeta)
		right(o)
		if n := o.X.Dim(2); n > 1 {
			direct{}.Store(o.DGamma, dgamma)
			direct{}.Store(o.DBeta, dbeta)
			o.X, o.DY, o.DX, o.Stats = o.X.Slice(2, 0, n-1), o.DY.Slice(2, 0, n-1), o.DX.Slice(2, 0, n-1), o.Stats.Slice(2, 0, n-1)
			right(o)
		}
	})},
	{"sets gamma's gradient instead of adding to it", "rmsnorm_backward", wrong(func(o *backend.RMSNormBackward) {
		if !o.DGamma.Absent() {
			overwrites(o.DGamma)
		}
		right(o)
	})},
	{"takes the root for a constant", "rmsnorm_backward", wrong(func(o *backend.RMSNormBackward) {
		right(o)
		gamma, x := direct{}.Load(o.Gamma), direct{}.Load(o.X)
		n, r := len(gamma.v), 0
		eachVector(o.DX, o.DY, func(dy, dst []float64) {
			scale := rootMeanSquare(x.Row(r, n), float64(o.Epsilon))
			r++
			for i, v := range dy {
				dst[i] = v * gamma.v[i] * scale.Value
			}
		})
	})},
	{"adds epsilon outside of the root", "rmsnorm_backward", wrong(func(o *backend.RMSNormBackward) { o.Epsilon *= o.Epsilon; right(o) })},
	{"swaps the gradients of gate and up", "gated_activation_backward", wrong(func(o *backend.GatedActivationBackward) {
		o.DGate, o.DUp = o.DUp, o.DGate
		right(o)
	})},
	{"lets gradients through a clamp", "gated_activation_backward", wrong(func(o *backend.GatedActivationBackward) {
		if o.Limit > 0 {
			limit := float64(o.Limit)
			o.Gate = copied(o.Gate, func(v float64) float64 { return min(v, limit) })
			o.Up = copied(o.Up, func(v float64) float64 { return max(min(v, limit), -limit) })
		}
		right(o)
	})},
	{"stops gradients at the limit", "gated_activation_backward", wrong(func(o *backend.GatedActivationBackward) {
		gate := direct{}.Load(o.Gate)
		right(o)
		dgate := direct{}.Load(o.DGate)
		for i, v := range gate.v {
			if v == float64(o.Limit) {
				dgate.v[i] = 0
			}
		}
		direct{}.Store(o.DGate, dgate)
	})},
	{"forgets the shift", "gated_activation_backward", wrong(func(o *backend.GatedActivationBackward) { o.Shift = 0; right(o) })},
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
	{"adds up products of f16 in f16", "linear_backward", wrong(func(o *backend.LinearBackward) {
		right(o)
		if o.X.DType == backend.F16 {
			direct{}.Store(o.DW, direct{}.Load(copied(o.DW, truncated(10))))
		}
	})},
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
			fromZero(&o.At, o.DY.Dim(-2))
		}
		right(o)
	})},
	{"sees the next token", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		if n := o.DY.Dim(-2); n > 1 { // as if each query stood one position further on
			q, dq := o.Q, o.DQ
			right(&backend.Copy{Dst: q.Slice(2, 1, n), X: copied(q.Slice(2, 0, n-1), func(v float64) float64 { return v })})
			right(o)
			right(&backend.Copy{Dst: dq.Slice(2, 0, n-1), X: copied(dq.Slice(2, 1, n), func(v float64) float64 { return v })})
			return
		}
		right(o)
	})},
	{"does not scale the scores", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		root := math.Sqrt(float64(o.HeadSize()))
		q := o.Q
		before := copied(q, func(v float64) float64 { return v })
		direct{}.Store(q, direct{}.Load(copied(q, func(v float64) float64 { return v * root })))
		right(o)
		direct{}.Store(q, direct{}.Load(before))
	})},
	{"keeps the last of the heads that share a key", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		if size, groups := o.HeadSize(), o.Groups(); groups < o.Heads {
			shared := o.Heads / groups
			o.DY = copied(o.DY, func(v float64) float64 { return v })
			for h := range o.Heads {
				if h%shared != shared-1 {
					overwrites(o.DY.Slice(-1, h*size, (h+1)*size))
				}
			}
		}
		right(o)
	})},
	{"groups heads the other way", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		size, groups := o.HeadSize(), o.Groups()
		if groups == 1 || groups == o.Heads {
			right(o)
			return
		}
		for _, x := range []backend.Tensor{o.DK, o.DV} {
			direct{}.Store(x, NewValues(x.Len()))
		}
		for h := range o.Heads {
			cut := func(t backend.Tensor, i int) backend.Tensor { return t.Slice(-1, i*size, (i+1)*size) }
			one := *o
			one.Heads, one.Q, one.DQ, one.DY, one.K, one.V = 1, cut(o.Q, h), cut(o.DQ, h), cut(o.DY, h), cut(o.K, h%groups), cut(o.V, h%groups)
			if one.Stats = o.Stats.Slice(1, h, h+1); !o.Sinks.Absent() {
				one.Sinks = o.Sinks.Slice(-1, h, h+1)
			}
			if !o.DSinks.Absent() {
				one.DSinks = o.DSinks.Slice(-1, h, h+1)
			}
			dk, dv := cut(o.DK, h%groups), cut(o.DV, h%groups)
			keep := func(v float64) float64 { return v }
			one.DK, one.DV = copied(dk, keep), copied(dv, keep)
			right(&one)
			right(&backend.Add{Dst: dk, A: copied(dk, keep), B: one.DK})
			right(&backend.Add{Dst: dv, A: copied(dv, keep), B: one.DV})
		}
	})},
	{"sees one row more than its window", "attention_backward", wrong(func(o *backend.AttentionBackward) { widen(&o.Window, 1); right(o) })},
	{"sees one row less than its window", "attention_backward", wrong(func(o *backend.AttentionBackward) { widen(&o.Window, -1); right(o) })},
	{"forgets the scale", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		o.Scale = float32(1 / math.Sqrt(float64(o.HeadSize())))
		right(o)
	})},
	{"forgets the soft-cap", "attention_backward", wrong(func(o *backend.AttentionBackward) { o.SoftCap = 0; right(o) })},
	{"forgets the sink", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		if !o.DSinks.Absent() {
			o.Sinks = copied(o.Sinks, func(float64) float64 { return math.Inf(-1) })
		}
		right(o)
	})},
	{"forgets the gradient of sinks", "attention_backward", wrong(func(o *backend.AttentionBackward) { o.DSinks = backend.Tensor{}; right(o) })},
	{"overwrites the gradient of sinks", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		if !o.DSinks.Absent() {
			overwrites(o.DSinks)
		}
		right(o)
	})},
	{"mixes sequences", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		if n := o.DY.Dim(1); n > 1 {
			o.DY = copied(o.DY, func(v float64) float64 { return v })
			right(&backend.Copy{Dst: o.DY.Slice(1, 1, 2), X: copied(o.DY.Slice(1, 0, 1), func(v float64) float64 { return v })})
		}
		right(o)
	})},
	{"overflows in exp", "cross_entropy", wrong(func(o *backend.CrossEntropy) {
		x := direct{}.Load(o.X)
		right(o)
		loss := direct{}.Load(o.Loss)
		for r := range loss.v {
			for _, v := range x.Row(r, o.X.Dim(-1)).v {
				if math.IsInf(float64(float32(math.Exp(v))), 0) {
					loss.v[r] = math.Inf(1)
				}
			}
		}
		direct{}.Store(o.Loss, loss)
	})},
	{"counts targets outside", "cross_entropy", wrong(func(o *backend.CrossEntropy) {
		last := float64(o.X.Dim(-1) - 1)
		o.Targets = copied(o.Targets, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"forgets the target in the gradient", "cross_entropy", wrong(func(o *backend.CrossEntropy) {
		x := copied(o.X, func(v float64) float64 { return v })
		right(o)
		right(&backend.Softmax{Dst: o.X, X: x})
		direct{}.Store(o.X, direct{}.Load(copied(o.X, func(v float64) float64 { return v * float64(o.Scale) })))
	})},
	{"forgets what gradients are multiplied by", "cross_entropy", wrong(func(o *backend.CrossEntropy) { o.LossScale = backend.Tensor{}; right(o) })},
	{"has a mean of its own", "cross_entropy", wrong(func(o *backend.CrossEntropy) { o.Scale = 1 / float32(o.X.Dim(-2)); right(o) })},
	{"forgets to square", "sum_squares", wrong(func(o *backend.SumSquares) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			for _, v := range x {
				dst[0] += math.Abs(v)
			}
		})
	})},
	{"clips every gradient", "global_norm", wrong(func(o *backend.GlobalNorm) {
		right(o)
		norm := direct{}.Load(o.Dst)
		if !math.IsInf(float64(o.Max), 1) {
			norm.v[1] = float64(o.Max) / (norm.v[0] + 1e-6)
		}
		direct{}.Store(o.Dst, norm)
	})},
	{"takes no root", "global_norm", wrong(func(o *backend.GlobalNorm) {
		right(o)
		norm := direct{}.Load(o.Dst)
		norm.v[0] *= norm.v[0]
		direct{}.Store(o.Dst, norm)
	})},
	{"adds the decay to the gradient", "adamw", wrong(func(o *backend.AdamW) { // Adam with L2 regularisation
		w := direct{}.Load(o.W)
		i := -1
		o.G = copied(o.G, func(g float64) float64 { i++; return g + float64(o.Decay)*w.v[i] })
		o.Decay = 0
		right(o)
	})},
	{"does not correct the means", "adamw", wrong(func(o *backend.AdamW) {
		o.Step = copied(o.Step, func(v float64) float64 { return v })
		direct{}.Store(o.Step.Slice(-1, 1, 3), Values{v: []float64{1, 1}})
		right(o)
	})},
	{"adds epsilon under the root", "adamw", wrong(func(o *backend.AdamW) {
		o.Epsilon = float32(math.Sqrt(float64(o.Epsilon)))
		right(o)
	})},
	{"forgets to clip", "adamw", wrong(func(o *backend.AdamW) { o.Scale = backend.Tensor{}; right(o) })},
	{"does not make up for what it drops", "dropout", wrong(func(o *backend.Dropout) {
		rate := float64(o.Rate)
		right(o)
		direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, func(v float64) float64 { return v * (1 - rate) })))
	})},
	{"counts elements by their place in memory", "dropout", wrong(func(o *backend.Dropout) {
		for r := range o.X.Dim(2) {
			x, dst := o.X.Slice(2, r, r+1), o.Dst.Slice(2, r, r+1)
			right(&backend.Dropout{Dst: dst, X: x, Seed: o.Seed, Rate: o.Rate, Stream: o.Stream})
		}
	})},
	{"has one mask for all steps", "dropout", wrong(func(o *backend.Dropout) {
		seed := direct{}.Load(o.Seed)
		seed.v[2], seed.v[3] = 0, 0
		o.Seed = copied(o.Seed, func(v float64) float64 { return v })
		direct{}.Store(o.Seed, seed)
		right(o)
	})},
	{"has one mask for all streams", "dropout", wrong(func(o *backend.Dropout) { o.Stream = 0; right(o) })},
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
