package gpt_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/gguf"
	"caldera/gpt/safetensors"
	"caldera/internal/devicetest"
)

// llamas are small shapes that differ in what a Llama may have.
func llamas() map[string]gpt.Config {
	settings := func(change func(s *gpt.LlamaSettings)) *gpt.LlamaSettings {
		s := &gpt.LlamaSettings{Activation: backend.SiLU, Theta: 10000}
		change(s)
		return s
	}
	shape := func(heads, kv, size int, tied bool, s *gpt.LlamaSettings) gpt.Config {
		return gpt.Config{
			Family: "llama", Layers: 2, Heads: heads, KVHeads: kv, HeadSize: size, Width: 64, Inner: 96, Context: 80, Vocab: 300, TieEmbeddings: tied,
			BOS: []int{1}, EOS: []int{2}, Settings: s,
		}.Complete()
	}
	return map[string]gpt.Config{
		"plain":   shape(4, 4, 16, true, settings(func(*gpt.LlamaSettings) {})),
		"grouped": shape(6, 2, 10, false, settings(func(s *gpt.LlamaSettings) { s.Theta = 500000 })),
		"biases":  shape(2, 1, 64, true, settings(func(s *gpt.LlamaSettings) { s.QKVBias, s.OutBias, s.MLPBias = true, true, true })),
		"linear":  shape(4, 1, 32, false, settings(func(s *gpt.LlamaSettings) { s.Scaling, s.Factor = "linear", 4 })),
		"llama3": shape(4, 2, 32, true, settings(func(s *gpt.LlamaSettings) {
			s.Scaling, s.Factor, s.Low, s.High, s.Original = "llama3", 8, 1, 4, 20
		})),
	}
}

// checkpointOf saves a random Llama as a directory. Biases and norms, which begin as
// zeros and ones, become other numbers.
func checkpointOf(t *testing.T, c gpt.Config) (dir string) {
	t.Helper()
	r, err := gpt.RandomCheckpoint(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir = saveDir(t, r, backend.F32)
	path := filepath.Join(dir, safetensors.SingleName)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		values := decode(x.Data)
		for i := range values {
			if len(x.Shape) == 1 {
				values[i] += float32(math.Sin(float64(i + len(all))))
			} else {
				values[i] *= 8 // so that scores differ
			}
		}
		x.Data = encode(safetensors.F32, values)
		all = append(all, x)
	}
	f.Close()
	if err := safetensors.Write(path, all, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLlamaRoundTrip converts to GGUF and back: the files are the same, and all three
// give the same scores.
func TestLlamaRoundTrip(t *testing.T) {
	b := openCPU(t)
	for name, c := range llamas() {
		t.Run(name, func(t *testing.T) {
			dir := checkpointOf(t, c)
			path := saveGGUF(t, openCheckpoint(t, dir), backend.None)
			back := saveDir(t, openCheckpoint(t, path), backend.None)
			for _, file := range []string{"config.json", safetensors.SingleName} {
				want, err := os.ReadFile(filepath.Join(dir, file))
				got, err2 := os.ReadFile(filepath.Join(back, file))
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				if file == "config.json" {
					if diff := cmp.Diff(string(want), string(got)); diff != "" {
						t.Errorf("config.json (-want +got):\n%s", diff)
					}
				} else if a, b := tensorsOf(t, dir), tensorsOf(t, back); !cmp.Equal(a, b) {
					t.Errorf("weights differ")
				}
			}
			want := logitsOf(t, b, dir, gpt.LoadOptions{})
			for _, path := range []string{path, back} {
				checkNear(t, path, logitsOf(t, b, path, gpt.LoadOptions{}), want, 2e-6)
				checkNear(t, path+" on a device", logitsOf(t, device{b}, path, gpt.LoadOptions{}), want, 2e-6)
				checkNear(t, path+" to be trained", logitsOf(t, b, path, gpt.LoadOptions{Train: true}), want, 2e-6)
			}
			if n := b.inUse(); n != 0 {
				t.Errorf("%d buffers were left behind", n)
			}
		})
	}
}

// tensorsOf are a directory's tensors by name.
func tensorsOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	f, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		all[name] = slices.Clone(x.Data)
	}
	return all
}

