package gpt_test

import (
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestUsualCacheType: keys and values are f16 where matrices are not f32, unless one asks for a type, in a session, a batch and
// an evaluator alike.
func TestUsualCacheType(t *testing.T) {
	config := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 64, Inner: 256, Context: 64, Vocab: 96, Epsilon: 1e-5, TieEmbeddings: true}
	for _, c := range []struct{ weights, asked, want backend.DType }{
		{backend.F32, backend.None, backend.F32},
		{backend.F16, backend.None, backend.F16},
		{backend.BF16, backend.None, backend.F16},
		{backend.Q8_0, backend.None, backend.F16},
		{backend.F32, backend.F16, backend.F16},
		{backend.Q4_0, backend.F32, backend.F32},
	} {
		a := gpttest.AccountOf(gpttest.OpenCPU(t))
		m, err := gpt.Random(t.Context(), a, config, gpt.LoadOptions{DType: c.weights}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.CacheDType(c.asked); got != c.want {
			t.Errorf("matrices of %v, asked for %v: %v, expected %v", c.weights, c.asked, got, c.want)
		}
		// What they take differs by the cache alone.
		taken := func(d backend.DType) (all [3]int) {
			t.Helper()
			before := a.Allocated
			s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: d})
			if err != nil {
				t.Fatal(err)
			}
			all[0] = a.Allocated - before
			s.Close()
			before = a.Allocated
			b := newBatch(t, m, gpt.BatchOptions{Sequences: 2, Cache: d})
			all[1] = a.Allocated - before
			b.Close()
			before = a.Allocated
			e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Cache: d})
			if err != nil {
				t.Fatal(err)
			}
			all[2] = a.Allocated - before
			e.Close()
			return all
		}
		if got, want, other := taken(c.asked), taken(c.want), taken(backend.F32); got != want || c.want == backend.F16 && got == other {
			t.Errorf("matrices of %v, asked for %v: %d bytes are taken, expected %d as with %v", c.weights, c.asked, got, want, c.want)
		}
		m.Close()
	}
}
