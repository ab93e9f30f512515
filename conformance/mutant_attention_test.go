package conformance

import (
	"math"
	"slices"

	"caldera/backend"
)

// attentionMutants compute attention wrongly.
var attentionMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"sees the next token", "attention", wrong(func(o *backend.Attention) { shift(o, 1) })},
	{"does not see the token itself", "attention", wrong(func(o *backend.Attention) { shift(o, -1) })},
	{"swaps keys and values", "attention", wrong(func(o *backend.Attention) { o.K, o.V = o.V, o.K; right(o) })},
	{"groups heads the other way", "attention", wrong(func(o *backend.Attention) {
		if size, groups := o.HeadSize(), o.Groups(); groups > 1 && groups < o.Heads {
			for h := range o.Heads {
				one := *o
				cut := func(t backend.Tensor, i int) backend.Tensor { return t.Slice(-1, i*size, (i+1)*size) }
				one.Dst, one.Q, one.K, one.V, one.Heads = cut(o.Dst, h), cut(o.Q, h), cut(o.K, h%groups), cut(o.V, h%groups), 1
				if !o.Probs.Absent() {
					one.Probs = o.Probs.Slice(1, h, h+1)
				}
				right(&one)
			}
			return
		}
		right(o)
	})},
	{"does not scale the scores", "attention", wrong(func(o *backend.Attention) {
		root := math.Sqrt(float64(o.HeadSize()))
		o.Q = copied(o.Q, func(v float64) float64 { return v * root })
		right(o)
	})},
	{"leaves probabilities after the position as they were", "attention", wrong(func(o *backend.Attention) {
		if o.Probs.Absent() {
			right(o)
			return
		}
		probs := o.Probs
		o.Probs = copied(probs, func(v float64) float64 { return v })
		right(o)
		eachVector(probs, o.Probs, func(x, dst []float64) {
			for i, v := range x {
				if dst[i] = v; v == 0 {
					dst[i] = math.NaN()
				}
			}
		})
	})},
	{"clamps positions to the cache", "attention", wrong(func(o *backend.Attention) {
		last := float64(o.K.Dim(-2) - o.Q.Dim(-2))
		o.At = moved(o.At, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"multiplies rows after the position by zero", "attention", wrong(func(o *backend.Attention) {
		right(o)
		v := direct{}.Load(o.V)
		if slices.ContainsFunc(v.v, math.IsNaN) {
			direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, func(float64) float64 { return math.NaN() })))
		}
	})},
	{"has one position for all sequences", "attention", wrong(func(o *backend.Attention) {
		onePosition(&o.At, o.Q.Dim(-2))
		right(o)
	})},
	{"sees one row more than its window", "attention", wrong(func(o *backend.Attention) { widen(&o.Window, 1); right(o) })},
	{"sees one row less than its window", "attention", wrong(func(o *backend.Attention) { widen(&o.Window, -1); right(o) })},
	{"forgets the window", "attention", wrong(func(o *backend.Attention) { o.Window = 0; right(o) })},
	{"counts the window from the first query", "attention", wrong(func(o *backend.Attention) {
		if o.Window > 0 { // all of a block see what the first one sees
			o.Window = min(o.Window, o.K.Dim(2)) + o.Q.Dim(2) - 1
		}
		right(o)
	})},
	{"forgets the scale", "attention", wrong(func(o *backend.Attention) { o.Scale = float32(1 / math.Sqrt(float64(o.HeadSize()))); right(o) })},
	{"forgets the soft-cap", "attention", wrong(func(o *backend.Attention) { o.SoftCap = 0; right(o) })},
	{"caps scores before it scales them", "attention", wrong(func(o *backend.Attention) { o.SoftCap *= o.Scale; right(o) })},
	{"caps scores after the mask", "attention", wrong(capMasked)},
	{"forgets the sink", "attention", wrong(func(o *backend.Attention) { o.Sinks = backend.Tensor{}; right(o) })},
	{"has one sink for all heads", "attention", wrong(func(o *backend.Attention) {
		if !o.Sinks.Absent() {
			first := direct{}.Load(o.Sinks).v[0]
			o.Sinks = copied(o.Sinks, func(float64) float64 { return first })
		}
		right(o)
	})},
	{"leaves the sink out of the maximum", "attention", wrong(func(o *backend.Attention) {
		sinks := o.Sinks
		right(o)
		if !sinks.Absent() && slices.Max(direct{}.Load(sinks).v) > 100 { // exp(sink − maximum) overflows
			overwrites(o.Dst)
		}
	})},
	{"loses weights that are faint beside the sink", "attention", wrong(func(o *backend.Attention) {
		right(o)
		if o.Sinks.Absent() || o.K.DType != backend.F16 || o.Q.Dim(-2) < 16 {
			return
		}
		for h, sink := range (direct{}.Load(o.Sinks)).v { // where all of a row weigh less than 2⁻³⁰ of it
			if part := o.Dst.Slice(-1, h*o.HeadSize(), (h+1)*o.HeadSize()); sink > 21 {
				direct{}.Store(part, NewValues(part.Len()))
			}
		}
	})},
	{"shows probabilities without the sink", "attention", wrong(func(o *backend.Attention) {
		right(o)
		if o.Sinks = (backend.Tensor{}); !o.Probs.Absent() {
			o.Dst = copied(o.Dst, func(v float64) float64 { return v })
			right(o)
		}
	})},
}

// shift moves the causal mask by one.
func shift(o *backend.Attention, by float64) {
	last := float64(o.K.Dim(-2) - o.Q.Dim(-2))
	o.At = moved(o.At, func(v float64) float64 {
		if v < 0 || v > last { // outside, which is another matter
			return v
		}
		return max(0, min(v+by, last))
	})
	right(o)
}

// widen changes a window by so many rows, if there is one and some are left.
func widen(window *int, by int) {
	if *window > 0 && *window < math.MaxInt && *window+by > 0 {
		*window += by
	}
}

// capMasked gives keys that a query does not see the score of the soft-cap's
// bound, as if −∞ had been put there before.
func capMasked(o *backend.Attention) {
	right(o)
	if o.SoftCap == 0 || !o.Probs.Absent() {
		return
	}
	size, context := o.HeadSize(), o.K.Dim(2)
	at := direct{}.Load(o.At.Slice(-2, 1, 2))
	for b := range o.Q.Dim(1) {
		for t := range o.Q.Dim(2) {
			p := int(at.v[b*o.Q.Dim(2)]) + t
			for h := range o.Heads {
				g := h * o.Groups() / o.Heads
				of := func(x backend.Tensor, h int) backend.Tensor { return x.Slice(1, b, b+1).Slice(-1, h*size, (h+1)*size) }
				one := backend.Attention{Dst: of(o.Dst, h).Slice(2, t, t+1), Q: of(o.Q, h).Slice(2, t, t+1), V: of(o.V, g),
					K: copied(of(o.K, g), func(v float64) float64 { return v }), At: moved(copied(o.At.Slice(-1, 0, 1), func(float64) float64 { return 0 }), func(float64) float64 { return float64(context - 1) }),
					Heads: 1, Scale: o.Scale, SoftCap: o.SoftCap}
				for j := range context {
					if j > p || o.Window > 0 && p-j >= o.Window {
						q := direct{}.Load(one.Q)
						for i, v := range q.v {
							q.v[i] = math.Inf(-1)
							if v < 0 {
								q.v[i] = math.Inf(1)
							}
						}
						direct{}.Store(one.K.Slice(2, j, j+1), q)
					}
				}
				if p >= 0 && p < context {
					right(&one)
				}
			}
		}
	}
}
