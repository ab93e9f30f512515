package gpt_test

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestTrainReproducible wants two runs of training on the CPU backend to be the same to the last bit, with
// any number of threads: losses, norms of gradients, weights, and both means of each gradient.
func TestTrainReproducible(t *testing.T) {
	if err := cpu.UseOwn(); err != nil {
		t.Skip(err)
	}
	defer cpu.SetThreads(0)
	const batch, time, vocab = 4, 70, 257 // enough for norms to be split too
	for name, c := range map[string]model.Config{
		"gpt2":  {Family: "gpt2", Layers: 2, Heads: 4, Width: 132, Context: 70, Vocab: vocab},
		"llama": {Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, HeadSize: 18, Width: 132, Inner: 172, Context: 70, Vocab: vocab},
	} {
		for _, o := range []gpt.TrainOptions{
			{Accumulate: 1, Chunk: 90, DType: backend.F32}, {Accumulate: 2, Dropout: 0.1, DType: backend.F32}, {Accumulate: 1, Recompute: true, DType: backend.F16},
		} {
			o.Batch, o.Time, o.AdamW, o.Clip, o.Seed = batch, time, reference.adamW, 1, 7
			t.Run(fmt.Sprintf("%s/accumulate=%d,dropout=%g,dtype=%v", name, o.Accumulate, o.Dropout, o.DType), func(t *testing.T) {
				var want []float32
				for _, threads := range []int{1, 2, 2, 5} {
					got := trained(t, c.Complete(), o, threads)
					if want == nil {
						want = got
					}
					if !slices.Equal(got, want) {
						t.Errorf("%d threads: another run", threads)
					}
				}
			})
		}
	}
}

// trained is what two steps leave: losses and norms, then weights and means.
func trained(t *testing.T, c model.Config, o gpt.TrainOptions, threads int) (all []float32) {
	t.Helper()
	cpu.SetThreads(threads)
	b := gpttest.OpenCPU(t)
	m, err := gpt.Random(t.Context(), b, c, gpt.LoadOptions{Train: true}, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	tr := trainer(t, m, o)
	ids := manyIDs(o.Accumulate*o.Batch*o.Time+1, c.Vocab)
	for range 2 {
		loss, norm, err := tr.Step(ids[:len(ids)-1], ids[1:], 1e-3)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, float32(loss), float32(norm))
	}
	for i, w := range m.Learned() {
		p := tr.Parameters()[i]
		for _, x := range []backend.Tensor{*w.Tensor, p.Mean, p.Square} {
			all = append(all, asStored(t, b, x, w)...)
		}
	}
	return all
}
