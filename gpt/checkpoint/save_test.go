package checkpoint_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/gpttest"
	"caldera/models"
)

func embedded(t *testing.T) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.OpenFS(models.Default(), models.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// saveGGUF saves c, and returns where.
func saveGGUF(t *testing.T, c *checkpoint.Checkpoint, d backend.DType) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved.gguf")
	if err := c.SaveGGUF(context.Background(), path, checkpoint.SaveOptions{DType: d}); err != nil {
		t.Fatal(err)
	}
	return path
}

func openGGUF(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestSaveGGUF compares a file, tensor by tensor, with one spelled out after
// llama.cpp.
func TestSaveGGUF(t *testing.T) {
	for _, d := range []backend.DType{backend.None, backend.F32, backend.F16, backend.Q8_0} {
		f := openGGUF(t, saveGGUF(t, gpttest.OpenCheckpoint(t, gpttest.Base(t).Write(t)), d))
		want := oneGGUF(t)
		if len(f.Tensors()) != len(want.tensors) {
			t.Errorf("%v: tensors %q, expected %d", d, f.Tensors(), len(want.tensors))
		}
		for _, x := range want.tensors {
			// Rows of 12 and 48 are no whole blocks.
			if d != backend.None && d != backend.F32 && len(x.Shape) == 2 && x.Name != "position_embd.weight" {
				var err error
				if x.Data, err = backend.Encode(nil, backend.F16, gpttest.Decode(x.Data)); err != nil {
					t.Fatal(err)
				}
				x.Type = gguf.TypeOf(backend.F16)
			}
			y, ok := f.Tensor(x.Name)
			if !ok || y.Type != x.Type || !slices.Equal(y.Shape, x.Shape) || !bytes.Equal(x.Data, y.Data) {
				t.Errorf("%v: %s is %v %v, expected %v %v, and the same bytes", d, x.Name, y.Type, y.Shape, x.Type, x.Shape)
			}
		}
	}
}

// TestSaveGGUFMetadata compares with what llama.cpp's own converter writes.
func TestSaveGGUFMetadata(t *testing.T) {
	f := openGGUF(t, saveGGUF(t, embedded(t), backend.Q8_0))
	got := map[string]any{}
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		if s, ok := v.Text(); ok {
			got[key] = s
		} else if b, ok := v.Bool(); ok {
			got[key] = b
		} else if x, ok := v.Float(); ok {
			got[key] = float32(x)
		} else if n, ok := v.Int(); ok {
			got[key] = int(n)
		} else if _, n, ok := v.Elements(); ok {
			got[key] = [1]int{n}
		}
	}
	want := map[string]any{
		"general.architecture": "gpt2", "general.name": models.Name, "general.file_type": 7, "general.quantization_version": 2,
		"gpt2.context_length": 256, "gpt2.embedding_length": 192, "gpt2.feed_forward_length": 768, "gpt2.block_count": 6,
		"gpt2.attention.head_count": 6, "gpt2.attention.layer_norm_epsilon": float32(1e-5),
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.bos_token_id": 2047, "tokenizer.ggml.eos_token_id": 2047,
		"tokenizer.ggml.tokens": [1]int{2048}, "tokenizer.ggml.token_type": [1]int{2048}, "tokenizer.ggml.merges": [1]int{1791},
		"tokenizer.ggml.add_bos_token": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata differ (-want +got):\n%s", diff)
	}
	v, _ := f.Value("tokenizer.ggml.token_type")
	types, _ := v.Ints()
	if types[2047] != 3 || slices.Max(types[:2047]) != 1 {
		t.Errorf("types of tokens are %v up to %d, expected 1 each and 3", types[:5], types[2047])
	}
	for d, want := range map[backend.DType]int64{backend.F32: 0, backend.F16: 1, backend.Q4_0: 2, backend.None: 1} {
		v, _ := openGGUF(t, saveGGUF(t, embedded(t), d)).Value("general.file_type")
		if n, _ := v.Int(); n != want {
			t.Errorf("%v: general.file_type is %d, expected %d", d, n, want)
		}
	}
}

