//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// elementCheck is an op that computes each element from those at the same place.
type elementCheck struct {
	operands []elementOperand // in the order of the op's
	off      float64          // how far off a result may be, as a part of 1 + its magnitude; 0: not at all

	// op makes one of operands [rows, n], and returns what it does at an element of a row: v
	// has the elements of the operands before it, and gets those after it.
	op func(t *trials, p pipelineSpec, rows, n int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64))
}

// elementOperand is one of its operands.
type elementOperand struct {
	name    string
	written bool
	values  func(t *trials, n int) []float32 // nil: it is only written
}

// upTo are random integers of at most so much in magnitude, from0 are those from 0 on, halves are halves of integers.
func upTo(most int) func(*trials, int) []float32 {
	return func(t *trials, n int) []float32 { return t.integers(n, most) }
}

func from0(most int) func(*trials, int) []float32 {
	return func(t *trials, n int) []float32 {
		values := t.integers(n, most)
		for i, v := range values {
			values[i] = max(v, -v)
		}
		return values
	}
}

func halves(most int) func(*trials, int) []float32 {
	return func(t *trials, n int) []float32 {
		values := t.integers(n, 2*most)
		for i := range values {
			values[i] /= 2
		}
		return values
	}
}

// between are random numbers with all bits of f32.
func between(most float32) func(*trials, int) []float32 {
	return func(t *trials, n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = most * (2*t.rng.Float32() - 1)
		}
		return values
	}
}

// small16 are as between, but every seventh number is small; some are denormal in f16.
func small16(most float32) func(*trials, int) []float32 {
	return func(t *trials, n int) []float32 {
		values := between(most)(t, n)
		for i := 0; i < n; i += 7 {
			values[i] = float32(t.rng.IntN(1<<11)-1<<10) / (1 << 24)
		}
		return values
	}
}

// Of gates in checks: some are beyond the limit.
const gateLimit, gateShift = 4, 1

// elementChecks is the table, by the name of the shader.
var elementChecks = map[string]elementCheck{
	"activate": {
		operands: []elementOperand{{"dst", true, nil}, {"x", false, halves(5)}}, off: 1e-5,
		op: func(_ *trials, p pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			f := backend.Activation(p.spec.(shaders.ActivateSpec).Func)
			return &backend.Activate{Dst: x[0], X: x[1], Func: f}, func(_, _ int, v []float64) { v[0] = activate(f, v[1]) }
		},
	},
	"activate_backward": {
		operands: []elementOperand{{"dx", true, nil}, {"x", false, halves(5)}, {"dy", false, upTo(8)}}, off: 1e-5,
		op: func(_ *trials, p pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			f := backend.Activation(p.spec.(shaders.ActivateSpec).Func)
			return &backend.ActivateBackward{DX: x[0], X: x[1], DY: x[2], Func: f}, func(_, _ int, v []float64) { v[0] = v[2] * slope(f, v[1]) }
		},
	},
	"adamw": {
		operands: []elementOperand{{"w", true, upTo(8)}, {"m", true, upTo(4)}, {"v", true, from0(8)}, {"g", false, upTo(4)}}, off: 1e-5,
		op: func(t *trials, p pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			const rate, meanLeft, squareLeft, beta1, beta2, epsilon, decay = 0.5, 0.25, 0.125, 0.5, 0.75, 0.5, 0.25
			step, _ := t.operand(backend.F32, []float32{rate, meanLeft, squareLeft}, 1, 3, 0)
			op := &backend.AdamW{W: x[0], M: x[1], V: x[2], G: x[3], Step: step.Reshape(3), Beta1: beta1, Beta2: beta2, Epsilon: epsilon, Decay: decay}
			scale := 1.0
			if p.spec.(shaders.AdamWSpec).Scaled {
				scale = 0.75
				s, _ := t.operand(backend.F32, []float32{0.75}, 1, 1, 0)
				op.Scale = s.Reshape(1)
			}
			return op, func(_, _ int, v []float64) {
				g := scale * v[3]
				v[1] = beta1*v[1] + (1-beta1)*g
				v[2] = beta2*v[2] + (1-beta2)*g*g
				v[0] -= rate * (decay*v[0] + v[1]/meanLeft/(math.Sqrt(v[2]/squareLeft)+epsilon))
			}
		},
	},
	"add": {
		operands: []elementOperand{{"dst", true, nil}, {"a", false, upTo(1 << 20)}, {"b", false, upTo(1 << 20)}},
		op: func(_ *trials, _ pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			return &backend.Add{Dst: x[0], A: x[1], B: x[2]}, func(_, _ int, v []float64) { v[0] = v[1] + v[2] }
		},
	},
	"gated_activation": {
		operands: []elementOperand{{"dst", true, nil}, {"gate", false, halves(6)}, {"up", false, halves(6)}}, off: 2e-5,
		op: func(_ *trials, p pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			f := backend.Activation(p.spec.(shaders.GatedActivationSpec).Func)
			op := &backend.GatedActivation{Dst: x[0], Gate: x[1], Up: x[2], Func: f, Limit: gateLimit, Shift: gateShift}
			return op, func(_, _ int, v []float64) {
				v[0] = activate(f, min(v[1], gateLimit)) * (max(-gateLimit, min(v[2], gateLimit)) + gateShift)
			}
		},
	},
	"gated_activation_backward": {
		operands: []elementOperand{{"dgate", true, nil}, {"dup", true, nil}, {"gate", false, halves(6)}, {"up", false, halves(6)}, {"dy", false, upTo(8)}}, off: 2e-5,
		op: func(_ *trials, p pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			f := backend.Activation(p.spec.(shaders.GatedActivationSpec).Func)
			op := &backend.GatedActivationBackward{DGate: x[0], DUp: x[1], Gate: x[2], Up: x[3], DY: x[4], Func: f, Limit: gateLimit, Shift: gateShift}
			return op, func(_, _ int, v []float64) {
				gate, up := min(v[2], gateLimit), max(-gateLimit, min(v[3], gateLimit))
				if v[0] = v[4] * (up + gateShift) * slope(f, gate); v[2] > gateLimit {
					v[0] = 0
				}
				if v[1] = v[4] * activate(f, gate); up != v[3] {
					v[1] = 0
				}
			}
		},
	},
	"round": {
		operands: []elementOperand{{"dst", true, nil}, {"x", false, between(1000)}},
		op: func(_ *trials, _ pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			return &backend.Round{Dst: x[0], X: x[1]}, func(_, _ int, v []float64) { v[0] = float64(backend.RoundF16(float32(v[1]))) }
		},
	},
	"softcap": {
		operands: []elementOperand{{"dst", true, nil}, {"x", false, halves(5)}}, off: 1e-5,
		op: func(_ *trials, _ pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			const cap = 2
			return &backend.SoftCap{Dst: x[0], X: x[1], Cap: cap}, func(_, _ int, v []float64) { v[0] = cap * math.Tanh(v[1]/cap) }
		},
	},
	"softcap_backward": {
		operands: []elementOperand{{"dx", true, nil}, {"x", false, halves(5)}, {"dy", false, upTo(8)}}, off: 1e-5,
		op: func(_ *trials, _ pipelineSpec, _, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			const cap = 2
			return &backend.SoftCapBackward{DX: x[0], X: x[1], DY: x[2], Cap: cap}, func(_, _ int, v []float64) {
				t := math.Tanh(v[1] / cap)
				v[0] = v[2] * (1 - t*t)
			}
		},
	},
	"scale": {
		operands: []elementOperand{{"dst", true, nil}, {"x", false, upTo(1000)}},
		op: func(t *trials, _ pipelineSpec, rows, _ int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			factors := from0(50)(t, rows)
			by, _ := t.operand(backend.F32, factors, rows, 1, 2)
			return &backend.Scale{Dst: x[0], X: x[1], By: by}, func(r, _ int, v []float64) { v[0] = v[1] * float64(factors[r]) }
		},
	},
	"dropout": {
		operands: []elementOperand{{"dst", true, nil}, {"x", false, upTo(1000)}},
		op: func(t *trials, _ pipelineSpec, _, n int, x []backend.Tensor) (backend.Op, func(r, i int, v []float64)) {
			const stream = 3
			seed := []int32{int32(t.rng.Uint32()), int32(t.rng.Uint32()), int32(t.rng.Uint32()), int32(t.rng.Uint32())}
			op := &backend.Dropout{Dst: x[0], X: x[1], Seed: t.numbers(seed...), Rate: 0.5, Stream: stream}
			return op, func(r, i int, v []float64) {
				at := r*n + i
				words := backend.Philox([2]uint32{uint32(seed[0]), uint32(seed[1])}, [4]uint32{uint32(at / 4), stream, uint32(seed[2]), uint32(seed[3])})
				if v[0] = 2 * v[1]; words[at%4] < op.Threshold() {
					v[0] = 0
				}
			}
		},
	},
}

