package gpt_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// curve is the losses of 200 steps of a small model that learns the letters of a
// text, with dropout and two batches a step. The seed decides all of it.
func curve(t *testing.T, b backend.Backend, d backend.DType) (losses []float64) {
	t.Helper()
	text, err := os.ReadFile("tokenizer/testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	config := model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 32, Inner: 128, Context: 16, Vocab: 256, Epsilon: 1e-5, TieEmbeddings: true}
	m, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{Train: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := gpt.TrainOptions{Batch: 4, Time: config.Context, Accumulate: 2, AdamW: reference.adamW, Clip: 1, Dropout: 0.05, Seed: 3, DType: d}
	tr, err := gpt.NewTrainer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 200 {
		var ids, targets []int
		for range o.Batch * o.Accumulate {
			at := r.IntN(len(text) - o.Time)
			for i := range o.Time {
				ids, targets = append(ids, int(text[at+i])), append(targets, int(text[at+i+1]))
			}
		}
		// At a rate of 3e-3 the curve is chaotic: on the CPU alone a change of the rate by
		// 2 parts in 10⁷ moves losses by 8e-3. At this one 3 parts move them by 3e-5.
		loss, _, err := tr.Step(ids, targets, 1e-3*min(1, float64(step+1)/20))
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss)
	}
	return losses
}

// TestTrainCurves expects every backend to learn as the CPU does, in mixed
// precision nearly.
func TestTrainCurves(t *testing.T) {
	want := curve(t, gpttest.OpenCPU(t), backend.F32)
	if first, last := want[0], want[len(want)-1]; math.Abs(first-math.Log(256)) > 0.1 || last > 3.5 {
		t.Errorf("the loss began at %v and ended at %v: that is no learning", first, last)
	}
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, c := range []struct {
			d     backend.DType
			limit float64
		}{{backend.F32, 2e-4}, {backend.F16, 3e-2}} {
			worst := 0.0
			for i, v := range curve(t, b, c.d) {
				worst = max(worst, math.Abs(v-want[i]))
			}
			if t.Logf("%v: losses differ by at most %.1e nats", c.d, worst); !(worst <= c.limit) {
				t.Errorf("%v: losses differ by %.1e nats from the CPU's in f32, expected at most %.0e", c.d, worst, c.limit)
			}
		}
	})
}
