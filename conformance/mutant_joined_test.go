package conformance

import "caldera/backend"

// joinedMutants compute wrongly what a product is joined with.
var joinedMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"forgets the norm", "linear", wrong(func(o *backend.Linear) { o.Norm = backend.LinearNorm{}; right(o) })},
	{"forgets the norm's beta", "linear", wrong(func(o *backend.Linear) {
		if !o.Norm.Beta.Absent() {
			zero := copied(o.Norm.Beta, func(float64) float64 { return 0 })
			o.Norm.Beta = zero
		}
		right(o)
	})},
	{"takes a layer norm for one by the root mean square", "linear", wrong(func(o *backend.Linear) { o.Norm.Beta = backend.Tensor{}; right(o) })},
	{"has another epsilon in the norm", "linear", wrong(func(o *backend.Linear) { o.Norm.Epsilon *= 1000; right(o) })},
	{"normalises with column sums of the matrix", "linear", wrong(func(o *backend.Linear) {
		if o.Norm.Beta.Absent() {
			right(o)
			return
		}
		// W·((x − mean)/deviation·γ + β) as (W·γ)·x − mean·Σ(W·γ), which cancels where the mean is large.
		n := o.X.Dim(-1)
		x, gamma := direct{}.Load(o.X), direct{}.Load(o.Norm.Gamma)
		right(o)
		dst := direct{}.Load(o.Dst)
		for r := range o.X.Rows() {
			mean, scale := moments(x.Row(r, n), float64(o.Norm.Epsilon))
			for i := range o.W.Dim(-2) {
				w := direct{}.Load(o.W.Slice(-2, i, i+1))
				var raw, columns float32
				exact := 0.0
				for k := range n {
					wg := float32(w.v[k] * gamma.v[k])
					raw += wg * float32(x.v[r*n+k])
					columns += wg
					exact += w.v[k] * gamma.v[k] * (x.v[r*n+k] - mean.Value)
				}
				at := r*o.W.Dim(-2) + i
				if o.HasEpilogue() {
					continue
				}
				dst.v[at] += (float64(raw-float32(mean.Value)*columns) - exact) * scale.Value
			}
		}
		direct{}.Store(o.Dst, dst)
	})},
	{"forgets the rotation", "linear", wrong(func(o *backend.Linear) { o.Rotation = backend.LinearRotation{}; right(o) })},
	{"rotates back", "linear", wrong(func(o *backend.Linear) {
		if o.Rotation.Angles.Absent() {
			right(o)
			return
		}
		turned := *o
		turned.Dst, turned.Rotation, turned.Store = o.Sum, backend.LinearRotation{}, backend.LinearStore{}
		right(&turned)
		right(&backend.Rotary{Dst: o.Dst, X: o.Sum, Angles: o.Rotation.Angles, At: o.Rotation.At, Heads: o.Rotation.Heads, Pairing: o.Rotation.Pairing, Inverse: true})
		if !o.Store.Cache.Absent() {
			right(&backend.Store{Dst: o.Store.Cache, X: o.Dst.Slice(-1, o.Store.From, o.Dst.Dim(-1)), At: o.Store.At, Table: o.Store.Table})
		}
	})},
	{"pairs neighbours for halves", "linear", wrong(func(o *backend.Linear) { o.Rotation.Pairing = backend.Neighbours; right(o) })},
	{"rotates one head alone", "linear", wrong(func(o *backend.Linear) {
		right(o)
		if h := o.Rotation.Heads; h > 1 { // the others stay as they were
			n := o.Dst.Dim(-1) / h
			plain := *o
			plain.Dst, plain.Rotation, plain.Store = o.Sum, backend.LinearRotation{}, backend.LinearStore{}
			right(&plain)
			right(&backend.Copy{Dst: o.Dst.Slice(-1, n, h*n), X: o.Sum.Slice(-1, n, h*n)})
		}
	})},
	{"rotates all outputs", "linear", wrong(func(o *backend.Linear) {
		n := o.Sum.Dim(-1)
		if o.Rotation.Angles.Absent() || n == o.Dst.Dim(-1) {
			right(o)
			return
		}
		all := *o
		all.Rotation.Heads = o.Dst.Dim(-1) / (n / o.Rotation.Heads)
		all.Sum = copied(o.Dst, func(float64) float64 { return 0 })
		right(&all)
	})},
	{"forgets the gate", "linear", wrongGate(func(g *backend.LinearGate) { g.Func = backend.NoActivation })},
	{"forgets the gate's limit", "linear", wrongGate(func(g *backend.LinearGate) { g.Limit = 0 })},
	{"forgets the gate's shift", "linear", wrongGate(func(g *backend.LinearGate) { g.Shift = 0 })},
	{"takes gate and up for each other", "linear", wrong(func(o *backend.Linear) {
		if !o.Gate.On || !o.Norm.Gamma.Absent() {
			right(o)
			return
		}
		n := o.Dst.Dim(-1)
		right(&backend.Linear{Dst: o.Sum, X: o.X, W: o.W, Bias: o.Bias})
		right(&backend.GatedActivation{Dst: o.Dst, Gate: o.Sum.Slice(-1, n, 2*n), Up: o.Sum.Slice(-1, 0, n), Func: o.Gate.Func, Limit: o.Gate.Limit, Shift: o.Gate.Shift})
	})},
	{"stores nothing", "linear", wrong(func(o *backend.Linear) { o.Store = backend.LinearStore{}; right(o) })},
	{"stores what is not rotated", "linear", wrong(func(o *backend.Linear) {
		right(o)
		if !o.Rotation.Angles.Absent() && !o.Store.Cache.Absent() {
			plain := *o
			plain.Dst, plain.Rotation, plain.Sum = o.Sum, backend.LinearRotation{}, backend.Tensor{}
			right(&plain)
		}
	})},
	{"stores the first outputs", "linear", wrong(func(o *backend.Linear) { o.Store.From = 0; right(o) })},
	{"stores in the first sequence", "linear", wrong(func(o *backend.Linear) {
		if !o.Store.Cache.Absent() && o.Store.Table.Absent() {
			at := copied(o.Store.At, func(v float64) float64 { return v })
			x := direct{}.Load(at)
			for i := range at.Dim(-1) {
				x.v[i] = min(x.v[i], 0)
			}
			direct{}.Store(at, x)
			o.Store.At = at
		}
		right(o)
	})},
	{"ignores the table of what is stored", "linear", wrong(func(o *backend.Linear) { o.Store.Table = backend.Tensor{}; right(o) })},
	{"leaves stored outputs out of the result", "linear", wrong(func(o *backend.Linear) {
		right(o)
		if !o.Store.Cache.Absent() {
			zeros := copied(o.Dst, func(float64) float64 { return 0 })
			right(&backend.Copy{Dst: o.Dst.Slice(-1, o.Store.From, o.Dst.Dim(-1)), X: zeros.Slice(-1, o.Store.From, o.Dst.Dim(-1))})
		}
	})},
}

// wrongGate is a backend that has another gate behind products.
func wrongGate(change func(*backend.LinearGate)) func() backend.Backend {
	return wrong(func(o *backend.Linear) {
		if o.Gate.On {
			change(&o.Gate)
		}
		right(o)
	})
}
