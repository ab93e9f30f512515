package checkpoint_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestMixtures holds the types of matrices to those that llama_model_quantize of
// llama.cpp v0.5.0 gave each of the same models, in files and in memory. Types of all
// blocks are the usual one and that of blocks with more bits.
func TestMixtures(t *testing.T) {
	const eighteen = "66..6..6..6..6.666" // of 18 blocks: those with more bits
	for _, c := range []struct {
		config model.Config
		more   string
		types  map[backend.DType]map[string][2]string // the usual type, and that with more bits
	}{
		{model.Config{Family: "llama", Layers: 18, Heads: 4, KVHeads: 2, Width: 256, Inner: 512, TieEmbeddings: true}, eighteen,
			map[backend.DType]map[string][2]string{
				backend.Q4_K_M: {"": {"Q4_K", "Q4_K"}, "attn_v": {"Q4_K", "Q6_K"}, "ffn_down": {"Q4_K", "Q6_K"}, "token_embd": {"Q6_K"}},
				backend.Q5_K_M: {"": {"Q5_K", "Q5_K"}, "attn_v": {"Q5_K", "Q6_K"}, "ffn_down": {"Q5_K", "Q6_K"}, "token_embd": {"Q6_K"}},
				backend.Q6_K:   {"": {"Q6_K", "Q6_K"}},
			}},
		{model.Config{Family: "llama", Layers: 9, Heads: 4, KVHeads: 2, Width: 288, Inner: 512}, "6..6..666",
			map[backend.DType]map[string][2]string{
				backend.Q4_K_M: {"": {"Q5_0", "Q5_0"}, "attn_v": {"Q5_0", "Q8_0"}, "ffn_down": {"Q4_K", "Q6_K"}, "output": {"Q8_0"}},
				backend.Q5_K_M: {"": {"Q5_1", "Q5_1"}, "attn_v": {"Q5_1", "Q8_0"}, "ffn_down": {"Q5_K", "Q6_K"}, "output": {"Q8_0"}},
				backend.Q6_K:   {"": {"Q8_0", "Q8_0"}, "ffn_down": {"Q6_K", "Q6_K"}},
			}},
		{model.Config{Family: "gpt2", Layers: 12, Heads: 4, Width: 256, TieEmbeddings: true}, "6..6..6..666",
			map[backend.DType]map[string][2]string{
				backend.Q4_K_M: {"": {"Q4_K", "Q4_K"}, "attn_qkv": {"Q4_K", "Q6_K"}, "ffn_down": {"Q4_K", "Q6_K"}, "token_embd": {"Q6_K"}, "position_embd": {"F32"}},
				backend.Q5_K_M: {"": {"Q5_K", "Q5_K"}, "attn_qkv": {"Q5_K", "Q6_K"}, "ffn_down": {"Q5_K", "Q6_K"}, "token_embd": {"Q6_K"}, "position_embd": {"F32"}},
				backend.Q6_K:   {"": {"Q6_K", "Q6_K"}, "position_embd": {"F32"}},
			}},
	} {
		f, err := model.FamilyOf(c.config.Family)
		if err != nil {
			t.Fatal(err)
		}
		c.config.Context, c.config.Vocab, c.config.Epsilon, c.config.Settings = 32, 96, 1e-5, f.Defaults().Settings
		for d, types := range c.types {
			t.Run(fmt.Sprintf("%s of %d/%v", c.config.Family, c.config.Width, d), func(t *testing.T) {
				want := func(name string) string {
					block := -1
					rest := strings.TrimSuffix(name, ".weight")
					if n, _ := fmt.Sscanf(rest, "blk.%d.", &block); n == 1 {
						rest = rest[strings.LastIndex(rest, ".")+1:]
					}
					both, ok := types[rest]
					if !ok {
						both = types[""]
					}
					if block >= 0 && c.more[block] == '6' {
						return both[1]
					}
					return both[0]
				}
				for _, w := range model.New(nil, c.config.Complete(), model.Placement{}).Learned() {
					if got := w.Kept(d, c.config); w.Matrix() && w.Role != model.Positions && got.FileName() != want(w.Name(model.GGUF)) {
						t.Errorf("%s is kept as %v, expected %s", w.Name(model.GGUF), got, want(w.Name(model.GGUF)))
					}
				}
				if c.config.Layers > 12 || d != backend.Q4_K_M {
					return // quantising takes seconds
				}
				source, err := checkpoint.Random(c.config, 1)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "model.gguf")
				if err := source.SaveGGUF(context.Background(), path, checkpoint.SaveOptions{DType: d}); err != nil {
					t.Fatal(err)
				}
				file, err := gguf.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				for _, name := range file.Tensors() {
					x, _ := file.Tensor(name)
					if len(x.Shape) == 2 && x.Type.String() != want(name) {
						t.Errorf("%s is %v, in llama.cpp's file %s", name, x.Type, want(name))
					}
				}
				if v, _ := file.Value("general.file_type"); true {
					if n, _ := v.Int(); n != 15 {
						t.Errorf("general.file_type is %d", n)
					}
				}
				m, err := source.Load(context.Background(), gpttest.OpenCPU(t), checkpoint.LoadOptions{DType: d})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				for _, w := range m.Learned() {
					if w.Matrix() && w.Tensor.DType.FileName() != want(w.Name(model.GGUF)) {
						t.Errorf("%s is kept as %v, expected %s", w.Name(model.GGUF), w.Tensor.DType, want(w.Name(model.GGUF)))
					}
				}
			})
		}
	}
}