// TestLlamaGGUFRows holds the order of rows to llama.cpp's: of each head, row 2j is
// Hugging Face's row j, and row 2j+1 is row j + size/2 (conversion/llama.py, permute).
// Values and outputs stay.
func TestLlamaGGUFRows(t *testing.T) {
	c := llamas()["grouped"]
	dir := checkpointOf(t, c)
	from := tensorsOf(t, dir)
	f := openGGUF(t, saveGGUF(t, openCheckpoint(t, dir), backend.None))
	for _, x := range []struct {
		hf, gguf string
		rotated  bool
	}{
		{"model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight", true},
		{"model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight", true},
		{"model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight", false},
		{"model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight", false},
	} {
		got, ok := f.Tensor(x.gguf)
		if !ok {
			t.Fatalf("no tensor %s", x.gguf)
		}
		row := len(got.Data) / got.Shape[0]
		for r := range got.Shape[0] {
			want := r
			if x.rotated {
				head, in := r/c.HeadSize, r%c.HeadSize
				want = head*c.HeadSize + in/2
				if in%2 == 1 {
					want += c.HeadSize / 2
				}
			}
			if string(got.Data[r*row:(r+1)*row]) != string(from[x.hf][want*row:(want+1)*row]) {
				t.Fatalf("%s: row %d is not row %d of %s", x.gguf, r, want, x.hf)
			}
		}
	}
}

// TestLlamaGGUFMetadata has the keys that llama.cpp reads.
func TestLlamaGGUFMetadata(t *testing.T) {
	for name, want := range map[string]map[string]any{
		"linear": {
			"general.architecture": "llama", "llama.block_count": 2, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 1, "llama.attention.key_length": 32,
			"llama.attention.value_length": 32, "llama.rope.dimension_count": 32, "llama.embedding_length": 64, "llama.feed_forward_length": 96, "llama.context_length": 80,
			"llama.attention.layer_norm_rms_epsilon": float32(1e-6), "llama.rope.freq_base": float32(10000), "llama.rope.scaling.type": "linear",
			"llama.rope.scaling.factor": float32(4), "llama.vocab_size": 300, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
		},
		"llama3": {"llama.rope.scaling.type": nil, "llama.rope.scaling.factor": nil, "llama.rope.freq_base": float32(10000)},
	} {
		f := openGGUF(t, saveGGUF(t, openCheckpoint(t, checkpointOf(t, llamas()[name])), backend.None))
		for key, want := range want {
			v, found := f.Value(key)
			var got any
			if s, ok := v.Text(); found && ok {
				got = s
			} else if x, ok := v.Float(); found && ok {
				got = float32(x)
			} else if n, ok := v.Int(); found && ok {
				got = int(n)
			}
			if got != want {
				t.Errorf("%s: %s is %v, expected %v", name, key, got, want)
			}
		}
		if x, ok := f.Tensor("rope_freqs.weight"); ok != (name == "llama3") || ok && x.Shape[0] != 16 {
			t.Errorf("%s: rope_freqs.weight: %v %v", name, ok, x.Shape)
		}
	}
}

const llamaSmall = `"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 6, "hidden_size": 60, "intermediate_size": 128, "max_position_embeddings": 64, "vocab_size": 300`

