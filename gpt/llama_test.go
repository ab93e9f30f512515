package gpt_test

import (
	"errors"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestLlamaDevices expects of every device the tokens of the CPU, and of a text in
// pieces through a cache the scores of the whole.
func TestLlamaDevices(t *testing.T) {
	ids := func(t *testing.T, b backend.Backend, dir string, d backend.DType) []int {
		m := gpttest.Load(t, b, dir, d)
		m.EOS = nil
		s := gpttest.NewSession(t, m, 0)
		defer s.Close()
		var ids []int
		for token, err := range s.Generate(t.Context(), []int{5, 7, 11, 13, 17, 19, 23}, gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: 30}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, token.ID)
		}
		return ids
	}
	for name, c := range gpttest.Llamas() {
		dir := gpttest.SaveLlama(t, c)
		want := ids(t, gpttest.OpenCPU(t), dir, backend.F32)
		devicetest.Each(t, func(t *testing.T, b backend.Backend) {
			if got := ids(t, b, dir, backend.F32); !slices.Equal(got, want) {
				t.Errorf("%s: tokens %v, expected %v as on the CPU", name, got, want)
			}
			m := gpttest.Load(t, b, dir, backend.F32)
			text := sequence(40, c.Vocab)
			whole := gpttest.Feed(t, m, text...)
			s := gpttest.NewSession(t, m, 0)
			defer s.Close()
			var pieces []float32
			for rest, n := text, 1; len(rest) > 0; n++ {
				n = min(n, len(rest))
				logits, err := s.Feed(t.Context(), rest[:n]...)
				if err != nil {
					t.Fatal(err)
				}
				pieces, rest = slices.Clone(logits), rest[n:]
			}
			gpttest.CheckNear(t, name+" in pieces", pieces, whole, 1e-5)
		})
	}
}

// TestLlamaDemand holds what a Llama is said to need to what it takes, to the byte.
func TestLlamaDemand(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		shapes := gpttest.FamilyShapes()
		for _, c := range []struct {
			dtype  backend.DType
			use    gpt.Use
			config model.Config
		}{
			{backend.F32, gpt.Use{Feeds: []int{1, 30}}, gpttest.Llamas()["biases"]},
			{backend.Q8_0, gpt.Use{Context: 20, Cache: backend.F16, Feeds: []int{9}}, gpttest.Llamas()["biases"]},
			{backend.F32, gpt.Use{Context: 60, Feeds: []int{9}}, shapes["gemma3"]},
			{backend.Q8_0, gpt.Use{Feeds: []int{1, 30}}, shapes["phi3-longrope"]},
		} {
			config := c.config
			a := gpttest.AccountOf(b)
			_, err := gpt.Random(t.Context(), &crowded{a, 1, 1 << 40}, config, gpt.LoadOptions{DType: c.dtype, For: &c.use}, 1)
			need := memoryError(t, err).Need
			m, err := gpt.Random(t.Context(), a, config, gpt.LoadOptions{DType: c.dtype, For: &c.use}, 1)
			if err != nil {
				t.Fatal(err)
			}
			weights := a.Allocated
			for _, p := range a.Mapped {
				weights += p
			}
			before := a.Allocated
			s, err := gpt.NewSession(m, gpt.SessionOptions{Context: c.use.Context, Cache: c.use.Cache})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range c.use.Feeds {
				s.Reset()
				if _, err := s.Feed(t.Context(), make([]int, n)...); err != nil {
					t.Fatal(err)
				}
			}
			if used := a.Allocated - before; need.Weights != int64(weights) || need.Cache+need.Workspace != int64(used) {
				t.Errorf("%v: %+v was worked out, %d bytes of weights and %d beside them were taken", c.dtype, need, weights, used)
			}
			s.Close()
			m.Close()
		}
	})
}

func memoryError(t *testing.T, err error) *gpt.MemoryError {
	t.Helper()
	var e *gpt.MemoryError
	if !errors.As(err, &e) {
		t.Fatalf("error %v, expected one of memory", err)
	}
	return e
}
