package conformance

import (
	"math"
	"slices"

	"caldera/backend"
)

// expertMutants compute mixtures of experts wrongly.
var expertMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"takes the highest of equals", "route", wrong(func(o *backend.Route) {
		routed(o, func(x []float64, a, b int) bool { return x[a] > x[b] || x[a] == x[b] && a > b })
	})},
	{"chooses the smallest", "route", wrong(func(o *backend.Route) { routed(o, func(x []float64, a, b int) bool { return x[a] < x[b] }) })},
	{"compares magnitudes", "route", wrong(func(o *backend.Route) {
		routed(o, func(x []float64, a, b int) bool { return math.Abs(x[a]) > math.Abs(x[b]) })
	})},
	{"tells apart zeros and what is below the normal numbers", "route", wrong(func(o *backend.Route) {
		routed(o, func(x []float64, a, b int) bool {
			return x[a] > x[b] || x[a] == x[b] && !math.Signbit(x[a]) && math.Signbit(x[b])
		})
	})},
	{"has the largest begin at -1e30", "route", wrong(func(o *backend.Route) {
		o.X = copied(o.X, func(v float64) float64 { return max(v, -1e30) })
		right(o)
	})},
	{"passes over NaN", "route", wrong(func(o *backend.Route) {
		o.X = copied(o.X, func(v float64) float64 {
			if math.IsNaN(v) {
				return math.Inf(-1)
			}
			return v
		})
		right(o)
	})},
	{"orders the chosen by their ids", "route", wrong(func(o *backend.Route) {
		right(o)
		ids, weights, n := direct{}.Load(o.IDs), direct{}.Load(o.Weights), o.IDs.Dim(-1)
		for r := range o.IDs.Rows() {
			id, weight := ids.Row(r, n).v, weights.Row(r, n).v
			for i := range n {
				for j := range i {
					if id[j] > id[i] {
						id[i], id[j], weight[i], weight[j] = id[j], id[i], weight[j], weight[i]
					}
				}
			}
		}
		direct{}.Store(o.IDs, ids)
		direct{}.Store(o.Weights, weights)
	})},
	{"takes the softmax of all", "route", wrong(func(o *backend.Route) {
		right(o)
		x, ids, weights := direct{}.Load(o.X), direct{}.Load(o.IDs), direct{}.Load(o.Weights)
		n, chosen := o.X.Dim(-1), o.IDs.Dim(-1)
		for r := range o.X.Rows() {
			p := softmax(x.Row(r, n))
			for c := range chosen {
				weights.Put(r*chosen+c, p.At(int(ids.v[r*chosen+c])))
			}
		}
		direct{}.Store(o.Weights, weights)
	})},
	{"overflows in exp", "route", wrong(func(o *backend.Route) {
		right(o)
		x, ids, weights := direct{}.Load(o.X), direct{}.Load(o.IDs), direct{}.Load(o.Weights)
		n, chosen := o.X.Dim(-1), o.IDs.Dim(-1)
		for r := range o.X.Rows() {
			row, sum := weights.Row(r, chosen).v, float32(0)
			for c := range row {
				row[c] = float64(float32(math.Exp(x.v[r*n+int(ids.v[r*chosen+c])])))
				sum += float32(row[c])
			}
			for c := range row {
				row[c] /= float64(sum)
			}
		}
		direct{}.Store(o.Weights, weights)
	})},

	{"forgets the weights", "expert_sum", wrong(func(o *backend.ExpertSum) {
		o.Weights = copied(o.Weights, func(float64) float64 { return 1 })
		right(o)
	})},
	{"leaves the last expert out", "expert_sum", wrong(func(o *backend.ExpertSum) {
		if n := o.X.Dim(2); n > 1 {
			o.X, o.Weights = o.X.Slice(2, 0, n-1), o.Weights.Slice(-1, 0, n-1)
		}
		right(o)
	})},
	{"has the first token's weights for all", "expert_sum", wrong(func(o *backend.ExpertSum) {
		w, n, i := direct{}.Load(o.Weights), o.Weights.Dim(-1), -1
		o.Weights = copied(o.Weights, func(float64) float64 { i++; return w.v[i%n] })
		right(o)
	})},
	{"passes over weights of 0", "expert_sum", wrong(func(o *backend.ExpertSum) { // and with them, where x is not finite, NaN
		x, w, width := direct{}.Load(o.X), direct{}.Load(o.Weights), o.X.Dim(3)
		for r, v := range w.v {
			for i := range width {
				if at := r*width + i; !(math.Abs(v) > 0) || math.IsNaN(x.v[at]) {
					x.v[at] = 0
				}
			}
		}
		direct{}.Store(o.X, x)
		right(o)
	})},

	{"clamps ids to the experts", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		last := float64(o.W.Dim(-3) - 1)
		o.IDs = copied(o.IDs, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"leaves rows of ids outside as they were", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		data := o.Dst.Buf.(*referenceBuffer).data
		before, experts := slices.Clone(data), float64(o.W.Dim(-3))
		right(o)
		for r, id := range (direct{}).Load(o.IDs).v {
			if id < 0 || id >= experts {
				from := o.Dst.DType.Bytes(o.Dst.Row(r))
				copy(data[from:from+o.Dst.DType.Bytes(o.Dst.Dim(-1))], before[from:])
			}
		}
	})},
	{"forgets the bias", "expert_linear", wrong(func(o *backend.ExpertLinear) { o.Bias = backend.Tensor{}; right(o) })},
	{"has the first expert's bias for all", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		if !o.Bias.Absent() {
			b, n, i := direct{}.Load(o.Bias), o.Bias.Dim(-1), -1
			o.Bias = copied(o.Bias, func(float64) float64 { i++; return b.v[i%n] })
		}
		right(o)
	})},
	{"has a token's first expert for all of them", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		ids, n, i := direct{}.Load(o.IDs), o.IDs.Dim(-1), -1
		o.IDs = copied(o.IDs, func(float64) float64 { i++; return ids.v[i/n*n] })
		right(o)
	})},
	{"has a token's first vector for all of its experts", "expert_linear", wrong(func(o *backend.ExpertLinear) { o.X = o.X.Slice(2, 0, 1); right(o) })},
	{"computes four rows of an expert at most", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		seen, missing := map[float64]int{}, float64(o.W.Dim(-3))
		o.IDs = copied(o.IDs, func(v float64) float64 {
			if seen[v]++; seen[v] > 4 {
				return missing
			}
			return v
		})
		right(o)
	})},
	{"leaves the last input out", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		if n := o.X.Dim(-1); n > 1 && !o.W.DType.Quantized() {
			o.X, o.W = o.X.Slice(-1, 0, n-1), o.W.Slice(-1, 0, n-1)
		}
		right(o)
	})},
	{"rounds x to f16", "expert_linear", wrong(func(o *backend.ExpertLinear) {
		if o.X.DType == backend.F32 {
			o.X = copied(o.X, truncated(10))
		}
		right(o)
	})},
}

// routed is Route by another order of experts: above reports whether expert a comes before b.
func routed(o *backend.Route, above func(x []float64, a, b int) bool) {
	x, ids, weights := direct{}.Load(o.X), direct{}.Load(o.IDs), direct{}.Load(o.Weights)
	n, chosen := o.X.Dim(-1), o.IDs.Dim(-1)
	for r := range o.X.Rows() {
		row, taken, scores := x.Row(r, n), make([]bool, n), NewValues(chosen)
		for c := range chosen {
			best := -1
			for i := range n {
				if !taken[i] && (best < 0 || above(row.v, i, best)) {
					best = i
				}
			}
			taken[best] = true
			ids.v[r*chosen+c], scores.v[c] = float64(best), row.v[best]
		}
		p := softmax(scores)
		for c := range chosen {
			weights.Put(r*chosen+c, p.At(c))
		}
	}
	direct{}.Store(o.IDs, ids)
	direct{}.Store(o.Weights, weights)
}
