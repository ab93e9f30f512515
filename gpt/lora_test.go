package gpt_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// loraReferences are adapters of testdata that scripts/reference_lora.py made, and their models.
var loraReferences = map[string]string{
	"lora-gpt2": "gpt2-tiny", "lora-llama": "llama-grouped", "lora-llama-some": "llama-three", "lora-phi3": "phi3", "lora-neox": "neox",
}

// openAdapter opens an adapter, which is multiplied by scale, until the test ends.
func openAdapter(t *testing.T, path string, scale float64) *checkpoint.Adapter {
	t.Helper()
	a, err := checkpoint.OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	a.Scale = scale
	t.Cleanup(func() { a.Close() })
	return a
}

func loadAdapted(t *testing.T, b backend.Backend, path string, o gpt.LoadOptions) *model.Model {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// scoresOf are those of all positions of the texts that figures are of, [batch, time, vocab], read in
// sessions of their own.
func scoresOf(t *testing.T, m *model.Model, figures gpttest.Figures) (all []float32) {
	t.Helper()
	shape := figures.Shape("input_ids")
	ids := numbers(figures.Ints(t, "input_ids"))
	for i := range shape[0] {
		s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: backend.F32})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids[i*shape[1]:][:shape[1]] {
			scores, err := s.Feed(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, scores...)
		}
		s.Close()
	}
	return all
}

// inGGUF is a reference checkpoint as a GGUF file, in which rows lie otherwise.
func inGGUF(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.gguf")
	if err := gpttest.OpenCheckpoint(t, dir).SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(string) {}}); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoRA holds the scores of models with an adapter to PyTorch's, from either format of the base, as
// it is stored, in f16 and in blocks; and text that is made token by token.
func TestLoRA(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for name, base := range loraReferences {
			want := gpttest.Expected(t, "testdata/"+name)
			texts := gpttest.Expected(t, "testdata/"+base)
			for _, path := range []string{"testdata/" + base, inGGUF(t, "testdata/"+base)} {
				for _, d := range []backend.DType{backend.None, backend.F16} {
					m := loadAdapted(t, b, path, gpt.LoadOptions{DType: d, Activations: backend.F32, Adapters: []*checkpoint.Adapter{openAdapter(t, "testdata/"+name, 1)}})
					tolerance := 1e-5
					if d == backend.F16 {
						tolerance = 5e-3
					}
					gpttest.CheckNear(t, name+" on "+path+" as "+d.String(), scoresOf(t, m, texts), want.Floats(t, "logits"), tolerance)
				}
			}
			m := loadAdapted(t, b, "testdata/"+base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, "testdata/"+name, 1)}})
			m.EOS = nil
			greedy := numbers(want.Ints(t, "greedy"))
			time := texts.Shape("input_ids")[1]
			s := gpttest.NewSession(t, m, 0)
			got := slices.Clone(greedy[:time])
			for token, err := range s.Generate(context.Background(), got, gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: min(16, m.Context-time)}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, token.ID)
			}
			s.Close()
			if !slices.Equal(got, greedy[:len(got)]) {
				t.Errorf("%s: greedy text %v, expected %v", name, got[time:], greedy[time:])
			}
		}
	})
}

// TestLoRASwiftShader holds the scores of one model with an adapter to PyTorch's on another driver.
func TestLoRASwiftShader(t *testing.T) {
	devicetest.OnSwiftShader(t, func(t *testing.T, b backend.Backend) {
		const name, base = "testdata/lora-llama", "testdata/llama-grouped"
		m := loadAdapted(t, b, base, gpt.LoadOptions{Activations: backend.F32, Adapters: []*checkpoint.Adapter{openAdapter(t, name, 1)}})
		gpttest.CheckNear(t, name, scoresOf(t, m, gpttest.Expected(t, base)), gpttest.Expected(t, name).Floats(t, "logits"), 1e-5)
	})
}