// tryElements makes the trials of a kernel of the table: rows that end one unit before a workgroup
// does, with it and one unit behind it.
func tryElements(t *trials, p pipelineSpec) {
	check, unit := elementChecks[p.variant.Source], unitOf(p)
	for i, n := range edges(int(lanesOf(p))*unit, unit) {
		rows := 1 + (i+1)%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, before := make([]backend.Tensor, len(check.operands)), make([][]float32, len(check.operands))
		want := make([][]float64, len(check.operands))
		for k, o := range check.operands {
			if o.values != nil {
				before[k] = o.values(t, rows*n)
			}
			if o.written {
				want[k] = make([]float64, rows*n) // which follow
				x[k] = t.expect(&tr, o.name, backend.F32, rows, n, before[k], want[k], nil)
			} else {
				x[k], _ = t.operand(backend.F32, before[k], rows, n, 4)
			}
		}
		op, f := check.op(t, p, rows, n, x)
		v := make([]float64, len(x))
		for at := range rows * n {
			for k := range v {
				if v[k] = 0; before[k] != nil {
					v[k] = float64(before[k][at])
				}
			}
			f(at/n, at%n, v)
			for k := range v {
				if want[k] != nil {
					want[k][at] = v[k]
				}
			}
		}
		written := 0
		for k, o := range check.operands {
			if o.written {
				most := make([]float64, rows*n)
				for at, w := range want[k] {
					most[at] = check.off * (1 + math.Abs(w))
				}
				tr.results[written].set(rows, n, want[k], most)
				written++
			}
		}
		tr.encode = func(e *encoder) error { return encodeOp(e, op) }
		t.add(tr)
	}
}

// slope is the derivative of an activation in float64: see backend.ActivateBackward.
func slope(f backend.Activation, x float64) float64 {
	if f == backend.ReLU { // which has a corner
		if x > 0 {
			return 1
		}
		return 0
	}
	const h = 1.0 / (1 << 18)
	return (activate(f, x+h) - activate(f, x-h)) / (2 * h)
}
