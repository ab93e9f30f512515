package conformance

import (
	"math"
	"testing"

	"caldera/backend"
)

// TestNonFiniteCases expects of every op cases with numbers that are not finite,
// which reach some results and not others.
func TestNonFiniteCases(t *testing.T) {
	for _, name := range names() {
		reached, kept := 0, 0
		for _, c := range kinds[name].all() {
			if c.Poison == Clean {
				continue
			}
			op, fill := c.Build()
			x := &trial{env: &env{reporter: t, name: c.Name}, op: op, list: operands(op), fill: fill, poison: c.Poison}
			for _, o := range x.list {
				x.blocks = append(x.blocks, o.block())
			}
			var want [2]sheet
			for run := range want {
				x.data(run)
				want[run] = sheet{}
				if err := interpret(want[run], op); err != nil {
					t.Fatal(err)
				}
				for _, o := range x.destinations() {
					for i, v := range want[run].Load(o.Tensor).v {
						if run == 0 && !finite(v) && o.access == backend.Write {
							t.Fatalf("%s: %s is %v on data that are finite", c.Name, o.at(i), v)
						}
					}
				}
			}
			for _, o := range x.destinations() {
				clean := want[0].Load(o.Tensor)
				for i, v := range want[1].Load(o.Tensor).v {
					switch {
					case v == clean.v[i]:
						kept++
					case !finite(v), o.DType == backend.I32: // an index is finite
						reached++
					}
				}
			}
		}
		if reached == 0 || kept == 0 {
			t.Errorf("%s: NaN and infinities reach %d results and not %d others, expected some of both", name, reached, kept)
		}
	}
}

// noNaN makes 0 of NaN, as a maximum, a clamp or a compiler may.
func noNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// without runs o on operands whose NaN are gone, and leaves them as they were.
func without(o backend.Op, operands ...*backend.Tensor) {
	for _, t := range operands {
		*t = copied(*t, noNaN)
	}
	right(o)
}

var nonFiniteMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"drops NaN", "softmax", wrong(func(o *backend.Softmax) { without(o, &o.X) })},
	{"drops NaN", "activate", wrong(func(o *backend.Activate) { without(o, &o.X) })},
	{"drops NaN", "activate_backward", wrong(func(o *backend.ActivateBackward) { without(o, &o.X) })},
	{"takes −∞ for a large number", "activate", wrong(func(o *backend.Activate) { // whose σ is 0
		o.X = copied(o.X, func(v float64) float64 { return max(v, -math.MaxFloat32) })
		right(o)
	})},
	{"multiplies ∞ by 0", "activate_backward", wrong(func(o *backend.ActivateBackward) {
		x := direct{}.Load(o.X)
		right(o)
		if o.Func == backend.GELUErf {
			dx := direct{}.Load(o.DX)
			for i, v := range x.v {
				dx.v[i] += v * math.Exp(-v*v/2) * 0
			}
			direct{}.Store(o.DX, dx)
		}
	})},
	{"drops NaN", "layernorm", wrong(func(o *backend.LayerNorm) { without(o, &o.X) })},
	{"drops NaN", "layernorm_backward", wrong(func(o *backend.LayerNormBackward) { without(o, &o.DY) })},
	{"drops NaN", "rmsnorm", wrong(func(o *backend.RMSNorm) { without(o, &o.X) })},
	{"drops NaN", "rmsnorm_backward", wrong(func(o *backend.RMSNormBackward) { without(o, &o.X) })},
	{"drops NaN of angles", "rotary", wrong(func(o *backend.Rotary) { without(o, &o.Angles) })},
	{"drops NaN of the gate", "gated_activation", wrong(func(o *backend.GatedActivation) { without(o, &o.Gate) })},
	{"drops NaN of up", "gated_activation_backward", wrong(func(o *backend.GatedActivationBackward) { without(o, &o.Up) })},
	{"drops NaN", "attention", wrong(func(o *backend.Attention) { without(o, &o.K) })},
	{"drops NaN", "attention_backward", wrong(func(o *backend.AttentionBackward) { without(o, &o.DY) })},
	{"drops NaN", "linear", wrong(func(o *backend.Linear) { without(o, &o.X) })},
	{"drops NaN behind the activation", "linear", wrong(func(o *backend.Linear) {
		if o.Activation == backend.NoActivation {
			right(o)
			return
		}
		without(o, &o.X)
	})},
	{"drops NaN of the residual", "linear", wrong(func(o *backend.Linear) {
		if o.Residual.Absent() {
			right(o)
			return
		}
		without(o, &o.Residual)
	})},
	{"drops NaN", "linear_backward", wrong(func(o *backend.LinearBackward) { without(o, &o.DY) })},
	{"drops NaN of positions", "embedding", wrong(func(o *backend.Embedding) { without(o, &o.Positions) })},
	{"drops NaN", "embedding_backward", wrong(func(o *backend.EmbeddingBackward) { without(o, &o.DY) })},
	{"drops NaN", "sum_squares", wrong(func(o *backend.SumSquares) { without(o, &o.X) })},
	{"drops NaN", "global_norm", wrong(func(o *backend.GlobalNorm) { without(o, &o.X) })},
	{"drops NaN", "adamw", wrong(func(o *backend.AdamW) { without(o, &o.G) })},
	{"drops NaN", "dropout", wrong(func(o *backend.Dropout) { without(o, &o.X) })},
	{"drops NaN", "add", wrong(func(o *backend.Add) { without(o, &o.B) })},
	{"drops NaN of the factors", "scale", wrong(func(o *backend.Scale) { without(o, &o.By) })},
	{"gives 0 for 0 · NaN", "scale", wrong(func(o *backend.Scale) {
		right(o)
		by, dst := direct{}.Load(o.Factors()).v, direct{}.Load(o.Dst)
		for i := range dst.v {
			if by[i/o.X.Dim(-1)] == 0 {
				dst.v[i] = 0
			}
		}
		direct{}.Store(o.Dst, dst)
	})},
	{"drops NaN", "store", wrong(func(o *backend.Store) { without(o, &o.X) })},
	{"drops NaN", "copy", wrong(func(o *backend.Copy) {
		if o.Dst.DType == backend.F16 && o.X.DType == backend.F16 {
			without(o, &o.X)
			return
		}
		right(o)
	})},
	{"drops NaN", "cross_entropy", wrong(func(o *backend.CrossEntropy) {
		x := o.X
		without(o, &o.X)
		right(&backend.Copy{Dst: x, X: o.X})
	})},
	{"takes ∞ for a number", "softmax", wrong(func(o *backend.Softmax) {
		o.X = copied(o.X, func(v float64) float64 { return min(v, math.MaxFloat32) })
		right(o)
	})},
	{"takes −∞ for a large number", "softmax", wrong(func(o *backend.Softmax) { // a row of −∞ is an even distribution then
		o.X = copied(o.X, func(v float64) float64 { return max(v, -math.MaxFloat32) })
		right(o)
	})},
	{"gives 0 for the loss of a token that cannot be", "cross_entropy", wrong(func(o *backend.CrossEntropy) {
		right(o)
		direct{}.Store(o.Loss, direct{}.Load(copied(o.Loss, func(v float64) float64 {
			if math.IsInf(v, 1) {
				return 0
			}
			return v
		})))
	})},
	{"clips by NaN when the norm is infinite", "global_norm", wrong(func(o *backend.GlobalNorm) {
		right(o)
		d := direct{}.Load(o.Dst)
		if math.IsInf(d.v[0], 1) {
			d.v[1] = nan
		}
		direct{}.Store(o.Dst, d)
	})},
	{"spreads NaN to all rows", "layernorm", wrong(func(o *backend.LayerNorm) {
		right(o)
		for _, v := range (direct{}).Load(o.X).v {
			if math.IsNaN(v) {
				direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, func(float64) float64 { return nan })))
				return
			}
		}
	})},
	{"rounds other rows otherwise when one is NaN", "linear", wrong(func(o *backend.Linear) {
		right(o)
		for _, v := range (direct{}).Load(o.X).v {
			if math.IsNaN(v) {
				direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, func(v float64) float64 { return v * (1 + 0x1p-23) })))
				return
			}
		}
	})},
	{"multiplies keys after the query by zero", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		right(o)
		time := o.DY.Dim(-2)
		for b := range o.DY.Dim(1) {
			last := direct{}.Load(o.K.Slice(1, b, b+1).Slice(2, time-1, time))
			for _, v := range last.v {
				if !finite(v) && time > 1 { // the next query but one sees it too
					dq := o.DQ.Slice(1, b, b+1).Slice(2, time-2, time-1)
					direct{}.Store(dq, direct{}.Load(copied(dq, func(float64) float64 { return nan })))
				}
			}
		}
	})},
	{"multiplies queries before the key by zero", "attention_backward", wrong(func(o *backend.AttentionBackward) {
		right(o)
		for b := range o.DY.Dim(1) {
			first := (direct{}).Load(o.DY.Slice(1, b, b+1).Slice(2, 0, 1))
			if o.DY.Dim(-2) > 1 && !finite(first.v[0]) {
				dk := o.DK.Slice(1, b, b+1).Slice(2, o.DY.Dim(-2)-1, o.DY.Dim(-2)).Slice(-1, 0, 1)
				direct{}.Store(dk, Values{v: []float64{nan}})
			}
		}
	})},
	{"sees one key too many where it is NaN", "attention", wrong(func(o *backend.Attention) {
		right(o)
		for b := range o.Q.Dim(1) {
			at := int(direct{}.Load(o.At.Slice(-2, 1, 2)).v[b*o.Q.Dim(2)])
			if next := at + 1; at >= 0 && next < o.K.Dim(-2) {
				key := direct{}.Load(o.K.Slice(1, b, b+1).Slice(2, next, next+1))
				if !finite(key.v[0]) {
					dst := o.Dst.Slice(1, b, b+1).Slice(2, 0, 1)
					direct{}.Store(dst, direct{}.Load(copied(dst, func(float64) float64 { return nan })))
				}
			}
		}
	})},
	{"multiplies keys before the window by zero", "attention", wrong(func(o *backend.Attention) {
		right(o)
		for b := range o.Q.Dim(1) {
			p := int(direct{}.Load(o.At.Slice(-2, 1, 2)).v[b*o.Q.Dim(2)]) + o.Q.Dim(2) - 1 // of the last query
			if before := p - o.Window; o.Window > 0 && before >= 0 && p < o.K.Dim(2) {
				value := direct{}.Load(o.V.Slice(1, b, b+1).Slice(2, before, before+1))
				if !finite(value.v[0]) {
					dst := o.Dst.Slice(1, b, b+1).Slice(2, o.Q.Dim(2)-1, o.Q.Dim(2))
					direct{}.Store(dst, direct{}.Load(copied(dst, func(float64) float64 { return nan })))
				}
			}
		}
	})},
	{"gives NaN where all scores but the sink are −∞", "attention", wrong(func(o *backend.Attention) {
		sinks := o.Sinks
		right(o)
		dst := copied(o.Dst, func(v float64) float64 { return v })
		o.Sinks = backend.Tensor{}
		right(o)
		if !sinks.Absent() {
			without := direct{}.Load(o.Dst).v
			i := -1
			direct{}.Store(o.Dst, direct{}.Load(copied(dst, func(v float64) float64 {
				if i++; math.IsNaN(without[i]) {
					return nan
				}
				return v
			})))
		}
	})},
	{"takes a soft-cap of ∞ for NaN", "attention", wrong(func(o *backend.Attention) {
		right(o)
		for b := range o.K.Dim(1) {
			for _, v := range (direct{}).Load(o.K.Slice(1, b, b+1)).v {
				if math.IsInf(v, 0) && o.SoftCap > 0 {
					dst := o.Dst.Slice(1, b, b+1)
					direct{}.Store(dst, direct{}.Load(copied(dst, func(float64) float64 { return nan })))
				}
			}
		}
	})},
	{"begins at −∞ and never recovers", "attention", wrong(func(o *backend.Attention) {
		right(o)
		for b := range o.K.Dim(1) {
			for _, v := range (direct{}).Load(o.K.Slice(1, b, b+1).Slice(2, 0, 1)).v[:1] {
				if math.IsInf(v, -1) {
					dst := o.Dst.Slice(1, b, b+1)
					direct{}.Store(dst, direct{}.Load(copied(dst, func(float64) float64 { return nan })))
				}
			}
		}
	})},
}

func TestNonFiniteMutants(t *testing.T) {
	for _, m := range nonFiniteMutants {
		t.Run(m.group+"/"+m.name, func(t *testing.T) {
			caught, _ := examineAll(m.open, m.group, nonFiniteChecks(m.group))
			if len(caught) == 0 {
				t.Fatal("no check failed")
			}
			t.Log(caught[0])
		})
	}
}

// nonFiniteChecks are those of an op's cases that are poisoned.
func nonFiniteChecks(name string) []check {
	var list []check
	for _, c := range kinds[name].NonFinite() {
		list = append(list, check{c.Name, c.run})
	}
	return list
}