// TestLlamaConfig reads both forms of RoPE's settings.
func TestLlamaConfig(t *testing.T) {
	want := func(change func(c *gpt.Config, s *gpt.LlamaSettings)) gpt.Config {
		s := &gpt.LlamaSettings{Activation: backend.SiLU, Theta: 10000}
		c := gpt.Config{Family: "llama", Layers: 2, Heads: 6, KVHeads: 6, HeadSize: 10, Width: 60, Inner: 128, Context: 64, Vocab: 300, Epsilon: 1e-6, Settings: s}
		change(&c, s)
		return c.Complete()
	}
	llama3 := func(_ *gpt.Config, s *gpt.LlamaSettings) {
		s.Theta, s.Scaling, s.Factor, s.Low, s.High, s.Original = 500000, "llama3", 8, 1, 4, 32
	}
	for _, test := range []struct {
		name, more string
		want       func(c *gpt.Config, s *gpt.LlamaSettings)
	}{
		{"defaults", ``, func(*gpt.Config, *gpt.LlamaSettings) {}},
		{"nulls", `, "rope_scaling": null, "head_dim": null, "num_key_value_heads": null, "rope_parameters": null`, func(*gpt.Config, *gpt.LlamaSettings) {}},
		{"groups", `, "num_key_value_heads": 2, "head_dim": 32, "tie_word_embeddings": true, "rms_norm_eps": 1e-05, "hidden_act": "gelu", "attention_bias": true, "mlp_bias": true`,
			func(c *gpt.Config, s *gpt.LlamaSettings) {
				c.KVHeads, c.HeadSize, c.TieEmbeddings, c.Epsilon = 2, 32, true, 1e-5
				s.Activation, s.QKVBias, s.OutBias, s.MLPBias = backend.GELUErf, true, true, true
			}},
		{"rope_theta", `, "rope_theta": 500000.0`, func(_ *gpt.Config, s *gpt.LlamaSettings) { s.Theta = 500000 }},
		{"new form", `, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}`, func(_ *gpt.Config, s *gpt.LlamaSettings) { s.Theta, s.Scaling = 500000, "none" }},
		{"linear, oldest form", `, "rope_scaling": {"type": "linear", "factor": 2.5}`, func(_ *gpt.Config, s *gpt.LlamaSettings) { s.Scaling, s.Factor = "linear", 2.5 }},
		{"linear, new form", `, "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 10000}`, func(_ *gpt.Config, s *gpt.LlamaSettings) { s.Scaling, s.Factor = "linear", 2.5 }},
		{"llama3, old form", `, "rope_theta": 500000.0, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_type": "llama3"}`, llama3},
		{"llama3, new form", `, "rope_parameters": {"rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_type": "llama3"}`, llama3},
	} {
		got, err := gpt.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + llamaSmall + test.more + "}")}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(want(test.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for more, part := range map[string]string{
		`"rope_scaling": {"type": "dynamic", "factor": 2}`:            `rope_scaling.type: found "dynamic", which is not supported, expected "default" or "linear" or "llama3"`,
		`"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}`: `rope_parameters.rope_type: found "yarn", which is not supported`,
		`"rope_scaling": {"rope_type": "llama3", "factor": 8}`:        "rope_scaling: found factor 8, low_freq_factor 0",
		`"rope_scaling": {"rope_type": "linear"}`:                     "rope_scaling.factor: missing",
		`"rope_scaling": {"rope_type": "linear", "factor": 0}`:        "rope_scaling.factor: found 0, expected more than 0",
		`"rope_scaling": 7`:            "rope_scaling: ",
		`"rope_theta": -1`:             "rope_theta: found -1, expected more than 0",
		`"num_key_value_heads": 4`:     "num_key_value_heads: found 4, expected a number that divides num_attention_heads, which is 6",
		`"head_dim": 7`:                "head_dim: found 7, expected an even number",
		`"hidden_act": "tanh"`:         `hidden_act: found "tanh", which is not supported, expected "gelu_new" or`,
		`"partial_rotary_factor": 0.5`: "partial_rotary_factor: found 0.5, which is not supported",
		`"attention_bias": "yes"`:      `attention_bias: found "yes", expected true or false`,
		`"head_dim": 1000000`:          "head_dim: found 1000000, expected 1 to 174762",
		`"max_position_embeddings": 1048576, "num_hidden_layers": 4096.5`: "stands there twice",
	} {
		_, err := gpt.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + llamaSmall + ", " + more + "}")}})
		wantError(t, err, "config.json: ", part)
	}
}

// TestLlamaRefusals converts what a format cannot say.
func TestLlamaRefusals(t *testing.T) {
	c := llamas()["plain"]
	c.Settings = &gpt.LlamaSettings{Activation: backend.ReLU, Theta: 10000}
	r, err := gpt.RandomCheckpoint(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "x.gguf")
	wantError(t, r.SaveGGUF(t.Context(), path, gpt.SaveOptions{}), `GGUF cannot say that hidden_act is "relu"`, `would take "silu"`)
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left")
	}
	// Factors that no settings of llama3 give are GGUF's alone.
	c.Settings = &gpt.LlamaSettings{Activation: backend.SiLU, Theta: 10000, Factors: []float32{1, 2, 1, 3, 1, 4, 1, 5}}
	if r, err = gpt.RandomCheckpoint(c, 1); err != nil {
		t.Fatal(err)
	}
	path = saveGGUF(t, r, backend.None)
	dir := filepath.Join(t.TempDir(), "out")
	wantError(t, openCheckpoint(t, path).SaveDir(t.Context(), dir, gpt.SaveOptions{}), "config.json cannot say that rope_freqs.weight is [1 2 1 3 1 4 1 5]")
}

