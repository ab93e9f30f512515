package gpt_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
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
	"caldera/internal/gpttest"
)

// writeAdapter writes an adapter as PEFT has it, of tensors by the names of their modules with .lora_A or .lora_B.
func writeAdapter(t *testing.T, config map[string]any, tensors map[string][][]float32) (dir string) {
	t.Helper()
	dir = t.TempDir()
	all := map[string]any{"peft_type": "LORA"}
	maps.Copy(all, config)
	text, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "adapter_config.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []safetensors.Tensor
	for name, rows := range tensors {
		data, err := backend.Encode(nil, backend.F32, slices.Concat(rows...))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, safetensors.Tensor{Name: "base_model.model." + name + ".weight", DType: safetensors.F32, Shape: []int{len(rows), len(rows[0])}, Data: data})
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, "adapter_model.safetensors"), list, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// matrix is [rows, columns] of the same number in each row.
func matrix(columns int, rows ...float32) (all [][]float32) {
	for _, x := range rows {
		all = append(all, slices.Repeat([]float32{x}, columns))
	}
	return all
}

// TestLoRAMergedOnce: what is added to a matrix of f16 or bf16 is rounded once, wherever it is merged. Here the sum is a little
// more than the middle of two numbers, of which rounding to f32 makes the middle.
func TestLoRAMergedOnce(t *testing.T) {
	const q = "model.layers.0.self_attn.q_proj"
	base := gpttest.ReadDirectory(t, "testdata/llama-grouped")
	x := base.Tensor(q + ".weight")
	copy(x.Data, gpttest.Encode(x.DType, slices.Repeat([]float32{1}, 48*48)))
	dir := base.Write(t)
	for d, half := range map[backend.DType]float32{backend.F16: 0x1p-11, backend.BF16: 0x1p-8} {
		adapter := writeAdapter(t, map[string]any{"r": 2, "lora_alpha": 2}, map[string][][]float32{q + ".lora_A": matrix(48, half, 0x1p-40), q + ".lora_B": matrix(2, slices.Repeat([]float32{1}, 48)...)})
		o := checkpoint.SaveOptions{DType: d, Warn: func(string) {}, Adapters: []*checkpoint.Adapter{openAdapter(t, adapter, 1)}}
		c := gpttest.OpenCheckpoint(t, dir)
		saved, file := filepath.Join(t.TempDir(), "merged"), filepath.Join(t.TempDir(), "merged.gguf")
		if err := c.SaveDir(t.Context(), saved, o); err != nil {
			t.Fatal(err)
		}
		if err := c.SaveGGUF(t.Context(), file, o); err != nil {
			t.Fatal(err)
		}
		b := gpttest.OpenCPU(t)
		for name, m := range map[string]*model.Model{
			"a directory": loadAdapted(t, b, saved, gpt.LoadOptions{}), "GGUF": loadAdapted(t, b, file, gpt.LoadOptions{}),
			"memory": loadAdapted(t, b, dir, gpt.LoadOptions{DType: d, Merge: true, Adapters: []*checkpoint.Adapter{openAdapter(t, adapter, 1)}}),
		} {
			for _, w := range m.Weights() {
				if w.Name(model.HuggingFace) != q+".weight" {
					continue
				}
				data := make([]byte, w.Tensor.Size())
				if err := b.Read(data, w.Tensor.Buf, w.Tensor.DType.Bytes(w.Tensor.Offset)); err != nil {
					t.Fatal(err)
				}
				values := make([]float32, w.Elements())
				if err := backend.Decode(values, w.Tensor.DType, data); err != nil {
					t.Fatal(err)
				}
				if want := 1 + 2*half; w.Tensor.DType != d || slices.Min(values) != want || slices.Max(values) != want {
					t.Errorf("%v in %s: %v from %v to %v, expected %v", d, name, w.Tensor.DType, slices.Min(values), slices.Max(values), want)
				}
			}
		}
	}
}