// sameModel holds a saved directory to the embedded model: tensors, shape and tokenizer.
func sameModel(t *testing.T, dir string) {
	t.Helper()
	want, err := safetensors.OpenFS(models.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if !slices.Equal(got.Tensors(), want.Tensors()) || got.Metadata()["format"] != "pt" {
		t.Errorf("tensors %q, metadata %v", got.Tensors(), got.Metadata())
	}
	for _, name := range want.Tensors() {
		x, _ := want.Tensor(name)
		y, _ := got.Tensor(name)
		if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("tensor %s, %s %v, came back as %s %v", name, x.DType, x.Shape, y.DType, y.Shape)
		}
	}
	for name, like := range map[string]func() any{
		"config.json": func() any { return new(map[string]any) }, "vocab.json": func() any { return new(map[string]int) }, "merges.txt": nil,
	} {
		a, err := fs.ReadFile(models.Default(), name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if like == nil {
			if !bytes.Equal(a, b) {
				t.Errorf("%s differs", name)
			}
			continue
		}
		x, y := like(), like()
		if err := errors.Join(json.Unmarshal(a, x), json.Unmarshal(b, y)); err != nil {
			t.Fatal(err)
		}
		if m, ok := x.(*map[string]any); ok {
			(*m)["n_inner"] = 768.0 // which is what silence means there
		}
		if diff := cmp.Diff(x, y); diff != "" {
			t.Errorf("%s differs:\n%.1000s", name, diff)
		}
	}
}

// TestSaveAndBack takes the embedded model there and back again.
func TestSaveAndBack(t *testing.T) {
	sameModel(t, gpttest.SaveDir(t, embedded(t), backend.None))
	sameModel(t, gpttest.SaveDir(t, embedded(t), backend.F16))
	// F32 tells all that f16 does, so the way back loses nothing either.
	for _, d := range []backend.DType{backend.None, backend.F16, backend.F32} {
		sameModel(t, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, saveGGUF(t, embedded(t), d)), backend.F16))
	}
	sameModel(t, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, gpttest.SaveDir(t, embedded(t), backend.F32)), backend.F16))
}

// TestSaveQuantizedAgain expects blocks to stay what they are: copied, or made
// again of the numbers that they stand for.
func TestSaveQuantizedAgain(t *testing.T) {
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0} {
		first := saveGGUF(t, embedded(t), d)
		want, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		copied := saveGGUF(t, gpttest.OpenCheckpoint(t, first), d)
		kept := saveGGUF(t, gpttest.OpenCheckpoint(t, first), backend.None)
		dir := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, first), backend.None)
		for _, path := range []string{copied, kept} {
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: a copy differs", d)
			}
		}
		again, original := openGGUF(t, saveGGUF(t, gpttest.OpenCheckpoint(t, dir), d)), openGGUF(t, first)
		for _, name := range original.Tensors() {
			x, _ := original.Tensor(name)
			y, _ := again.Tensor(name)
			if x.Type != y.Type || !bytes.Equal(x.Data, y.Data) {
				t.Errorf("%v: %s differs after the way through f32", d, name)
			}
		}
	}
}

// TestSaveQuantized holds blocks to those of the transposed matrices, and the
// scores to those of the numbers that they stand for.
func TestSaveQuantized(t *testing.T) {
	b := gpttest.OpenCPU(t)
	const source = "../testdata/gpt2-tiny"
	exact := gpt.LoadOptions{Activations: backend.F32}
	weights, err := safetensors.OpenDir(source)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	for d, want := range map[backend.DType]gguf.Type{backend.Q8_0: gguf.TypeOf(backend.Q8_0), backend.Q4_0: gguf.TypeOf(backend.Q4_0)} {
		path := saveGGUF(t, gpttest.OpenCheckpoint(t, source), d)
		x, _ := openGGUF(t, path).Tensor("blk.2.ffn_down.weight")
		y, _ := weights.Tensor("h.2.mlp.c_proj.weight") // [256, 64]
		stored := gpttest.Decode(y.Data)
		var transposed []float32
		for j := range 64 {
			for i := range 256 {
				transposed = append(transposed, stored[i*64+j])
			}
		}
		blocks, err := backend.Encode(nil, d, transposed)
		if err != nil {
			t.Fatal(err)
		}
		if x.Type != want || !slices.Equal(x.Shape, []int{64, 256}) || !bytes.Equal(x.Data, blocks) {
			t.Errorf("%v: a matrix is %v %v, expected %v [64 256] and its blocks", d, x.Type, x.Shape, want)
		}
		scores := gpttest.Logits(t, b, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.None), gpt.LoadOptions{})
		gpttest.CheckNear(t, d.String(), gpttest.Logits(t, b, path, exact), scores, 1e-5)
		gpttest.CheckNear(t, d.String()+" as f32", gpttest.Logits(t, b, path, gpt.LoadOptions{DType: backend.F32}), scores, 1e-5)
		gpttest.CheckNear(t, d.String()+" on a device", gpttest.Logits(t, gpttest.DeviceOf(b), path, exact), scores, 1e-5)
		if slices.Equal(scores, gpttest.Logits(t, b, source, gpt.LoadOptions{})) {
			t.Errorf("%v: the scores are those of what was not quantised", d)
		}
	}
}

