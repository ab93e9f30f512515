package checkpoint_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
	"caldera/models"
)

// ggufModel is a GGUF file that a test changes before it is written. It is
// spelled out here, after llama.cpp, and not made by the code under test.
type ggufModel struct {
	metadata []gguf.KeyValue
	tensors  []gguf.Tensor
}

// oneGGUF is testdata/gpt2-one as llama.cpp has it: matrices of the blocks are
// transposed, the token matrix is the head too.
func oneGGUF(t *testing.T) *ggufModel {
	t.Helper()
	c := gpttest.Base(t)
	m := &ggufModel{metadata: []gguf.KeyValue{
		{Key: "general.architecture", Value: gguf.OfText("gpt2")},
		{Key: "gpt2.context_length", Value: gguf.OfUint32(8)},
		{Key: "gpt2.embedding_length", Value: gguf.OfUint32(12)},
		{Key: "gpt2.feed_forward_length", Value: gguf.OfUint32(48)},
		{Key: "gpt2.block_count", Value: gguf.OfUint32(1)},
		{Key: "gpt2.attention.head_count", Value: gguf.OfUint32(1)},
		{Key: "gpt2.attention.layer_norm_epsilon", Value: gguf.OfFloat32(1e-5)},
		{Key: "tokenizer.ggml.eos_token_id", Value: gguf.OfUint32(10)},
	}}
	for _, x := range []struct {
		name, from string
		transposed bool
	}{
		{"token_embd.weight", "wte.weight", false}, {"position_embd.weight", "wpe.weight", false},
		{"blk.0.attn_norm.weight", "h.0.ln_1.weight", false}, {"blk.0.attn_norm.bias", "h.0.ln_1.bias", false},
		{"blk.0.attn_qkv.weight", "h.0.attn.c_attn.weight", true}, {"blk.0.attn_qkv.bias", "h.0.attn.c_attn.bias", false},
		{"blk.0.attn_output.weight", "h.0.attn.c_proj.weight", true}, {"blk.0.attn_output.bias", "h.0.attn.c_proj.bias", false},
		{"blk.0.ffn_norm.weight", "h.0.ln_2.weight", false}, {"blk.0.ffn_norm.bias", "h.0.ln_2.bias", false},
		{"blk.0.ffn_up.weight", "h.0.mlp.c_fc.weight", true}, {"blk.0.ffn_up.bias", "h.0.mlp.c_fc.bias", false},
		{"blk.0.ffn_down.weight", "h.0.mlp.c_proj.weight", true}, {"blk.0.ffn_down.bias", "h.0.mlp.c_proj.bias", false},
		{"output_norm.weight", "ln_f.weight", false}, {"output_norm.bias", "ln_f.bias", false},
	} {
		from := c.Tensor(x.from)
		y := gguf.Tensor{Name: x.name, Type: gguf.TypeOf(backend.F32), Shape: from.Shape, Data: from.Data}
		if x.transposed {
			rows, cols := from.Shape[0], from.Shape[1]
			y.Shape, y.Data = []int{cols, rows}, nil
			for j := range cols {
				for i := range rows {
					y.Data = append(y.Data, from.Data[4*(i*cols+j):4*(i*cols+j)+4]...)
				}
			}
		}
		m.tensors = append(m.tensors, y)
	}
	return m
}

func (m *ggufModel) set(key string, v gguf.Value) {
	m.unset(key)
	m.metadata = append(m.metadata, gguf.KeyValue{Key: key, Value: v})
}

func (m *ggufModel) unset(key string) {
	m.metadata = slices.DeleteFunc(m.metadata, func(kv gguf.KeyValue) bool { return kv.Key == key })
}

func (m *ggufModel) tensor(name string) *gguf.Tensor {
	i := slices.IndexFunc(m.tensors, func(x gguf.Tensor) bool { return x.Name == name })
	return &m.tensors[i]
}

