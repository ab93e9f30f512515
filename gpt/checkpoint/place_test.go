package checkpoint_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestBelow loads matrices that products read together: those of one dtype lie one below the
// other in one buffer, and a step multiplies with them at once. What the model takes is
// freed with it.
func TestBelow(t *testing.T) {
	c := gpttest.Llamas()["biases"]
	dir := gpttest.SaveLlama(t, c)
	mixed := gpttest.SaveLlama(t, c)
	halve(t, filepath.Join(mixed, safetensors.SingleName), "v_proj.weight")
	for _, x := range []struct {
		dir    string
		o      gpt.LoadOptions
		shared map[model.Role]bool // with the row before
	}{
		{dir, gpt.LoadOptions{}, map[model.Role]bool{model.Key: true, model.Value: true, model.Up: true}},
		{dir, gpt.LoadOptions{DType: backend.F16}, map[model.Role]bool{model.Key: true, model.Value: true, model.Up: true}},
		{dir, gpt.LoadOptions{Train: true}, map[model.Role]bool{model.Key: true, model.Value: true, model.Up: true}},
		{mixed, gpt.LoadOptions{}, map[model.Role]bool{model.Key: true, model.Up: true}},
	} {
		b := &null.Backend{}
		m, err := gpt.Load(t.Context(), b, x.dir, x.o)
		if err != nil {
			t.Fatal(err)
		}
		var before model.Weight
		for _, w := range m.Weights() {
			shared := before.Tensor != nil && w.Tensor.Buf == before.Tensor.Buf
			if want := x.shared[w.Role] || w.Role == model.Bias && (w.Of == model.Key || w.Of == model.Value || w.Of == model.Up); shared != want {
				t.Errorf("%s: it shares a buffer with the tensor before is %v, expected %v", w.HF, shared, want)
			} else if shared && w.Tensor.Offset != before.Tensor.Offset+before.Tensor.Len() {
				t.Errorf("%s lies at %d, expected it behind %s, which ends at %d", w.HF, w.Tensor.Offset, before.HF, before.Tensor.Offset+before.Tensor.Len())
			}
			before = w
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if used, _, _ := b.Memory(); used != 0 {
			t.Errorf("%d bytes are left of a model that is closed", used)
		}
	}
	cpu := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, cpu, mixed, gpt.LoadOptions{})
	gpttest.CheckNear(t, "matrices of several dtypes on a device", gpttest.Logits(t, gpttest.DeviceOf(cpu), mixed, gpt.LoadOptions{}), want, 2e-6)
}

// halve stores tensors of a file whose names end so as f16.
func halve(t *testing.T, path, end string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		x.Data = slices.Clone(x.Data)
		if strings.HasSuffix(name, end) {
			x.DType = safetensors.F16
			if x.Data, err = backend.Encode(nil, backend.F16, gpttest.Decode(x.Data)); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, x)
	}
	if err := gpttest.WriteTensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
}