// TestLlamaGGUFErrors changes a file by another program's hand.
func TestLlamaGGUFErrors(t *testing.T) {
	b := openCPU(t)
	path := saveGGUF(t, openCheckpoint(t, checkpointOf(t, llamas()["llama3"])), backend.None)
	f := openGGUF(t, path)
	for name, test := range map[string]struct {
		change func(m *ggufModel)
		part   string
	}{
		"another size of values":     {func(m *ggufModel) { m.set("llama.attention.value_length", gguf.OfUint32(16)) }, "llama.attention.value_length: found 16, expected 32 as llama.attention.key_length has"},
		"part of a head turns":       {func(m *ggufModel) { m.set("llama.rope.dimension_count", gguf.OfUint32(16)) }, "llama.rope.dimension_count: found 16"},
		"YaRN":                       {func(m *ggufModel) { m.set("llama.rope.scaling.type", gguf.OfText("yarn")) }, `llama.rope.scaling.type: found "yarn", which is not supported, expected "none" or "linear"`},
		"heads of each layer":        {func(m *ggufModel) { m.set("llama.attention.head_count_kv", gguf.OfInt32s([]int32{2, 2})) }, "llama.attention.head_count_kv: found an array"},
		"no epsilon":                 {func(m *ggufModel) { m.unset("llama.attention.layer_norm_rms_epsilon") }, "llama.attention.layer_norm_rms_epsilon: missing, expected a number"},
		"no base":                    {func(m *ggufModel) { m.unset("llama.rope.freq_base") }, ""},
		"fewer factors":              {func(m *ggufModel) { x := m.tensor("rope_freqs.weight"); x.Shape, x.Data = []int{8}, x.Data[:32] }, "rope_freqs.weight: found 8 numbers, expected 16"},
		"factors of 0":               {func(m *ggufModel) { clear(m.tensor("rope_freqs.weight").Data[4:8]) }, "rope_freqs.weight: found 0 as number 1"},
		"factors that are no vector": {func(m *ggufModel) { m.tensor("rope_freqs.weight").Shape = []int{2, 8} }, "rope_freqs.weight: found F32 [2 8], expected a vector of F32"},
		"a bias of queries alone": {func(m *ggufModel) {
			m.tensors = append(m.tensors, gguf.Tensor{Name: "blk.0.attn_q.bias", Type: gguf.TypeOf(backend.F32), Shape: []int{128}, Data: make([]byte, 512)})
		}, "blk.0.attn_k.bias is missing"},
		"a tensor of another one": {func(m *ggufModel) {
			m.tensors = append(m.tensors, gguf.Tensor{Name: "blk.0.ffn_gate_inp.weight", Type: gguf.TypeOf(backend.F32), Shape: []int{1}, Data: make([]byte, 4)})
		}, `is not part of a Llama with 2 layers`},
		"no layers":                   {func(m *ggufModel) { m.unset("llama.block_count") }, "llama.block_count: missing"},
		"a context that is too large": {func(m *ggufModel) { m.set("llama.context_length", gguf.OfUint32(math.MaxUint32)) }, "max_position_embeddings: found 4294967295"},
		"a head of 2³² numbers": {func(m *ggufModel) {
			for _, k := range []string{"attention.key_length", "attention.value_length", "rope.dimension_count"} {
				m.set("llama."+k, gguf.OfUint32(math.MaxUint32))
			}
		}, "head_dim: found 4294967295"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &ggufModel{}
			for _, key := range f.Keys() {
				v, _ := f.Value(key)
				m.metadata = append(m.metadata, gguf.KeyValue{Key: key, Value: v})
			}
			for _, name := range f.Tensors() {
				x, _ := f.Tensor(name)
				x.Data = slices.Clone(x.Data)
				m.tensors = append(m.tensors, x)
			}
			test.change(m)
			model, err := gpt.Load(t.Context(), b, m.write(t), gpt.LoadOptions{})
			if test.part == "" {
				if err != nil {
					t.Fatal(err)
				}
				model.Close()
				return
			}
			wantError(t, err, test.part)
		})
	}
}

// TestLlamaDevices expects of every device the tokens of the CPU, and of a text in
// pieces through a cache the scores of the whole.
func TestLlamaDevices(t *testing.T) {
	ids := func(t *testing.T, b backend.Backend, dir string, d backend.DType) []int {
		m := loadModel(t, b, dir, d)
		m.EOS = nil
		s := session(t, m, 0)
		defer s.Close()
		var ids []int
		for token, err := range s.Generate(t.Context(), []int{5, 7, 11, 13, 17, 19, 23}, gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: 30}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, token.ID)
		}
		return ids
	}
	for name, c := range llamas() {
		dir := checkpointOf(t, c)
		want := ids(t, openCPU(t), dir, backend.F32)
		devicetest.Each(t, func(t *testing.T, b backend.Backend) {
			if got := ids(t, b, dir, backend.F32); !slices.Equal(got, want) {
				t.Errorf("%s: tokens %v, expected %v as on the CPU", name, got, want)
			}
			m := loadModel(t, b, dir, backend.F32)
			text := sequence(40, c.Vocab)
			whole := feed(t, m, text...)
			s := session(t, m, 0)
			defer s.Close()
			var pieces []float32
			for rest, n := text, 1; len(rest) > 0; n++ {
				n = min(n, len(rest))
				logits, err := s.Feed(t.Context(), rest[:n]...)
				if err != nil {
					t.Fatal(err)
				}
				pieces, rest = slices.Clone(logits), rest[n:]
			}
			checkNear(t, name+" in pieces", pieces, whole, 1e-5)
		})
	}
}