// TestLoRATrain holds the losses of three steps on an adapter, its gradients and what it becomes to
// PyTorch's, beside weights of either format, and expects that these keep their bits, take no
// memory for training, and that what is saved is what was learned.
func TestLoRATrain(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for name, base := range loraReferences {
			for _, path := range []string{"testdata/" + base, inGGUF(t, "testdata/"+base)} {
				t.Run(name+" "+filepath.Base(path), func(t *testing.T) { testLoRATrain(t, b, "testdata/"+name, "testdata/"+base, path) })
			}
		}
	})
}

func testLoRATrain(t *testing.T, b backend.Backend, adapter, base, path string) {
	want, texts := gpttest.Expected(t, adapter), gpttest.Expected(t, base)
	a := openAdapter(t, adapter, 1)
	m := loadAdapted(t, b, path, gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{a}})
	before := bitsOf(t, m)
	shape := texts.Shape("input_ids")
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: shape[0], Time: shape[1], AdamW: reference.adamW, Clip: reference.clip, Chunk: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if n := len(tr.Parameters()); n != len(m.Adapted()) {
		t.Errorf("%d tensors are trained, expected the %d of the adapter", n, len(m.Adapted()))
	}
	ids, targets := numbers(texts.Ints(t, "input_ids")), numbers(texts.Ints(t, "targets"))
	var losses []float32
	saved := t.TempDir()
	inOrder := func(w model.Weight, x []float32) []float32 { // of memory
		if rows := w.Rows(model.HuggingFace, w.Lies(m.Order), m.HeadSize); rows != nil {
			return reordered(x, w.Shape[0], rows)
		}
		return x
	}
	for step := range 3 {
		loss, _, err := tr.Step(ids, targets, reference.rate)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, float32(loss))
		if step > 0 {
			continue
		}
		for i, w := range m.Trained() {
			figure := "grad." + w.Name(model.HuggingFace)
			gpttest.CheckNear(t, figure, gpttest.Floats(t, b, tr.Parameters()[i].Grad), inOrder(w, want.Floats(t, figure)), 1e-5)
		}
	}
	last, err := tr.Loss(ids, targets)
	if err != nil {
		t.Fatal(err)
	}
	gpttest.CheckNear(t, "losses", append(losses, float32(last)), want.Floats(t, "losses"), 1e-5)
	for _, w := range m.Trained() {
		figure := "step3." + w.Name(model.HuggingFace)
		gpttest.CheckNear(t, figure, gpttest.Floats(t, b, *w.Tensor), inOrder(w, want.Floats(t, figure)), 3e-5) // AdamW makes steps of small gradients that are as large as any other's
	}
	if !slices.EqualFunc(before, bitsOf(t, m), bytes.Equal) {
		t.Error("frozen weights have changed")
	}
	if err := checkpoint.SaveAdapter(saved, m, a.LoRA); err != nil {
		t.Fatal(err)
	}
	again := openAdapter(t, saved, 1)
	if again.Rank != a.Rank || again.Alpha != a.Alpha || !slices.Equal(again.Targets, a.Targets) {
		t.Errorf("saved as %+v, expected %+v", again.LoRA, a.LoRA)
	}
	file, err := safetensors.Open(filepath.Join(saved, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, name := range file.Tensors() {
		x, _ := file.Tensor(name)
		gpttest.CheckNear(t, name+", saved", gpttest.Decode(x.Data), want.Floats(t, "step3."+name), 3e-5)
	}
	m2 := loadAdapted(t, b, path, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{again}, Activations: backend.F32})
	loss := crossEntropy(scoresOf(t, m2, texts), texts.Ints(t, "targets"))
	gpttest.CheckNear(t, "loss of what was saved", []float32{float32(loss)}, []float32{want.Floats(t, "losses")[3]}, 1e-5)
}