func (m *ggufModel) remove(name string) {
	m.tensors = slices.DeleteFunc(m.tensors, func(x gguf.Tensor) bool { return x.Name == name })
}

func (m *ggufModel) write(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "model.gguf")
	err := gguf.Write(path, m.metadata, m.tensors, func(w io.Writer, x gguf.Tensor) error {
		_, err := w.Write(x.Data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoadGGUF expects the same scores, bit by bit, of the same weights.
func TestLoadGGUF(t *testing.T) {
	b := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, b, gpttest.Base(t).Write(t), gpt.LoadOptions{})
	for name, change := range map[string]func(m *ggufModel){
		"plain":             func(m *ggufModel) {},
		"no inner width":    func(m *ggufModel) { m.unset("gpt2.feed_forward_length") },
		"heads of the keys": func(m *ggufModel) { m.set("gpt2.attention.head_count_kv", gguf.OfUint32(1)) },
		"what is not known": func(m *ggufModel) { m.set("general.author", gguf.OfText("somebody")) },
		"head of its own": func(m *ggufModel) { // as older files have
			x := *m.tensor("token_embd.weight")
			x.Name = "output.weight"
			m.tensors = append(m.tensors, x)
		},
	} {
		m := oneGGUF(t)
		change(m)
		path := m.write(t)
		b.Mapped, b.Allocated = nil, 0
		got := gpttest.Logits(t, b, path, gpt.LoadOptions{})
		gpttest.CheckNear(t, name, got, want, 1e-6) // matrices lie the other way round, so sums run in another order
		if len(b.Mapped) < 16 {
			t.Errorf("%s: %d tensors are used in place, expected all 16", name, len(b.Mapped))
		}
		gpttest.CheckNear(t, name+", on a device", gpttest.Logits(t, gpttest.DeviceOf(b), path, gpt.LoadOptions{}), want, 1e-6)
	}
}

// TestLoadGGUFConfig reads the shape.
func TestLoadGGUFConfig(t *testing.T) {
	m := oneGGUF(t)
	m.set("tokenizer.ggml.bos_token_id", gguf.OfUint32(50256)) // beyond the vocabulary
	m.set("tokenizer.ggml.eot_token_id", gguf.OfUint32(3))
	c, err := checkpoint.Open(m.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := model.Config{Family: "gpt2", Layers: 1, Heads: 1, Width: 12, Inner: 48, Context: 8, Vocab: 11, Epsilon: 1e-5, TieEmbeddings: true, EOS: []int{10, 3}}
	if c.Config.Epsilon != want.Epsilon || c.Config.Inner != want.Inner || !slices.Equal(c.Config.EOS, want.EOS) || len(c.Config.BOS) != 0 ||
		c.Config.Vocab != want.Vocab || c.Config.Context != want.Context || !c.Config.TieEmbeddings {
		t.Errorf("shape %+v, expected %+v", c.Config, want)
	}
	if c.Name != "model" {
		t.Errorf("name %q, expected that of the file", c.Name)
	}
	if _, err := c.Tokenizer(); !errors.Is(err, tokenizer.ErrNone) {
		t.Errorf("error %v, expected that there is no tokenizer", err)
	}
}

func TestLoadGGUFErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, c := range []struct {
		name   string
		change func(m *ggufModel)
		parts  []string
	}{
		{"architecture", func(m *ggufModel) { m.set("general.architecture", gguf.OfText("rwkv6")) },
			[]string{"unknown architecture", `found general.architecture "rwkv6", expected one of "gemma2", "gemma3", "gpt2"`}},
		{"no architecture", func(m *ggufModel) { m.unset("general.architecture") }, []string{`found general.architecture "", expected one of "gemma2", `}},
		{"architecture of another type", func(m *ggufModel) { m.set("general.architecture", gguf.OfUint32(2)) },
			[]string{"general.architecture: found uint32, expected a string"}},
		{"name of another type", func(m *ggufModel) { m.set("general.name", gguf.OfUint32(2)) }, []string{"general.name: found uint32, expected a string"}},
		{"no layers", func(m *ggufModel) { m.unset("gpt2.block_count") }, []string{"gpt2.block_count: missing, expected a whole number"}},
		{"layers are text", func(m *ggufModel) { m.set("gpt2.block_count", gguf.OfText("1")) }, []string{`gpt2.block_count: found "1", expected a whole number`}},
		{"0 heads", func(m *ggufModel) { m.set("gpt2.attention.head_count", gguf.OfUint32(0)) },
			[]string{"gpt2.attention.head_count: found 0, expected 1 or more"}},
		{"2^32-1 layers", func(m *ggufModel) { m.set("gpt2.block_count", gguf.OfUint32(math.MaxUint32)) }, []string{"found 4294967295, expected 1 to"}},
		{"too many layers", func(m *ggufModel) { m.set("gpt2.block_count", gguf.OfUint32(1<<20)) }, []string{"n_layer: found 1048576"}},
		{"more layers", func(m *ggufModel) { m.set("gpt2.block_count", gguf.OfUint32(2)) },
			[]string{"tensor blk.1.attn_norm.weight is missing", "its metadata asks for 2 layers"}},
		{"heads that do not divide", func(m *ggufModel) { m.set("gpt2.attention.head_count", gguf.OfUint32(5)) }, []string{"n_embd: found 12", "multiple"}},
		{"grouped heads", func(m *ggufModel) { m.set("gpt2.attention.head_count_kv", gguf.OfUint32(2)) },
			[]string{"attention.head_count_kv: found 2, expected a number that divides n_head, which is 1"}},
		{"no epsilon", func(m *ggufModel) { m.unset("gpt2.attention.layer_norm_epsilon") }, []string{"gpt2.attention.layer_norm_epsilon: missing, expected a number"}},
		{"epsilon NaN", func(m *ggufModel) { m.set("gpt2.attention.layer_norm_epsilon", gguf.OfFloat32(float32(math.NaN()))) },
			[]string{"layer_norm_epsilon: found NaN"}},
		{"context", func(m *ggufModel) { m.set("gpt2.context_length", gguf.OfUint32(9)) },
			[]string{"position_embd.weight\" has shape [8 12], expected [9 12] by its metadata"}},
		{"no tokens", func(m *ggufModel) { m.remove("token_embd.weight") }, []string{"tensor token_embd.weight: missing or no matrix"}},
		{"tokens are a vector", func(m *ggufModel) { m.tensor("token_embd.weight").Shape = []int{132} }, []string{"token_embd.weight: missing or no matrix"}},
		{"missing tensor", func(m *ggufModel) { m.remove("blk.0.ffn_up.weight") }, []string{"blk.0.ffn_up.weight is missing", "15 others"}},
		{"stored the other way", func(m *ggufModel) { m.tensor("blk.0.attn_qkv.weight").Shape = []int{12, 36} },
			[]string{"blk.0.attn_qkv.weight\" has shape [12 36], expected [36 12]"}},
		{"extra tensor", func(m *ggufModel) {
			m.tensors = append(m.tensors, gguf.Tensor{Name: "rope_freqs.weight", Type: gguf.TypeOf(backend.F32), Shape: []int{1}, Data: make([]byte, 4)})
		}, []string{"rope_freqs.weight\" is not part of a GPT-2"}},
		{"eos", func(m *ggufModel) { m.set("tokenizer.ggml.eos_token_id", gguf.OfText("x")) },
			[]string{"tokenizer.ggml.eos_token_id: found string"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := oneGGUF(t)
			c.change(m)
			path := m.write(t)
			_, err := gpt.Load(t.Context(), b, path, gpt.LoadOptions{})
			gpttest.WantError(t, err, append(c.parts, "")...)
			if n := b.InUse(); n != 0 {
				t.Errorf("%d buffers were left behind", n)
			}
		})
	}
	for name, c := range map[string]struct {
		change func(path string) error
		part   string
	}{
		"truncated": {func(path string) error { return os.Truncate(path, 5000) }, "the file may be truncated"},
		"foreign":   {func(path string) error { return os.WriteFile(path, []byte("PK\x03\x04, a zip"), 0o666) }, "this is an archive"},
		"newer": {func(path string) error {
			return os.WriteFile(path, []byte("GGUF\x04\x00\x00\x00"+strings.Repeat("\x00", 16)), 0o666)
		}, "newer format than this program reads"},
		"empty":       {func(path string) error { return os.Truncate(path, 0) }, "the file is empty"},
		"a directory": {func(path string) error { return firstError(os.Remove(path), os.Mkdir(path, 0o777)) }, "config.json"},
		"gone":        {os.Remove, "no such file"},
	} {
		path := oneGGUF(t).write(t)
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		_, err := gpt.Load(t.Context(), b, path, gpt.LoadOptions{})
		gpttest.WantError(t, err, path, c.part)
		if t.Failed() {
			t.Log(name)
		}
	}
}

// vocabulary adds a tokenizer of the model's 11 tokens.
func (m *ggufModel) vocabulary() {
	m.set("tokenizer.ggml.model", gguf.OfText("gpt2"))
	m.set("tokenizer.ggml.pre", gguf.OfText("gpt-2"))
	m.set("tokenizer.ggml.tokens", gguf.OfTexts([]string{"a", "b", "Ġ", "ab", "Ġab", "c", "<|endoftext|>", "<x>", "d", "[PAD9]", "[PAD10]"}))
	m.set("tokenizer.ggml.token_type", gguf.OfInt32s([]int32{1, 1, 1, 1, 1, 1, 3, 4, 1, 5, 5}))
	m.set("tokenizer.ggml.merges", gguf.OfTexts([]string{"a b", "Ġ ab"}))
}

// pieces adds a tokenizer whose tokens are texts.
func (m *ggufModel) pieces(kind string) {
	m.set("tokenizer.ggml.model", gguf.OfText(kind))
	m.set("tokenizer.ggml.pre", gguf.OfText("default"))
	m.set("tokenizer.ggml.tokens", gguf.OfTexts([]string{"<unk>", "a", "b", "▁", "ab", "▁ab", "<|endoftext|>", "<x>", "d", "[PAD9]", "[PAD10]"}))
	m.set("tokenizer.ggml.token_type", gguf.OfInt32s([]int32{2, 1, 1, 1, 1, 1, 3, 4, 1, 5, 5}))
	m.set("tokenizer.ggml.scores", gguf.OfFloat32s([]float64{0, -5, -6, -4, -1, -2, 0, 0, -9, 0, 0}))
	m.set("tokenizer.ggml.unknown_token_id", gguf.OfUint32(0))
	m.unset("tokenizer.ggml.merges")
}

func TestGGUFTokenizer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *ggufModel)
		want   []int // of "ab ab<x><|endoftext|>", if it is not an error
		part   string
	}{
		"plain":         {func(m *ggufModel) {}, []int{3, 4, 7, 6}, ""},
		"not told how":  {func(m *ggufModel) { m.unset("tokenizer.ggml.pre") }, []int{3, 4, 7, 6}, ""},
		"no merges yet": {func(m *ggufModel) { m.set("tokenizer.ggml.merges", gguf.OfTexts(nil)) }, []int{0, 1, 2, 0, 1, 7, 6}, ""},
		"no types":      {func(m *ggufModel) { m.unset("tokenizer.ggml.token_type") }, nil, "byte 0x3c"}, // of <x>, an ordinary token
		"BERT's":        {func(m *ggufModel) { m.set("tokenizer.ggml.model", gguf.OfText("bert")) }, nil, `tokenizer.ggml.model: found "bert" (WordPiece), expected one of`},
		"none":          {func(m *ggufModel) { m.set("tokenizer.ggml.model", gguf.OfText("none")) }, nil, "no tokenizer files"},
		"Llama 3's":     {func(m *ggufModel) { m.set("tokenizer.ggml.pre", gguf.OfText("llama-bpe")) }, []int{3, 4, 7, 6}, ""},
		"a way to cut text that is not known": {func(m *ggufModel) { m.set("tokenizer.ggml.pre", gguf.OfText("odd")) }, nil,
			`tokenizer.ggml.pre: found "odd", a way to cut text into words that is not known here`},
		"SentencePiece's BPE": {func(m *ggufModel) { m.pieces("llama") }, []int{5, 5, 7, 6}, ""},
		"SentencePiece's BPE, no space before": {func(m *ggufModel) {
			m.pieces("llama")
			m.set("tokenizer.ggml.add_space_prefix", gguf.OfBool(false))
		}, []int{4, 5, 7, 6}, ""},
		"SentencePiece's unigram": {func(m *ggufModel) { m.pieces("t5") }, []int{5, 5, 7, 6}, ""},
		"Gemma 4's": {func(m *ggufModel) {
			m.pieces("gemma4")
			m.set("tokenizer.ggml.merges", gguf.OfTexts([]string{"a b", "▁ ab"}))
		}, []int{4, 5, 7, 6}, ""},
		"tokens that are texts, by the name of the split": {func(m *ggufModel) {
			m.pieces("gpt2")
			m.set("tokenizer.ggml.pre", gguf.OfText("sarvam-moe"))
			m.set("tokenizer.ggml.merges", gguf.OfTexts([]string{"a b", "▁ ab"}))
		}, []int{4, 5, 7, 6}, ""},
		"no scores": {func(m *ggufModel) {
			m.pieces("llama")
			m.unset("tokenizer.ggml.scores")
		}, nil, "tokenizer.ggml.scores: found 0 numbers, expected 9, one a token"},
		"a score that is no number": {func(m *ggufModel) {
			m.pieces("t5")
			m.set("tokenizer.ggml.scores", gguf.OfFloat32s(slices.Repeat([]float64{math.NaN()}, 11)))
		}, nil, "the score of token 0 is NaN, expected a number"},
		"a table of characters that is none": {func(m *ggufModel) {
			m.pieces("t5")
			m.set("tokenizer.ggml.precompiled_charsmap", gguf.OfBytes([]byte{9, 9, 9, 9, 0}))
		}, nil, "precompiled_charsmap: expected the length of a trie"},
		"no tokens":         {func(m *ggufModel) { m.unset("tokenizer.ggml.tokens") }, nil, "tokenizer.ggml.tokens: missing, expected an array of strings"},
		"tokens of numbers": {func(m *ggufModel) { m.set("tokenizer.ggml.tokens", gguf.OfInt32s([]int32{1})) }, nil, "expected an array of strings"},
		"too many tokens": {func(m *ggufModel) { m.set("tokenizer.ggml.tokens", gguf.OfTexts(make([]string, 12))) }, nil,
			"tokenizer.ggml.tokens: found 12 strings, expected at most 11"},
		"empty tokens": {func(m *ggufModel) {
			m.set("tokenizer.ggml.tokens", gguf.OfTexts(make([]string, 11)))
		}, nil, "there are no tokens, expected at least one"},
		"bos that is no flag": {func(m *ggufModel) { m.set("tokenizer.ggml.add_bos_token", gguf.OfUint32(1)) }, nil,
			"tokenizer.ggml.add_bos_token: found uint32, expected true or false"},
		"bos of nothing": {func(m *ggufModel) { m.set("tokenizer.ggml.add_bos_token", gguf.OfBool(true)) }, nil,
			"tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is missing or no token"},
		"eos beyond": {func(m *ggufModel) {
			m.set("tokenizer.ggml.add_eos_token", gguf.OfBool(true))
			m.set("tokenizer.ggml.eos_token_id", gguf.OfUint32(9))
		}, nil, "tokenizer.ggml.eos_token_id is missing or no token: found 9, expected 0 to 8"},
		"a space before": {func(m *ggufModel) { m.set("tokenizer.ggml.add_space_prefix", gguf.OfBool(true)) }, []int{4, 4, 7, 6}, ""},
		"unknown": {func(m *ggufModel) {
			m.set("tokenizer.ggml.token_type", gguf.OfInt32s([]int32{1, 1, 1, 1, 1, 1, 3, 2, 1, 5, 5}))
		}, []int{3, 4, 7, 6}, ""},
		"not drawn": {func(m *ggufModel) {
			m.set("tokenizer.ggml.tokens", gguf.OfTexts([]string{"a", "b", "Ġ", "ab", "Ġab", "[PAD5]", "<|endoftext|>", "<x>", "d", "[PAD9]", "[PAD10]"}))
			m.set("tokenizer.ggml.token_type", gguf.OfInt32s([]int32{1, 1, 1, 1, 1, 5, 3, 4, 1, 5, 5}))
		}, []int{3, 4, 7, 6}, ""},
		"fewer types": {func(m *ggufModel) { m.set("tokenizer.ggml.token_type", gguf.OfInt32s(make([]int32, 10))) }, nil,
			"tokenizer.ggml.token_type: found 10 entries, expected 11"},
		"types are text": {func(m *ggufModel) { m.set("tokenizer.ggml.token_type", gguf.OfTexts(make([]string, 11))) }, nil, "expected whole numbers"},
		"no merges":      {func(m *ggufModel) { m.unset("tokenizer.ggml.merges") }, nil, "tokenizer.ggml.merges: missing"},
		"a merge of one": {func(m *ggufModel) { m.set("tokenizer.ggml.merges", gguf.OfTexts([]string{"a b", "ab"})) }, nil,
			`tokenizer.ggml.merges[1]: found "ab", expected two tokens with a space between`},
		"a merge of nothing": {func(m *ggufModel) { m.set("tokenizer.ggml.merges", gguf.OfTexts([]string{"b a"})) }, nil, "which is not in the vocabulary"},
	} {
		t.Run(name, func(t *testing.T) {
			m := oneGGUF(t)
			m.vocabulary()
			c.change(m)
			path := m.write(t)
			checkpoint, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer checkpoint.Close()
			tok, err := checkpoint.Tokenizer()
			var ids []int
			if err == nil {
				ids, err = tok.Encode("ab ab<x><|endoftext|>", tokenizer.AllowSpecial)
				if c.part == "" && c.change != nil && tok.VocabSize() != 9 {
					t.Errorf("%d tokens, expected 9 without those that fill up", tok.VocabSize())
				}
			} else if !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("error %q does not name the file", err)
			}
			if c.part != "" {
				gpttest.WantError(t, err, c.part)
			} else if err != nil || !slices.Equal(ids, c.want) {
				t.Errorf("ids %v (%v), expected %v", ids, err, c.want)
			}
		})
	}
}