// TestLlamaDemand holds what a Llama is said to need to what it takes, to the byte.
func TestLlamaDemand(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, c := range []struct {
			dtype backend.DType
			use   gpt.Use
		}{{backend.F32, gpt.Use{Feeds: []int{1, 30}}}, {backend.Q8_0, gpt.Use{Context: 20, Cache: backend.F16, Feeds: []int{9}}}} {
			config := llamas()["biases"]
			a := accountOf(b)
			_, err := gpt.Random(t.Context(), &crowded{a, 1, 1 << 40}, config, gpt.LoadOptions{DType: c.dtype, For: &c.use}, 1)
			need := memoryError(t, err).Need
			m, err := gpt.Random(t.Context(), a, config, gpt.LoadOptions{DType: c.dtype, For: &c.use}, 1)
			if err != nil {
				t.Fatal(err)
			}
			weights := a.allocated
			for _, p := range a.mapped {
				weights += p
			}
			before := a.allocated
			s, err := gpt.NewSession(m, gpt.SessionOptions{Context: c.use.Context, Cache: c.use.Cache})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range c.use.Feeds {
				s.Reset()
				if _, err := s.Feed(t.Context(), make([]int, n)...); err != nil {
					t.Fatal(err)
				}
			}
			if used := a.allocated - before; need.Weights != int64(weights) || need.Cache+need.Workspace != int64(used) {
				t.Errorf("%v: %+v was worked out, %d bytes of weights and %d beside them were taken", c.dtype, need, weights, used)
			}
			s.Close()
			m.Close()
		}
	})
}

func memoryError(t *testing.T, err error) *gpt.MemoryError {
	t.Helper()
	var e *gpt.MemoryError
	if !errors.As(err, &e) {
		t.Fatalf("error %v, expected one of memory", err)
	}
	return e
}

// TestLlamaCounts counts weights: those of Llama 3.2 1B as its authors publish them.
func TestLlamaCounts(t *testing.T) {
	c, err := gpt.Shape("llama-3.2-1b")
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Parameters(); n != 1_235_814_400 {
		t.Errorf("Llama 3.2 1B has %d weights, expected 1,235,814,400", n)
	}
	want := []gpt.Matrix{
		{Kind: "Embedding", Count: 1, Rows: 2048, Cols: 128256},
		{Kind: "Key", Count: 16 * 8, Rows: 64, Cols: 2048},
		{Kind: "Query", Count: 16 * 32, Rows: 64, Cols: 2048},
		{Kind: "Value", Count: 16 * 8, Rows: 64, Cols: 2048},
		{Kind: "Output", Count: 16, Rows: 2048, Cols: 2048},
		{Kind: "Gate", Count: 16, Rows: 8192, Cols: 2048},
		{Kind: "Up-projection", Count: 16, Rows: 8192, Cols: 2048},
		{Kind: "Down-projection", Count: 16, Rows: 2048, Cols: 8192},
		{Kind: "Unembedding", Count: 0, Rows: 128256, Cols: 2048},
	}
	if diff := cmp.Diff(want, c.Matrices()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLlamaIgnored loads a checkpoint with another head beside the model, and what
// old ones carry along.
func TestLlamaIgnored(t *testing.T) {
	b := openCPU(t)
	dir := checkpointOf(t, llamas()["plain"])
	want := logitsOf(t, b, dir, gpt.LoadOptions{})
	var all []safetensors.Tensor
	for name, data := range tensorsOf(t, dir) {
		f, err := safetensors.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Tensor(name)
		x.Data = data
		x.Name = "module." + strings.TrimPrefix(name, "model.")
		all = append(all, x)
		f.Close()
	}
	all = append(all,
		safetensors.Tensor{Name: "score.weight", DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)},
		safetensors.Tensor{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
	if err := safetensors.Write(filepath.Join(dir, safetensors.SingleName), all, nil); err != nil {
		t.Fatal(err)
	}
	if got := openCheckpoint(t, dir).Ignored(); !slices.Equal(got, []string{"score.weight"}) {
		t.Errorf("ignored %q", got)
	}
	if got := logitsOf(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
		t.Errorf("other scores")
	}
}
