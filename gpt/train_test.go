package gpt_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// reference is the recipe of scripts/reference.py.
var reference = struct {
	adamW nn.AdamW
	clip  float32
	rate  float64
}{nn.AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1}, 1, 1e-3}

// TestTrainReference holds the loss, every gradient, and every weight after
// three steps to what PyTorch computed in float64.
func TestTrainReference(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			for _, chunk := range []int{0, 7} { // all positions at once, and a few at a time
				t.Run(fmt.Sprintf("%s/chunk=%d", name, chunk), func(t *testing.T) { testTrain(t, b, "testdata/"+name, chunk) })
			}
		}
	})
}

func testTrain(t *testing.T, b backend.Backend, dir string, chunk int) {
	m := trainable(t, b, dir)
	want := gpttest.Expected(t, dir)
	shape := want.Shape("input_ids")
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: shape[0], Time: shape[1], AdamW: reference.adamW, Clip: reference.clip, Chunk: chunk})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	ids, targets := numbers(want.Ints(t, "input_ids")), numbers(want.Ints(t, "targets"))
	for step := range 3 {
		loss, norm, err := tr.Step(ids, targets, reference.rate)
		if err != nil {
			t.Fatal(err)
		}
		if step > 0 {
			continue
		}
		gpttest.CheckNear(t, "loss", []float32{float32(loss)}, want.Floats(t, "loss"), 1e-5)
		squares := 0.0
		for i, w := range m.Learned() {
			ref := want.Floats(t, "grad."+w.Name(model.HuggingFace))
			for _, v := range ref {
				squares += float64(v) * float64(v)
			}
			got := asStored(t, b, tr.Parameters()[i].Grad, w)
			gpttest.CheckNear(t, "grad."+w.Name(model.HuggingFace), got, ref, 1e-5)
		}
		if want := math.Sqrt(squares); !(math.Abs(norm-want) <= 1e-5*want) {
			t.Errorf("the norm of the gradients is %v, expected %v", norm, want)
		}
	}
	for _, w := range m.Learned() {
		tolerance := 1e-5
		if strings.HasSuffix(w.Name(model.HuggingFace), "c_attn.bias") {
			// The gradient of the key's bias is 0 but for rounding, of which
			// AdamW makes steps as large as any other's.
			tolerance = 2e-3
		}
		gpttest.CheckNear(t, "step3."+w.Name(model.HuggingFace), asStored(t, b, *w.Tensor, w), want.Floats(t, "step3."+w.Name(model.HuggingFace)), tolerance)
	}
}

func trainable(t *testing.T, b backend.Backend, dir string) *model.Model {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// asStored reads a weight or its gradient in the order of a checkpoint.
func asStored(t *testing.T, b backend.Backend, x backend.Tensor, w model.Weight) []float32 {
	t.Helper()
	if w.Transposed(model.HuggingFace) {
		x = x.Transpose()
	}
	return gpttest.Floats(t, b, gpttest.Compact(t, b, x))
}

func numbers(values []int32) (out []int) {
	for _, v := range values {
		out = append(out, int(v))
	}
	return out
}

// TestTrainLearns trains a model on one text until it knows it by heart, and
// reads it back from a session: steps change the weights that text is made with.
func TestTrainLearns(t *testing.T) {
	b := gpttest.OpenCPU(t)
	config, err := checkpoint.Open("testdata/gpt2-one")
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	m, err := gpt.Random(t.Context(), b, config.Config, gpt.LoadOptions{Train: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := b.InUse()
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: 2, Time: 4, AdamW: reference.adamW, Clip: 1})
	if err != nil {
		t.Fatal(err)
	}
	text := []int{3, 1, 4, 1, 5, 9, 2, 6}
	var first, loss float64
	for step := range 300 {
		if loss, _, err = tr.Step([]int{3, 1, 4, 1, 1, 5, 9, 2}, []int{1, 4, -1, 5, 5, 9, 2, 6}, 1e-2); err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			first = loss
		}
	}
	tr.Close()
	if b.InUse() != before {
		t.Errorf("%d buffers are left behind", b.InUse()-before)
	}
	if want := math.Log(11) * 7 / 8; math.Abs(first-want) > 0.05 { // one target does not count
		t.Errorf("the first loss is %v, expected about %.2f: all tokens are equally likely", first, want)
	}
	if loss > 0.05 {
		t.Errorf("after 300 steps the loss is %v, it began at %v", loss, first)
	}
	if got := gpttest.Feed(t, m, text[:2]...); slices.Index(got, slices.Max(got)) != 4 {
		t.Errorf("after 3, 1 comes %d, expected 4", slices.Index(got, slices.Max(got)))
	}
}

func TestTrainErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/gpt2-one", backend.F32)
	o := gpt.TrainOptions{Batch: 1, Time: 4, AdamW: reference.adamW, Clip: 1}
	_, err := gpt.NewTrainer(m, o)
	gpttest.WantError(t, err, "cannot change", "LoadOptions.Train")
	_, err = gpt.Load(t.Context(), b, "testdata/gpt2-one", gpt.LoadOptions{Train: true, DType: backend.F16})
	gpttest.WantError(t, err, "f32", "f16")
	m = trainable(t, b, "testdata/gpt2-one")
	before := b.InUse()
	for _, bad := range []gpt.TrainOptions{{Batch: 0, Time: 4}, {Batch: 1, Time: 0}, {Batch: 1, Time: 9}} {
		_, err = gpt.NewTrainer(m, bad)
		gpttest.WantError(t, err, "sequences of", "1 to 8")
	}
	bad := o
	bad.Clip = 0
	_, err = gpt.NewTrainer(m, bad)
	gpttest.WantError(t, err, "global_norm", "above 0")
	if b.InUse() != before {
		t.Errorf("%d buffers are left behind", b.InUse()-before)
	}
	tr, err := gpt.NewTrainer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for _, c := range []struct {
		ids, targets []int
		parts        []string
	}{
		{[]int{1, 2, 3}, []int{1, 2, 3}, []string{"3 tokens", "1 sequences of 4"}},
		{[]int{1, 2, 3, 4}, []int{1, 2, 3}, []string{"3 targets", "1 sequences of 4"}},
		{[]int{1, 2, 3, 11}, []int{1, 2, 3, 4}, []string{"token 3 is 11", "0 to 10"}},
		{[]int{1, 2, -1, 3}, []int{1, 2, 3, 4}, []string{"token 2 is -1", "0 to 10"}},
		{[]int{1, 2, 3, 4}, []int{1, -2, 3, 4}, []string{"target 1 is -2", "0 to 10"}},
	} {
		_, _, err := tr.Step(c.ids, c.targets, 0.1)
		gpttest.WantError(t, err, c.parts...)
	}
}