// TestSaveVariants saves checkpoints that are laid out in other ways.
func TestSaveVariants(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for name, change := range map[string]func(c *gpttest.Directory){
		"prefixed, with masks": func(c *gpttest.Directory) {
			for i := range c.Tensors {
				c.Tensors[i].Name = "transformer." + c.Tensors[i].Name
			}
			c.Add("transformer.h.0.attn.bias", safetensors.U8, 1, 1, 8, 8)
		},
		"bf16": func(c *gpttest.Directory) { c.Store(safetensors.BF16) },
		"a head of its own": func(c *gpttest.Directory) {
			c.Config["tie_word_embeddings"] = false
			x := c.Add("lm_head.weight", safetensors.F32, 11, 12)
			x.Data = bytes.Clone(c.Tensor("wte.weight").Data)
			slices.Reverse(x.Data[:4])
		},
		"several ends": func(c *gpttest.Directory) { c.Config["eos_token_id"] = []int{3, 4}; c.Config["bos_token_id"] = nil },
	} {
		x := gpttest.Base(t)
		change(x)
		dir := x.Write(t)
		want, config := gpttest.Logits(t, b, dir, gpt.LoadOptions{}), gpttest.OpenCheckpoint(t, dir).Config
		gguf := saveGGUF(t, gpttest.OpenCheckpoint(t, dir), backend.None)
		for _, path := range []string{gguf, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, dir), backend.None), gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, gguf), backend.None)} {
			gpttest.CheckNear(t, name, gpttest.Logits(t, b, path, gpt.LoadOptions{}), want, 1e-6)
			if diff := cmp.Diff(config, gpttest.OpenCheckpoint(t, path).Config); diff != "" {
				t.Errorf("%s: %s has another shape:\n%s", name, path, diff)
			}
		}
	}
}

func TestSaveProgress(t *testing.T) {
	var steps [][2]int
	o := checkpoint.SaveOptions{Progress: func(done, total int) { steps = append(steps, [2]int{done, total}) }}
	c := gpttest.OpenCheckpoint(t, gpttest.Base(t).Write(t))
	if err := c.SaveGGUF(context.Background(), filepath.Join(t.TempDir(), "x.gguf"), o); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 16 || steps[0] != [2]int{1, 16} || steps[15] != [2]int{16, 16} {
		t.Errorf("progress was told as %v", steps)
	}
}

// TestSaveFails expects nothing to be left behind, and old files to stand.
func TestSaveFails(t *testing.T) {
	large := gpttest.Base(t)
	binary.LittleEndian.PutUint32(large.Tensor("h.0.mlp.c_proj.weight").Data[40:], math.Float32bits(-70000))
	missing := gpttest.Base(t)
	missing.Remove("ln_f.bias")
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for name, c := range map[string]struct {
		from  *gpttest.Directory
		ctx   context.Context
		o     checkpoint.SaveOptions
		part  string
		alone bool // safetensors only
	}{
		"too large for f16": {large, context.Background(), checkpoint.SaveOptions{DType: backend.F16}, "tensor \"h.0.mlp.c_proj.weight\": the number -70000 does not fit f16", false},
		"not a model":       {missing, context.Background(), checkpoint.SaveOptions{}, "tensor ln_f.bias is missing", false},
		"stopped":           {gpttest.Base(t), stopped, checkpoint.SaveOptions{}, "context canceled", false},
		"blocks":            {gpttest.Base(t), context.Background(), checkpoint.SaveOptions{DType: backend.Q8_0}, "safetensors holds no q8_0", true},
	} {
		checkpoint := gpttest.OpenCheckpoint(t, c.from.Write(t))
		out := t.TempDir()
		if !c.alone {
			path := filepath.Join(out, "old.gguf")
			if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			gpttest.WantError(t, checkpoint.SaveGGUF(c.ctx, path, c.o), c.part)
			if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
				t.Errorf("%s: the old file holds %q (%v)", name, got, err)
			}
			os.Remove(path)
		}
		gpttest.WantError(t, checkpoint.SaveDir(c.ctx, filepath.Join(out, "new"), c.o), c.part)
		if entries, _ := os.ReadDir(out); len(entries) != 0 {
			t.Errorf("%s: left %v behind", name, entries)
		}
	}
}

// TestSaveDirReplaces writes into a directory with another model, of which
// nothing may be read afterwards.
func TestSaveDirReplaces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "model.safetensors.index.json", "optimizer.safetensors", "train.json", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("of another model"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := embedded(t).SaveDir(context.Background(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	sameModel(t, dir)
	var names []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"README.md", "config.json", "merges.txt", "model.safetensors", "vocab.json"}; !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, expected %q", names, want)
	}
	if _, err := gpttest.OpenCheckpoint(t, dir).Tokenizer(); err != nil {
		t.Error(err)
	}
}