// TestGGUFStrips has the white space that Phi-3's special tokens take with them, which
// its files do not say.
func TestGGUFStrips(t *testing.T) {
	for name, want := range map[string][]int{"Phi-3-mini": {7, 3, 6, 4}, "another": {7, 4, 6, 4}} {
		m := oneGGUF(t)
		m.vocabulary()
		m.set("general.name", gguf.OfText(name))
		tok, err := gpttest.OpenCheckpoint(t, m.write(t)).Tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := tok.Encode("<x> ab<|endoftext|> ab", tokenizer.AllowSpecial); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%s: %v, %v, want %v", name, ids, err, want)
		}
	}
}

// TestLoadGGUFWithoutCopy loads quantised weights, which stay as they lie.
func TestLoadGGUFWithoutCopy(t *testing.T) {
	c, err := checkpoint.OpenFS(models.Default(), models.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.Q8_0, backend.Q4_0} {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := c.SaveGGUF(context.Background(), path, checkpoint.SaveOptions{DType: d}); err != nil {
			t.Fatal(err)
		}
		b := gpttest.OpenCPU(t)
		m, err := gpt.Load(t.Context(), b, path, gpt.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []backend.Tensor{gpttest.GPT2(m).Tokens, model.Head(m).W, gpttest.GPT2(m).Blocks[0].QKV.W, gpttest.GPT2(m).Blocks[5].Down.W} {
			if x.DType != d || !x.Contiguous() {
				t.Errorf("a matrix stored as %v is kept as %v", d, x)
			}
		}
		if gpttest.GPT2(m).Positions.DType != backend.F32 || gpttest.GPT2(m).Blocks[0].Up.Bias.DType != backend.F32 {
			t.Errorf("%v: positions are kept as %v, a bias as %v", d, gpttest.GPT2(m).Positions.DType, gpttest.GPT2(m).Blocks[0].Up.Bias.DType)
		}
		if b.Allocated != 0 || len(b.Mapped) != 6*12+4 {
			t.Errorf("%v: %d bytes were allocated and %d tensors used in place, expected none and all 76", d, b.Allocated, len(b.Mapped))
		}
		if err := m.Close(); err != nil || b.InUse() != 0 {
			t.Errorf("closing: %v; %d buffers are still in use", err, b.InUse())
		}
	}
}

// FuzzOpenGGUF changes the metadata of a model that is right. Whatever comes of
// it, no call may panic or take much memory.
func FuzzOpenGGUF(f *testing.F) {
	keys := []string{
		"general.architecture", "general.name", "gpt2.context_length", "gpt2.embedding_length", "gpt2.feed_forward_length",
		"gpt2.block_count", "gpt2.attention.head_count", "gpt2.attention.layer_norm_epsilon", "tokenizer.ggml.tokens",
		"tokenizer.ggml.token_type", "tokenizer.ggml.merges", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.pre", "tokenizer.ggml.model",
	}
	f.Add(uint8(2), uint8(4), []byte("\x09\x00\x00\x00"))
	f.Add(uint8(8), uint8(9), binary.LittleEndian.AppendUint64([]byte("\x08\x00\x00\x00"), 1<<40))
	f.Add(uint8(9), uint8(9), append(binary.LittleEndian.AppendUint64([]byte("\x00\x00\x00\x00"), 11), make([]byte, 11)...))
	f.Add(uint8(10), uint8(9), append(binary.LittleEndian.AppendUint64([]byte("\x08\x00\x00\x00"), 1), "\x03\x00\x00\x00\x00\x00\x00\x00a b"...))
	f.Add(uint8(7), uint8(12), binary.LittleEndian.AppendUint64(nil, math.Float64bits(-1)))
	f.Fuzz(func(t *testing.T, key, kind uint8, value []byte) {
		name := keys[int(key)%len(keys)]
		file := binary.LittleEndian.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), 0)
		file = binary.LittleEndian.AppendUint64(file, 1)
		file = append(binary.LittleEndian.AppendUint64(file, uint64(len(name))), name...)
		file = append(binary.LittleEndian.AppendUint32(file, uint32(kind)), value...)
		one, err := gguf.Parse(file, "value")
		if err != nil {
			return
		}
		m := oneGGUF(t)
		m.vocabulary()
		v, _ := one.Value(name)
		m.set(name, v)
		path := m.write(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := checkpoint.Open(path)
		if err == nil {
			c.Tokenizer()
			if err := c.Config.Validate(); err != nil {
				t.Errorf("a shape was read that is none: %v", err)
			}
			c.Close()
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%d bytes were allocated for a value of %d", n, len(value))
		}
	})
}
