package gpt_test

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// tuned is what a step on an adapter came to.
type tuned struct {
	loss   float64
	grads  [][]float32
	before [][]byte // bits of frozen weights
	after  [][]byte
	dtype  backend.DType
}

// tune makes a step on the adapter of testdata/lora-gpt2 beside the weights at path.
func tune(t *testing.T, b backend.Backend, path string, o gpt.LoadOptions, products backend.DType) (got tuned) {
	t.Helper()
	texts := gpttest.Expected(t, "testdata/gpt2-tiny")
	o.Train, o.Adapters = true, []*checkpoint.Adapter{openAdapter(t, "testdata/lora-gpt2", 1)}
	m := loadAdapted(t, b, path, o)
	got.dtype, got.before = m.DType(), bitsOf(t, m)
	shape := texts.Shape("input_ids")
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: shape[0], Time: shape[1], AdamW: reference.adamW, Clip: 1, DType: products})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	scale := 1.0
	if products == backend.F16 {
		scale, _ = scaleOf(t, tr)
	}
	if got.loss, _, err = tr.Step(numbers(texts.Ints(t, "input_ids")), numbers(texts.Ints(t, "targets")), 1e-3); err != nil {
		t.Fatal(err)
	}
	for _, p := range tr.Parameters() {
		grad := gpttest.Floats(t, b, p.Grad)
		for i := range grad {
			grad[i] /= float32(scale)
		}
		got.grads = append(got.grads, grad)
	}
	got.after = bitsOf(t, m)
	return got
}

// TestLoRATypes trains beside weights of each type, which keep type and bits. The gradients must be those beside the same
// numbers in f32.
func TestLoRATypes(t *testing.T) {
	bases := map[backend.DType]string{}
	tiny := gpttest.OpenCheckpoint(t, "testdata/gpt2-tiny") // of 64 numbers
	for _, d := range []backend.DType{backend.F16, backend.BF16} {
		bases[d] = gpttest.SaveDir(t, tiny, d)
	}
	bases[backend.Q8_0] = filepath.Join(t.TempDir(), "q8_0.gguf")
	if err := tiny.SaveGGUF(t.Context(), bases[backend.Q8_0], checkpoint.SaveOptions{DType: backend.Q8_0}); err != nil {
		t.Fatal(err)
	}
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for d, path := range bases {
			got := tune(t, b, path, gpt.LoadOptions{}, backend.F32)
			want := tune(t, b, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.F32), gpt.LoadOptions{}, backend.F32)
			if got.dtype != d || want.dtype != backend.F32 || !slices.EqualFunc(got.before, got.after, bytes.Equal) {
				t.Errorf("%v: the weights are kept as %v, expected the same; or their bits have changed", d, got.dtype)
			}
			for i := range want.grads {
				gpttest.CheckNear(t, fmt.Sprint(d, ": gradient ", i), got.grads[i], want.grads[i], 1e-5)
			}
		}
	})
}

// TestLoRAMixed trains in mixed precision beside weights that are loaded as f16, whatever they are stored as: gradients
// are near those of f32 beside the same weights, and not the same.
func TestLoRAMixed(t *testing.T) {
	base := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, "testdata/gpt2-tiny"), backend.F16)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		want := tune(t, b, base, gpt.LoadOptions{}, backend.F32)
		got := tune(t, b, "testdata/gpt2-tiny", gpt.LoadOptions{DType: backend.F16}, backend.F16)
		if got.dtype != backend.F16 || !slices.EqualFunc(got.before, got.after, bytes.Equal) || math.Abs(got.loss-want.loss) > 1e-3*want.loss || got.loss == want.loss {
			t.Errorf("weights of %v, a loss of %v, expected nearly %v", got.dtype, got.loss, want.loss)
		}
		same := true
		for i := range want.grads {
			gpttest.CheckNear(t, fmt.Sprint("gradient ", i), got.grads[i], want.grads[i], 2e-2)
			same = same && slices.Equal(got.grads[i], want.grads[i])
		}
		if same {
			t.Error("the gradients are those of f32")
		}
		m := loadAdapted(t, b, "testdata/gpt2-tiny", gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{openAdapter(t, "testdata/lora-gpt2", 1)}})
		_, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: 1, Time: 4, AdamW: reference.adamW, Clip: 1, DType: backend.F16})
		gpttest.WantError(t, err, "products of f16", "f32", "load them as f16")
	})
}

// TestLoRAMemory: what a trainer takes for an adapter is its gradients and two means, and nothing for weights
// that are frozen, which are used where they lie.
func TestLoRAMemory(t *testing.T) {
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.BF16} {
		t.Run(d.String(), func(t *testing.T) {
			testLoRAMemory(t, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, "testdata/llama-grouped"), d), d)
		})
	}
}

func testLoRAMemory(t *testing.T, base string, d backend.DType) {
	b := gpttest.OpenCPU(t)
	start := b.InUse()
	m := loadAdapted(t, b, base, gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{openAdapter(t, "testdata/lora-llama", 1)}})
	taken := int64(b.InUse() - start)
	if m.DType() != d {
		t.Errorf("the weights are kept as %v, expected %v", m.DType(), d)
	}
	var learn int64
	for _, w := range m.Adapted() {
		learn += w.Elements()
	}
	// What parameters take, by a backend that counts.
	counts := &null.Backend{As: b}
	var list []nn.Parameter
	for _, w := range m.Trained() {
		list = append(list, nn.Parameter{Value: *w.Tensor})
	}
	if _, err := nn.NewParameters(counts, list...); err != nil {
		t.Fatal(err)
	}
	training := counts.Allocated()
	if most := 4*3*learn + 4*1024; training > most || training < 4*3*learn {
		t.Errorf("training takes %d bytes beside %d numbers that learn, expected at most %d", training, learn, most)
	}
	if taken > 4*learn+16<<10 {
		t.Errorf("loading takes %d bytes for %d numbers of the adapter: the weights were copied", taken, learn)
	}
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: 1, Time: 4, AdamW: reference.adamW, Clip: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if n := len(tr.Parameters()); n != len(m.Adapted()) {
		t.Errorf("%d parameters, expected %d", n, len(m.Adapted()))
	}
}
