package checkpoint_test

import (
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
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestLlamaRoundTrip converts to GGUF and back: the files are the same, and all three
// give the same scores.
func TestLlamaRoundTrip(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for name, c := range gpttest.Llamas() {
		t.Run(name, func(t *testing.T) {
			dir := gpttest.SaveLlama(t, c)
			path := saveGGUF(t, gpttest.OpenCheckpoint(t, dir), backend.None)
			back := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.None)
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
			want := gpttest.Logits(t, b, dir, gpt.LoadOptions{})
			for _, path := range []string{path, back} {
				gpttest.CheckNear(t, path, gpttest.Logits(t, b, path, gpt.LoadOptions{}), want, 2e-6)
				gpttest.CheckNear(t, path+" on a device", gpttest.Logits(t, gpttest.DeviceOf(b), path, gpt.LoadOptions{}), want, 2e-6)
				gpttest.CheckNear(t, path+" to be trained", gpttest.Logits(t, b, path, gpt.LoadOptions{Train: true}), want, 2e-6)
			}
			if n := b.InUse(); n != 0 {
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
	c := gpttest.Llamas()["grouped"]
	dir := gpttest.SaveLlama(t, c)
	from := tensorsOf(t, dir)
	f := openGGUF(t, saveGGUF(t, gpttest.OpenCheckpoint(t, dir), backend.None))
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
		f := openGGUF(t, saveGGUF(t, gpttest.OpenCheckpoint(t, gpttest.SaveLlama(t, gpttest.Llamas()[name])), backend.None))
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
	want := func(change func(c *model.Config, s *model.DecoderSettings)) model.Config {
		s := &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000}}
		c := model.Config{Family: "llama", Layers: 2, Heads: 6, KVHeads: 6, HeadSize: 10, Width: 60, Inner: 128, Context: 64, Vocab: 300, Epsilon: 1e-6, Settings: s}
		change(&c, s)
		return c.Complete()
	}
	llama3 := func(_ *model.Config, s *model.DecoderSettings) {
		s.Theta, s.Scaling, s.Factor, s.Low, s.High, s.Original = 500000, "llama3", 8, 1, 4, 32
	}
	for _, test := range []struct {
		name, more string
		want       func(c *model.Config, s *model.DecoderSettings)
	}{
		{"defaults", ``, func(*model.Config, *model.DecoderSettings) {}},
		{"nulls", `, "rope_scaling": null, "head_dim": null, "num_key_value_heads": null, "rope_parameters": null`, func(*model.Config, *model.DecoderSettings) {}},
		{"groups", `, "num_key_value_heads": 2, "head_dim": 32, "tie_word_embeddings": true, "rms_norm_eps": 1e-05, "hidden_act": "gelu", "attention_bias": true, "mlp_bias": true`,
			func(c *model.Config, s *model.DecoderSettings) {
				c.KVHeads, c.HeadSize, c.TieEmbeddings, c.Epsilon = 2, 32, true, 1e-5
				s.Activation, s.QKVBias, s.OutBias, s.MLPBias = backend.GELUErf, true, true, true
			}},
		{"rope_theta", `, "rope_theta": 500000.0`, func(_ *model.Config, s *model.DecoderSettings) { s.Theta = 500000 }},
		{"new form", `, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}`, func(_ *model.Config, s *model.DecoderSettings) { s.Theta, s.Scaling = 500000, "none" }},
		{"linear, oldest form", `, "rope_scaling": {"type": "linear", "factor": 2.5}`, func(_ *model.Config, s *model.DecoderSettings) { s.Scaling, s.Factor = "linear", 2.5 }},
		// Transformers 5 takes rope_scaling in place of rope_parameters, where both are there.
		{"both forms", `, "rope_scaling": {"type": "linear", "factor": 2.5, "rope_theta": 500.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}`,
			func(_ *model.Config, s *model.DecoderSettings) { s.Theta, s.Scaling, s.Factor = 500, "linear", 2.5 }},
		{"oldest name in the new form", `, "rope_parameters": {"type": "linear", "factor": 2.5}`, func(_ *model.Config, s *model.DecoderSettings) { s.Scaling, s.Factor = "linear", 2.5 }},
		{"linear, new form", `, "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 10000}`, func(_ *model.Config, s *model.DecoderSettings) { s.Scaling, s.Factor = "linear", 2.5 }},
		{"llama3, old form", `, "rope_theta": 500000.0, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_type": "llama3"}`, llama3},
		{"llama3, new form", `, "rope_parameters": {"rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_type": "llama3"}`, llama3},
	} {
		got, err := checkpoint.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + llamaSmall + test.more + "}")}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(want(test.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for more, part := range map[string]string{
		`"rope_scaling": {"type": "dynamic", "factor": 2}`:                                   `rope_scaling.type: found "dynamic", which is not supported, expected "default" or "linear" or "llama3" or "yarn"`,
		`"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}`:                    `rope_parameters.rope_type: found "longrope", which is not supported`,
		`"rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": 1, "beta_slow": 2}`: "rope_scaling: found factor 4, beta_fast 1, beta_slow 2",
		`"rope_scaling": {"rope_type": "yarn", "factor": 4, "truncate": false}`:              "rope_scaling.truncate: found false, which is not supported",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8}`:                               "rope_scaling: found factor 8, low_freq_factor 0",
		`"rope_scaling": {"rope_type": "linear"}`:                                            "rope_scaling.factor: missing",
		`"rope_scaling": {"rope_type": "linear", "factor": 0}`:                               "rope_scaling.factor: found 0, expected more than 0",
		`"rope_parameters": {"full_attention": {"rope_type": "default"}}`:                    `rope_parameters.full_attention: found {"rope_type": "default"}, which is not supported`,
		`"quantization_config": {"quant_method": "gptq"}`:                                    `quantization_config: found {"quant_method": "gptq"}, which is not supported, expected null`,
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
		_, err := checkpoint.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + llamaSmall + ", " + more + "}")}})
		gpttest.WantError(t, err, "config.json: ", part)
	}
}

// TestLlamaRefusals converts what a format cannot say.
func TestLlamaRefusals(t *testing.T) {
	c := gpttest.Llamas()["plain"]
	c.Settings = &model.DecoderSettings{Activation: backend.ReLU, Rope: model.Rope{Theta: 10000}}
	r, err := checkpoint.Random(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "x.gguf")
	gpttest.WantError(t, r.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{}), `GGUF cannot say that hidden_act is "relu"`, `would take "silu"`)
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left")
	}
	// Factors that no settings of llama3 give are GGUF's alone.
	c.Settings = &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000, Factors: []float32{1, 2, 1, 3, 1, 4, 1, 5}}}
	if r, err = checkpoint.Random(c, 1); err != nil {
		t.Fatal(err)
	}
	path = saveGGUF(t, r, backend.None)
	dir := filepath.Join(t.TempDir(), "out")
	gpttest.WantError(t, gpttest.OpenCheckpoint(t, path).SaveDir(t.Context(), dir, checkpoint.SaveOptions{}), "config.json cannot say that rope_freqs.weight is [1 2 1 3 1 4 1 5]")
}

// TestLlamaGGUFErrors changes a file by another program's hand.
func TestLlamaGGUFErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	path := saveGGUF(t, gpttest.OpenCheckpoint(t, gpttest.SaveLlama(t, gpttest.Llamas()["llama3"])), backend.None)
	for name, test := range map[string]struct {
		change func(m *ggufModel)
		part   string
	}{
		"another size of values":     {func(m *ggufModel) { m.set("llama.attention.value_length", gguf.OfUint32(16)) }, "llama.attention.value_length: found 16, expected 32 as llama.attention.key_length has"},
		"part of a head turns":       {func(m *ggufModel) { m.set("llama.rope.dimension_count", gguf.OfUint32(16)) }, "llama.rope.dimension_count: found 16"},
		"longrope without factors":   {func(m *ggufModel) { m.set("llama.rope.scaling.type", gguf.OfText("longrope")) }, "rope_scaling: found 0 numbers of short_factor, 0 of long_factor"},
		"a scaling of no name":       {func(m *ggufModel) { m.set("llama.rope.scaling.type", gguf.OfText("ntk")) }, `llama.rope.scaling.type: found "ntk", which is not supported, expected "none" or "linear" or "yarn" or "longrope"`},
		"heads of each layer":        {func(m *ggufModel) { m.set("llama.attention.head_count_kv", gguf.OfInt32s([]int32{2, 1})) }, "llama.attention.head_count_kv: found [2,1], expected a whole number"},
		"tokens that see all others": {func(m *ggufModel) { m.set("llama.attention.causal", gguf.OfBool(false)) }, "llama.attention.causal: found false, which is not supported, expected true"},
		"layers that guess ahead":    {func(m *ggufModel) { m.set("llama.nextn_predict_layers", gguf.OfUint32(1)) }, "llama.nextn_predict_layers: found 1, which is not supported, expected 0"},
		"a window of 0 and text":     {func(m *ggufModel) { m.set("llama.attention.sliding_window", gguf.OfText("0")) }, `llama.attention.sliding_window: found "0"`},
		"no epsilon":                 {func(m *ggufModel) { m.unset("llama.attention.layer_norm_rms_epsilon") }, "llama.attention.layer_norm_rms_epsilon: missing, expected a number"},
		"no base":                    {func(m *ggufModel) { m.unset("llama.rope.freq_base") }, ""},
		"fewer factors":              {func(m *ggufModel) { x := m.tensor("rope_freqs.weight"); x.Shape, x.Data = []int{8}, x.Data[:32] }, "rope_freqs.weight: found 8 numbers, expected 16"},
		"no factors":                 {func(m *ggufModel) { x := m.tensor("rope_freqs.weight"); x.Shape, x.Data = []int{0}, nil }, "rope_freqs.weight: found F32 [0], expected a vector of F32"},
		"several experts":            {func(m *ggufModel) { m.set("llama.expert_count", gguf.OfUint32(8)) }, "llama.expert_count: found 8, which is not supported, expected 0"},
		"angles of another size":     {func(m *ggufModel) { m.set("llama.rope.scaling.attn_factor", gguf.OfFloat32(-2)) }, "llama.rope.scaling.attn_factor: found -2, expected more than 0"},
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
			m := readGGUF(t, path)
			test.change(m)
			model, err := gpt.Load(t.Context(), b, m.write(t), gpt.LoadOptions{})
			if test.part == "" {
				if err != nil {
					t.Fatal(err)
				}
				model.Close()
				return
			}
			gpttest.WantError(t, err, test.part)
		})
	}
}

// TestLlamaIgnored loads a checkpoint with another head beside the model, and what
// old ones carry along.
func TestLlamaIgnored(t *testing.T) {
	b := gpttest.OpenCPU(t)
	dir := gpttest.SaveLlama(t, gpttest.Llamas()["plain"])
	want := gpttest.Logits(t, b, dir, gpt.LoadOptions{})
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
	if err := gpttest.WriteTensors(filepath.Join(dir, safetensors.SingleName), all, nil); err != nil {
		t.Fatal(err)
	}
	if got := gpttest.OpenCheckpoint(t, dir).Ignored(); !slices.Equal(got, []string{"score.weight"}) {
		t.Errorf("ignored %q", got)
	}
	if got := gpttest.Logits(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
		t.Errorf("other scores")
	}
}

// TestLlamaLinearGGUF reads scalings of positions as llama.cpp reads them.
func TestLlamaLinearGGUF(t *testing.T) {
	path := saveGGUF(t, gpttest.OpenCheckpoint(t, gpttest.SaveLlama(t, gpttest.Llamas()["plain"])), backend.None)
	for name, test := range map[string]struct {
		change func(m *ggufModel)
		linear float64
	}{
		"none, whatever the factor": {func(m *ggufModel) {
			m.set("llama.rope.scaling.type", gguf.OfText("none"))
			m.set("llama.rope.scaling.factor", gguf.OfFloat32(4))
		}, 0},
		"a factor alone": {func(m *ggufModel) { m.set("llama.rope.scaling.factor", gguf.OfFloat32(4)) }, 4},
		"its old name":   {func(m *ggufModel) { m.set("llama.rope.scale_linear", gguf.OfFloat32(4)) }, 4},
		"both names": {func(m *ggufModel) {
			m.set("llama.rope.scale_linear", gguf.OfFloat32(4))
			m.set("llama.rope.scaling.factor", gguf.OfFloat32(2))
		}, 2},
	} {
		m := readGGUF(t, path)
		test.change(m)
		if s := gpttest.OpenCheckpoint(t, m.write(t)).Config.Settings.(*model.DecoderSettings); s.Stretch != test.linear {
			t.Errorf("%s: positions are divided by %v, expected %v", name, s.Stretch, test.linear)
		}
	}
}

// TestLlamaGGUFSaved reads what llama.cpp's llama_model_save_to_file writes: of each setting that it
// knows it says something, such as a factor and a window of 0 where there is none.
func TestLlamaGGUFSaved(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for name, c := range gpttest.Llamas() {
		path := saveGGUF(t, gpttest.OpenCheckpoint(t, gpttest.SaveLlama(t, c)), backend.None)
		m := readGGUF(t, path)
		heads := []int32{}
		for range c.Layers {
			heads = append(heads, int32(c.Complete().KVHeads))
		}
		for key, v := range map[string]gguf.Value{
			"attention.causal": gguf.OfBool(true), "nextn_predict_layers": gguf.OfUint32(0), "expert_count": gguf.OfUint32(0),
			"attention.sliding_window": gguf.OfUint32(0), "rope.freq_base_swa": gguf.OfFloat32(10000), "attn_logit_softcapping": gguf.OfFloat32(50),
			"rope.scaling.attn_factor": gguf.OfFloat32(1), "rope.scaling.original_context_length": gguf.OfUint32(uint32(c.Context)),
			"attention.head_count_kv": gguf.OfInt32s(heads), // as llama.cpp reads it too
		} {
			m.set("llama."+key, v)
		}
		if s := c.Complete().Settings.(*model.DecoderSettings); s.Scaling != "linear" && s.Scaling != "yarn" {
			m.set("llama.rope.scaling.type", gguf.OfText("linear"))
			m.set("llama.rope.scaling.factor", gguf.OfFloat32(0))
		}
		saved := m.write(t)
		if diff := cmp.Diff(gpttest.OpenCheckpoint(t, path).Config, gpttest.OpenCheckpoint(t, saved).Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !slices.Equal(gpttest.Logits(t, b, path, gpt.LoadOptions{}), gpttest.Logits(t, b, saved, gpt.LoadOptions{})) {
			t.Errorf("%s: other scores", name)
		}
	}
}

// readGGUF reads all of a file, to be changed.
func readGGUF(t *testing.T, path string) *ggufModel {
	f, m := openGGUF(t, path), &ggufModel{}
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		m.metadata = append(m.metadata, gguf.KeyValue{Key: key, Value: v})
	}
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		x.Data = slices.Clone(x.Data)
		m.tensors = append(m.tensors, x)
	}
	return m
}

// TestLlamaFewFactors converts factors of which one is between the kept and the
// slow, as those of a small head with the settings of Llama 3.1.
func TestLlamaFewFactors(t *testing.T) {
	c := gpttest.Llamas()["plain"]
	c.HeadSize = 16
	c.Settings = &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000, Scaling: "llama3", Factor: 8, Low: 1, High: 4, Original: 8192}}
	r, err := checkpoint.Random(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	back := gpttest.OpenCheckpoint(t, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, saveGGUF(t, r, backend.None)), backend.None))
	if diff := cmp.Diff(r.Config, back.Config); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