// bitsOf are the bytes of all weights of files.
func bitsOf(t *testing.T, m *model.Model) (all [][]byte) {
	t.Helper()
	for _, w := range m.Learned() {
		x := *w.Tensor
		if !x.Contiguous() {
			x = x.Transpose()
		}
		data := make([]byte, x.Size())
		if err := m.Backend.Read(data, x.Buf, x.DType.Bytes(x.Offset)); err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// TestLoRAMerged holds matrices with an adapter added to them to PyTorch's, and the scores of such a
// model, in either format, to those with the adapter beside it.
func TestLoRAMerged(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for name, base := range loraReferences {
		want, texts := gpttest.Expected(t, "testdata/"+name), gpttest.Expected(t, "testdata/"+base)
		for _, path := range []string{"testdata/" + base, inGGUF(t, "testdata/"+base)} {
			c := gpttest.OpenCheckpoint(t, path)
			o := checkpoint.SaveOptions{DType: backend.F32, Warn: func(string) {}, Adapters: []*checkpoint.Adapter{openAdapter(t, "testdata/"+name, 1)}}
			dir, file := filepath.Join(t.TempDir(), "merged"), filepath.Join(t.TempDir(), "merged.gguf")
			if err := c.SaveDir(t.Context(), dir, o); err != nil {
				t.Fatal(err)
			}
			if err := c.SaveGGUF(t.Context(), file, o); err != nil {
				t.Fatal(err)
			}
			saved := gpttest.ReadDirectory(t, dir)
			for _, figure := range want.Tensors() {
				if matrix, found := strings.CutPrefix(figure, "merged."); found {
					gpttest.CheckNear(t, figure, gpttest.Numbers(t, *saved.Tensor(matrix)), want.Floats(t, figure), 1e-7)
				}
			}
			for _, merged := range []string{dir, file} {
				gpttest.CheckNear(t, name+" merged into "+merged, scoresOf(t, gpttest.Load(t, b, merged, backend.F32), texts), want.Floats(t, "logits"), 1e-5)
			}
		}
	}
}

// TestLoRASeveral: adapters add up, each times its factor.
func TestLoRASeveral(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		const name, base = "testdata/lora-llama", "testdata/llama-grouped"
		texts := gpttest.Expected(t, base)
		scores := func(factors ...float64) []float32 {
			var list []*checkpoint.Adapter
			for _, f := range factors {
				list = append(list, openAdapter(t, name, f))
			}
			return scoresOf(t, loadAdapted(t, b, base, gpt.LoadOptions{Adapters: list}), texts)
		}
		plain := scores()
		gpttest.CheckNear(t, "one and its opposite", scores(1.5, -1.5), plain, 1e-5)
		gpttest.CheckNear(t, "0", scores(0), plain, 1e-6)
		gpttest.CheckNear(t, "three thirds", scores(0.5, 0.25, 0.25), scores(1), 1e-5)
		if got := scores(2); slices.Equal(got, scores(1)) {
			t.Error("a factor of 2 changes nothing")
		}
	})
}

// TestLoRANew: a new adapter changes nothing, learns, and its A is uniform within 1/√in.
func TestLoRANew(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, base := range []string{"testdata/gpt2-tiny", "testdata/llama-grouped", "testdata/neox"} {
		texts := gpttest.Expected(t, base)
		c := gpttest.OpenCheckpoint(t, base)
		a, err := checkpoint.NewAdapter(c.Config, checkpoint.LoRA{Rank: 4, Alpha: 8, Dropout: 0.1, Targets: []string{checkpoint.AllLinear}}, 7)
		if err != nil {
			t.Fatal(err)
		}
		m := loadAdapted(t, b, base, gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{a}})
		if n := len(m.Adapted()); n%(2*m.Layers) != 0 || n < 8*m.Layers {
			t.Errorf("%s: %d matrices for %d layers", base, n, m.Layers)
		}
		gpttest.CheckNear(t, base, scoresOf(t, m, texts), scoresOf(t, gpttest.Load(t, b, base, backend.None), texts), 1e-6)
		for i, w := range m.Adapted() {
			values := gpttest.Floats(t, b, *w.Tensor)
			if largest := slices.Max(values); i%2 == 1 && (largest != 0 || slices.Min(values) != 0) {
				t.Errorf("%s: B is not 0", w.Name(model.HuggingFace))
			} else if bound := 1 / math.Sqrt(float64(w.Inputs())); i%2 == 0 && !(float64(largest) <= bound*(1+1e-6) && float64(largest) > 0.9*bound && float64(slices.Min(values)) < -0.9*bound) {
				t.Errorf("%s: between %v and %v, expected nearly ±%v", w.Name(model.HuggingFace), slices.Min(values), largest, bound)
			}
		}
		shape := texts.Shape("input_ids")
		tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: shape[0], Time: shape[1], AdamW: reference.adamW, Clip: 1, Recompute: true})
		if err != nil {
			t.Fatal(err)
		}
		ids, targets := numbers(texts.Ints(t, "input_ids")), numbers(texts.Ints(t, "targets"))
		measure := func() float64 {
			loss, err := tr.Loss(ids, targets)
			if err != nil {
				t.Fatal(err)
			}
			return loss
		}
		first := measure()
		for range 25 {
			if _, _, err := tr.Step(ids, targets, 3e-3); err != nil {
				t.Fatal(err)
			}
		}
		last := measure()
		tr.Close()
		if !(last < 0.8*first) {
			t.Errorf("%s: the loss goes from %v to %v", base, first, last)
		}
	}
}

