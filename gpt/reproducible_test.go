package gpt_test

import (
	"reflect"
	"runtime"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/model"
)

// TestReproducible wants the CPU backend to give a token the same scores, to the last bit, with any
// number of threads and of tokens in a step, and with other sequences in it.
func TestReproducible(t *testing.T) {
	if err := cpu.UseOwn(); err != nil {
		t.Skip(err)
	}
	ids := manyIDs(90, 50)
	for name, c := range map[string]model.Config{
		"gpt2":  {Family: "gpt2", Layers: 2, Heads: 2, Width: 96, Context: 128, Vocab: 50},
		"llama": {Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, HeadSize: 32, Width: 64, Inner: 160, Context: 128, Vocab: 50},
	} {
		for _, d := range backend.DTypes(backend.Targets) {
			t.Run(name+"/"+d.String(), func(t *testing.T) {
				var want []float32
				var drawn []gpt.Token
				for _, threads := range []int{1, 3} {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
					b, err := cpu.Open()
					if err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{DType: d}, 3)
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					if !backend.Reproducible(b) {
						t.Errorf("%s says that it is not reproducible", backend.Describe(b))
					}
					for _, others := range []int{0, 5, 12} {
						batch := newBatch(t, m, gpt.BatchOptions{Sequences: 13, Context: 128, Block: 16, Chunk: 20 + others})
						for i := range others {
							admit(t, batch, manyIDs(20+7*i, 40), gpt.Options{Predict: 30, IgnoreEOS: true})
						}
						s := admit(t, batch, ids[:50], gpt.Options{Predict: 20, IgnoreEOS: true, LogProbs: 50})
						got := tokensOf(collectAll(t, batch)[s])
						if drawn == nil {
							drawn = got
						} else if !reflect.DeepEqual(got, drawn) {
							t.Errorf("%d threads, beside %d sequences: other tokens or log-probabilities", threads, others)
						}
					}
					for _, step := range []int{1, 2, 13, 70, 90} {
						s, err := gpt.NewSession(m, gpt.SessionOptions{})
						if err != nil {
							t.Fatal(err)
						}
						defer s.Close()
						var got []float32
						for part := range slices.Chunk(ids, step) {
							if got, err = s.Feed(t.Context(), part...); err != nil {
								t.Fatal(err)
							}
						}
						if want == nil {
							want = slices.Clone(got)
						} else if !slices.Equal(got, want) {
							t.Errorf("%d threads, %d tokens a step: other scores, by %.2g", threads, step, distance(got, want))
						}
					}
				}
			})
		}
	}
}
