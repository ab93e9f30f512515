package opcases

import (
	"fmt"

	"caldera/backend"
)

// training are ops that only training needs, which know f32 alone: the
// gradients of linear layers, and what begins and ends at tokens.
func (s Shape) training(add adder, many int) {
	for _, n := range [][2]int{{s.Width, s.Inner}, {s.Inner, s.Width}} {
		in, out := n[0], n[1]
		add("linear_backward", fmt.Sprintf("%dx%dx%d", many, in, out), backend.F32, 2*many*in*out, func(m *memory) backend.Op {
			return &backend.LinearBackward{
				DW: m.tensor(backend.F32, out, in), DBias: m.tensor(backend.F32, out),
				DY: m.tensor(backend.F32, many, out), X: m.tensor(backend.F32, many, in),
			}
		})
	}
	few := min(many, 16) // scores of a few vectors exist at a time
	add("cross_entropy", fmt.Sprintf("%dx%d", few, s.Vocab), backend.F32, 0, func(m *memory) backend.Op {
		return &backend.CrossEntropy{
			Loss: m.zeros(backend.F32, few), X: m.tensor(backend.F32, few, s.Vocab), Targets: m.ids(s.Vocab, few), Scale: 1,
		}
	})
	vocab := min(s.Vocab, 5000)
	add("embedding_backward", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, 0, func(m *memory) backend.Op {
		return &backend.EmbeddingBackward{
			DTokens: m.tensor(backend.F32, vocab, s.Width), DPositions: m.tensor(backend.F32, s.Context, s.Width),
			DY: m.tensor(backend.F32, 1, many, s.Width), IDs: m.ids(vocab, 1, many), At: m.at(0),
		}
	})
	add("dropout", fmt.Sprintf("%dx%d", many, s.Width), backend.F32, 0, func(m *memory) backend.Op {
		return &backend.Dropout{
			Dst: m.tensor(backend.F32, many, s.Width), X: m.tensor(backend.F32, many, s.Width), Seed: m.ids(1<<30, 4), Rate: 0.1,
		}
	})
}