// writeGGUFAdapter writes an adapter of GPT-2 as llama.cpp has it, whose tensors are of dtype d where their rows are whole
// blocks, and f32 elsewhere.
func writeGGUFAdapter(t *testing.T, d backend.DType, alpha float32, tensors map[string][][]float32) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "adapter.gguf")
	text := func(key, value string) gguf.KeyValue { return gguf.KeyValue{Key: key, Value: gguf.OfText(value)} }
	metadata := []gguf.KeyValue{text("general.architecture", "gpt2"), text("general.type", "adapter"), text("adapter.type", "lora"), {Key: "adapter.lora.alpha", Value: gguf.OfFloat32(alpha)}}
	var list []gguf.Tensor
	for name, rows := range tensors {
		kept := d
		if len(rows[0])%d.BlockLen() != 0 {
			kept = backend.F32
		}
		list = append(list, gguf.Tensor{Name: name, Type: gguf.TypeOf(kept), Shape: []int{len(rows), len(rows[0])}})
	}
	err := gguf.Write(path, metadata, list, func(w io.Writer, x gguf.Tensor) error {
		data, err := backend.Encode(nil, backend.OfFileName(x.Type.String()), slices.Concat(tensors[x.Name]...))
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func random(r *rand.Rand, rows, columns int) [][]float32 {
	all := matrix(columns, make([]float32, rows)...)
	for _, row := range all {
		for i := range row {
			row[i] = float32(r.NormFloat64() / 16)
		}
	}
	return all
}

// blocks is what rows are in dtype d.
func blocks(t *testing.T, d backend.DType, rows [][]float32) (all [][]float32) {
	t.Helper()
	for _, row := range rows {
		data, err := backend.Encode(nil, d, row)
		values := make([]float32, len(row))
		if err == nil {
			err = backend.Decode(values, d, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values)
	}
	return all
}

// TestLoRAInBlocks: an adapter of llama.cpp's in blocks is the same as one in f32 of the numbers that these stand for.
func TestLoRAInBlocks(t *testing.T) {
	const base = "testdata/gpt2-tiny"
	b := gpttest.OpenCPU(t)
	texts := gpttest.Expected(t, base)
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0, backend.F16} {
		r := rand.New(rand.NewPCG(3, 4))
		tensors, plain := map[string][][]float32{}, map[string][][]float32{}
		for i := range 2 {
			for name, rows := range map[string][][]float32{"lora_a": random(r, 32, 64), "lora_b": random(r, 192, 32)} {
				name = fmt.Sprintf("blk.%d.attn_qkv.weight.%s", i, name)
				tensors[name], plain[name] = rows, blocks(t, d, rows)
			}
		}
		scores := func(path string) []float32 {
			return scoresOf(t, loadAdapted(t, b, base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1)}}), texts)
		}
		got, want := scores(writeGGUFAdapter(t, d, 16, tensors)), scores(writeGGUFAdapter(t, backend.F32, 16, plain))
		if !slices.Equal(got, want) || slices.Equal(got, scores(writeGGUFAdapter(t, d, 8, tensors))) {
			t.Errorf("%v: the scores differ, or are those of half the adapter", d)
		}
	}
}

// TestLoRASettings: what goes on learning from an adapter is saved with names of matrices that PEFT finds, and with the ranks
// and factors that it had, whatever it was read from; and gives the same scores.
func TestLoRASettings(t *testing.T) {
	const base = "testdata/gpt2-tiny" // of three blocks
	b := gpttest.OpenCPU(t)
	texts := gpttest.Expected(t, base)
	r := rand.New(rand.NewPCG(5, 6))
	name := func(i int, module, half string) string {
		return fmt.Sprintf("blk.%d.%s.weight.lora_%s", i, module, half)
	}
	ranks := map[string][][]float32{
		name(0, "attn_qkv", "a"): random(r, 4, 64), name(0, "attn_qkv", "b"): random(r, 192, 4),
		name(1, "attn_qkv", "a"): random(r, 3, 64), name(1, "attn_qkv", "b"): random(r, 192, 3),
		name(2, "attn_qkv", "a"): random(r, 4, 64), name(2, "attn_qkv", "b"): random(r, 192, 4),
		name(0, "ffn_up", "a"): random(r, 4, 64), name(0, "ffn_up", "b"): random(r, 256, 4),
	}
	for what, c := range map[string]struct {
		path    string
		targets string
		rank    int
		alpha   float64
	}{
		"GGUF":                   {writeGGUFAdapter(t, backend.F32, 6, ranks), "c_attn transformer.h.0.mlp.c_fc", 4, 6},
		"GGUF without alpha":     {writeGGUFAdapter(t, backend.F32, 0, ranks), "c_attn transformer.h.0.mlp.c_fc", 4, 4},
		"PEFT":                   {"testdata/lora-gpt2", "", 0, 0},
		"PEFT, an expression, √": {writeAdapter(t, map[string]any{"r": 4, "lora_alpha": 3, "use_rslora": true, "target_modules": `.*\.c_proj`, "rank_pattern": json.RawMessage(`{"h.1.attn.c_proj": 2, ".*c_proj": 3}`)}, map[string][][]float32{"transformer.h.1.attn.c_proj.lora_A": random(r, 2, 64), "transformer.h.1.attn.c_proj.lora_B": random(r, 64, 2)}), "transformer.h.1.attn.c_proj", 4, 3},
	} {
		t.Run(what, func(t *testing.T) {
			a := openAdapter(t, c.path, 1)
			l, err := a.Settings(gpttest.OpenCheckpoint(t, base).Config)
			if err != nil {
				t.Fatal(err)
			}
			if c.rank != 0 && (strings.Join(l.Targets, " ") != c.targets || l.Rank != c.rank || l.Alpha != c.alpha) {
				t.Errorf("%+v, expected rank %d, alpha %v of %s", l, c.rank, c.alpha, c.targets)
			}
			m := loadAdapted(t, b, base, gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{a}})
			dir := t.TempDir()
			if err := checkpoint.SaveAdapter(dir, m, l); err != nil {
				t.Fatal(err)
			}
			scores := func(path string) []float32 {
				return scoresOf(t, loadAdapted(t, b, base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1)}}), texts)
			}
			got, want := scores(dir), scores(c.path)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("score %d is %v, expected %v", i, got[i], want[i])
				}
			}
		})
	}
}