// TestLoRAGGUF has an adapter in llama.cpp's format, whose rows lie as those of its Llama's do, give the
// scores that PEFT's gives, beside either format of the base.
func TestLoRAGGUF(t *testing.T) {
	const name, base = "testdata/lora-llama-some", "testdata/llama-three" // 3 heads of 16 numbers
	f, err := safetensors.Open(filepath.Join(name, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []gguf.Tensor
	data := map[string][]byte{}
	for i := range 2 {
		for _, m := range [][2]string{{"q_proj", "attn_q"}, {"v_proj", "attn_v"}} {
			for _, half := range []string{"A", "B"} {
				x, _ := f.Tensor(fmt.Sprintf("base_model.model.model.layers.%d.self_attn.%s.lora_%s.weight", i, m[0], half))
				values := gpttest.Decode(x.Data)
				if half == "B" && m[0] == "q_proj" { // permute of convert_hf_to_gguf.py: rows 0, 8, 1, 9 … of each head
					turned := slices.Clone(values)
					for r := range x.Shape[0] {
						from := r/16*16 + r%2*8 + r%16/2
						copy(turned[r*x.Shape[1]:][:x.Shape[1]], values[from*x.Shape[1]:])
					}
					values = turned
				}
				to := gguf.Tensor{Name: fmt.Sprintf("blk.%d.%s.weight.lora_%s", i, m[1], strings.ToLower(half)), Type: gguf.TypeOf(backend.F32), Shape: x.Shape}
				tensors = append(tensors, to)
				data[to.Name], _ = backend.Encode(nil, backend.F32, values)
			}
		}
	}
	text := func(key, value string) gguf.KeyValue { return gguf.KeyValue{Key: key, Value: gguf.OfText(value)} }
	write := func(kind, architecture string, alpha float32) string {
		path := filepath.Join(t.TempDir(), "adapter.gguf")
		metadata := []gguf.KeyValue{text("general.architecture", architecture), text("general.type", kind), text("adapter.type", "lora"), {Key: "adapter.lora.alpha", Value: gguf.OfFloat32(alpha)}}
		if err := gguf.Write(path, metadata, tensors, func(w io.Writer, x gguf.Tensor) error {
			_, err := w.Write(data[x.Name])
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b := gpttest.OpenCPU(t)
	want, texts := gpttest.Expected(t, name), gpttest.Expected(t, base)
	path := write("adapter", "llama", 16)
	for _, of := range []string{base, inGGUF(t, base)} {
		m := loadAdapted(t, b, of, gpt.LoadOptions{Activations: backend.F32, Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1)}})
		gpttest.CheckNear(t, of, scoresOf(t, m, texts), want.Floats(t, "logits"), 1e-5)
	}
	_, err = gpt.Load(t.Context(), b, base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, write("adapter", "qwen2", 16), 1)}})
	gpttest.WantError(t, err, "general.architecture", "qwen2", "llama", "another model")
	_, err = checkpoint.OpenAdapter(write("model", "llama", 16))
	gpttest.WantError(t, err, "general.type", "model", "adapter")
}
