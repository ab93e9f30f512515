package opcases

import (
	"fmt"
	"slices"

	"caldera/backend"
)

// training are ops that only training needs, of f32 alone.
func (s Shape) training(add adder, many int) {
	for _, n := range [][2]int{{s.Width, s.Inner}, {s.Inner, s.Width}} {
		in, out := n[0], n[1]
		add("linear_backward", fmt.Sprintf("%dx%dx%d", many, in, out), backend.F32, func(m *memory) backend.Op {
			return &backend.LinearBackward{
				DW: m.tensor(backend.F32, out, in), DBias: m.tensor(backend.F32, out),
				DY: m.tensor(backend.F32, many, out), X: m.tensor(backend.F32, many, in),
			}
		})
	}
	few := min(many, 16) // scores of a few vectors exist at a time
	add("cross_entropy", fmt.Sprintf("%dx%d", few, s.Vocab), backend.F32, func(m *memory) backend.Op {
		return &backend.CrossEntropy{
			Loss: m.zeros(backend.F32, few), X: m.tensor(backend.F32, few, s.Vocab), Targets: m.ids(s.Vocab, few), Scale: 1,
		}
	})
	vocab := min(s.Vocab, 5000)
	add("embedding_backward", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, func(m *memory) backend.Op {
		o := &backend.EmbeddingBackward{DTokens: m.tensor(backend.F32, vocab, s.Width), DY: m.tensor(backend.F32, 1, many, s.Width), IDs: m.ids(vocab, 1, many)}
		if s.Positions {
			o.DPositions, o.At = m.tensor(backend.F32, s.Context, s.Width), m.places(0, many)
		}
		return o
	})
	add("dropout", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, func(m *memory) backend.Op {
		return &backend.Dropout{
			Dst: m.tensor(backend.F32, many, s.Width), X: m.tensor(backend.F32, many, s.Width), Seed: m.ids(1<<30, 4), Rate: 0.1,
		}
	})
	rows := func(m *memory, n int) backend.Tensor { return m.tensor(backend.F32, many, n) }
	add("activate_backward+gelu_tanh", fmt.Sprintf("%dx%d", many, s.Inner), backend.F32, func(m *memory) backend.Op {
		return &backend.ActivateBackward{DX: rows(m, s.Inner), X: rows(m, s.Inner), DY: rows(m, s.Inner), Func: backend.GELUTanh}
	})
	add("layernorm_backward", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, func(m *memory) backend.Op {
		vector := func() backend.Tensor { return m.tensor(backend.F32, s.Width) }
		return &backend.LayerNormBackward{
			DX: rows(m, s.Width), DGamma: vector(), DBeta: vector(), X: rows(m, s.Width), DY: rows(m, s.Width), Gamma: vector(),
			Stats: m.zeros(backend.F32, many, 2), Epsilon: 1e-5,
		}
	})
	add("rmsnorm_backward", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, func(m *memory) backend.Op {
		return &backend.RMSNormBackward{
			DX: rows(m, s.Width), DGamma: m.tensor(backend.F32, s.Width), X: rows(m, s.Width), DY: rows(m, s.Width),
			Gamma: m.tensor(backend.F32, s.Width), Stats: m.zeros(backend.F32, many, 1), Epsilon: 1e-5,
		}
	})
	add("gated_activation_backward", fmt.Sprintf("%dx%d", many, s.Inner), backend.F32, func(m *memory) backend.Op {
		return &backend.GatedActivationBackward{
			DGate: rows(m, s.Inner), DUp: rows(m, s.Inner), Gate: rows(m, s.Inner), Up: rows(m, s.Inner), DY: rows(m, s.Inner), Func: backend.SiLU,
		}
	})
	width, kv := s.heads()
	add("attention_backward", fmt.Sprintf("%dx%d", many, width), backend.F32, func(m *memory) backend.Op {
		vectors := func(n int) backend.Tensor { return m.tensor(backend.F32, 1, many, n) }
		parts := func(x backend.Tensor) (q, k, v backend.Tensor) {
			return x.Slice(-1, 0, width), x.Slice(-1, width, width+kv), x.Slice(-1, width+kv, width+2*kv)
		}
		o := &backend.AttentionBackward{Heads: s.Heads, Scale: s.scale()}
		o.Q, o.K, o.V = parts(vectors(width + 2*kv))
		o.DQ, o.DK, o.DV = parts(vectors(width + 2*kv))
		o.DY, o.Stats = vectors(width), m.zeros(backend.F32, 1, s.Heads, many, 2)
		return o
	})

	// What each weight goes through in a step, of one matrix.
	matrix := fmt.Sprintf("%dx%d", s.Inner, s.Width)
	weights := func(m *memory) backend.Tensor { return m.tensor(backend.F32, s.Inner, s.Width) }
	add("sum_squares", matrix, backend.F32, func(m *memory) backend.Op {
		return &backend.SumSquares{Dst: m.zeros(backend.F32, s.Inner, 1), X: weights(m)}
	})
	add("global_norm", fmt.Sprint(s.Inner), backend.F32, func(m *memory) backend.Op {
		return &backend.GlobalNorm{Dst: m.zeros(backend.F32, 2), X: m.ones(s.Inner), Max: 1}
	})
	add("adamw", matrix, backend.F32, func(m *memory) backend.Op {
		return &backend.AdamW{
			W: weights(m), M: weights(m), V: m.zeros(backend.F32, s.Inner, s.Width), G: weights(m),
			Step: m.ones(3), Scale: m.ones(1), Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1,
		}
	})
}

// ones are for operands that must not be negative.
func (m *memory) ones(n int) backend.Tensor {
	t := m.zeros(backend.F32, n)
	if m.err == nil {
		m.err = backend.SetF32(m.b, t, slices.Repeat([]float32{1}, n))
	}
	return t
}
