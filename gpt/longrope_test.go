package gpt_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestLongRope holds the keys of a text, which fits the context of training, to LongRoPE's formula in float64 (Ding et
// al. 2024, arXiv:2402.13753, equation 1, and Microsoft's code for Phi-3): pair i turns by
// position / (factor[i] · theta^(2i/size)), times √(1 + ln(context/original)/ln(original)). Which factors these are
// follows from the context that the session can have, and not from where the text stands in it.
func TestLongRope(t *testing.T) {
	const dir, original, context, rotary, size, theta = "testdata/phi3-short", 32, 80, 12, 16, 10000.0
	short, long := []float64{1, 1.05, 1.1, 1.15, 1.2, 1.25}, []float64{1, 1.7, 2.4, 3.1, 3.8, 4.5} // as config.json has them
	file := filepath.Join(t.TempDir(), "model.gguf")
	if err := gpttest.OpenCheckpoint(t, dir).SaveGGUF(t.Context(), file, checkpoint.SaveOptions{Warn: func(string) {}}); err != nil {
		t.Fatal(err)
	}
	ids := sequence(20, 61)
	amplitude := math.Sqrt(1 + math.Log(float64(context)/original)/math.Log(original))
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, path := range []string{dir, file} {
			m := gpttest.Load(t, b, path, backend.F32)
			keys := func(context int, ids []int) []float32 {
				t.Helper()
				s := newSession(t, m, gpt.SessionOptions{Context: context, Cache: backend.F32, Watch: []string{"blocks.0.attention.key"}})
				if _, err := s.Feed(t.Context(), ids...); err != nil {
					t.Fatal(err)
				}
				seen := s.Seen("blocks.0.attention.key")
				values := make([]float32, len(ids)*size)
				for i := range ids { // beside queries and values in memory
					if err := backend.GetF32(b, seen.Slice(-2, i, i+1), values[i*size:][:size]); err != nil {
						t.Fatal(err)
					}
				}
				return values
			}
			for c, factors := range map[int][]float64{20: short, original: short, original + 1: long, context: long} {
				got := keys(c, ids)
				var want []float32
				for p, id := range ids {
					plain := keys(20, []int{id}) // at position 0 nothing turns
					turned := slices.Clone(plain)
					for i := range rotary / 2 {
						sin, cos := math.Sincos(float64(p) / (factors[i] * math.Pow(theta, 2*float64(i)/rotary)))
						x, y := float64(plain[i]), float64(plain[i+rotary/2])
						turned[i], turned[i+rotary/2] = float32(x*cos-y*sin), float32(x*sin+y*cos)
					}
					want = append(want, turned[:size]...)
				}
				gpttest.CheckNear(t, fmt.Sprintf("%s, keys in a context of %d", path, c), got, want, 1e-5)

				// An Evaluator's are those of a session of its window.
				e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: c})
				if err != nil {
					t.Fatal(err)
				}
				s := newSession(t, m, gpt.SessionOptions{Context: c})
				if err := e.Scores(t.Context(), [][]int{ids}, 0, func(_, p int, scores []float32) error {
					if p == len(ids)-1 {
						want, err := s.Feed(t.Context(), ids...)
						if err != nil {
							return err
						}
						gpttest.CheckNear(t, fmt.Sprintf("%s, an evaluator of windows of %d", path, c), scores, want, 1e-5)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				e.Close()
			}
			// At position 0 cosines are what all are multiplied by.
			tables := 0
			for _, w := range m.Weights() {
				if w.Role != model.Angles {
					continue
				}
				tables++
				cosines := make([]float32, rotary/2)
				if err := backend.GetF32(b, w.Tensor.Slice(-2, 0, 1).Slice(-1, 0, rotary/2), cosines); err != nil {
					t.Fatal(err)
				}
				gpttest.CheckNear(t, w.HF, cosines, slices.Repeat([]float32{float32(amplitude)}, rotary/2), 1e-6)
			}
			if tables != 2 {
				t.Errorf("%d tables of angles, expected one of each kind of contexts", tables)
			}
		}
	})
}
