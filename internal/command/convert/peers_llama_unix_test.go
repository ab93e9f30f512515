//go:build unix

package convert_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
	"caldera/models"
)

// llamaShape is a Llama with random weights: what config.json says of it.
type llamaShape struct {
	name                                   string
	heads, kvHeads, headSize, width, inner int
	tied, biases                           bool
	theta                                  float64
	scaling                                map[string]any // rope_scaling
}

var llamaShapes = []llamaShape{
	{name: "grouped", heads: 4, kvHeads: 2, headSize: 16, width: 64, inner: 160, tied: true, theta: 10000},
	// Rows of queries and of attention's result are longer than the width; the first
	// pairs turn as they are, the last eight times as slowly, some between.
	{name: "llama3", heads: 4, kvHeads: 1, headSize: 32, width: 96, inner: 192, theta: 500000,
		scaling: map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}},
	{name: "linear", heads: 4, kvHeads: 4, headSize: 24, width: 64, inner: 128, biases: true, theta: 10000,
		scaling: map[string]any{"rope_type": "linear", "factor": 4.0}},
	// All rows are whole blocks of every type.
	{name: "wide", heads: 4, kvHeads: 2, headSize: 64, width: 256, inner: 512, tied: true, theta: 10000},
	// Most rows are not whole blocks.
	{name: "odd", heads: 6, kvHeads: 2, headSize: 10, width: 52, inner: 96, theta: 10000},
}

// write makes the checkpoint, with the embedded model's tokenizer. Its weights are
// drawn so that every sublayer writes about as much as it reads, that attention
// prefers some positions, and that a few tokens are much likelier than others.
func (s llamaShape) write(t *testing.T) (dir string) {
	t.Helper()
	const layers, vocab = 2, 2048
	r := rand.New(rand.NewPCG(1, 2))
	var tensors []safetensors.Tensor
	add := func(name string, mean, std float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		var data []byte
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(mean+std*r.NormFloat64())))
		}
		if shape[0] == vocab { // the token that is barred from texts has no share in probabilities
			clear(data[len(data)-4*shape[1]:])
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape, Data: data})
	}
	linear := func(name string, gain float64, out, in int) {
		add(name+".weight", 0, gain/math.Sqrt(float64(in)), out, in)
		if s.biases {
			add(name+".bias", 0, 0.3, out)
		}
	}
	scores := 3 / math.Sqrt(float64(s.width)) // of a standard deviation of 3
	add("model.embed_tokens.weight", 0, scores, vocab, s.width)
	for i := range layers {
		h := fmt.Sprintf("model.layers.%d.", i)
		add(h+"input_layernorm.weight", 1, 0.2, s.width)
		linear(h+"self_attn.q_proj", 1.5, s.heads*s.headSize, s.width)
		linear(h+"self_attn.k_proj", 1.5, s.kvHeads*s.headSize, s.width)
		linear(h+"self_attn.v_proj", 1, s.kvHeads*s.headSize, s.width)
		linear(h+"self_attn.o_proj", 1.5, s.width, s.heads*s.headSize)
		add(h+"post_attention_layernorm.weight", 1, 0.2, s.width)
		linear(h+"mlp.gate_proj", 1, s.inner, s.width)
		linear(h+"mlp.up_proj", 1, s.inner, s.width)
		linear(h+"mlp.down_proj", 1.5, s.width, s.inner)
	}
	add("model.norm.weight", 1, 0.2, s.width)
	if !s.tied {
		add("lm_head.weight", 0, scores, vocab, s.width)
	}
	config, err := json.Marshal(map[string]any{
		"model_type": "llama", "num_hidden_layers": layers, "num_attention_heads": s.heads, "num_key_value_heads": s.kvHeads,
		"head_dim": s.headSize, "hidden_size": s.width, "intermediate_size": s.inner, "max_position_embeddings": 160, "vocab_size": vocab,
		"rms_norm_eps": 1e-5, "rope_theta": s.theta, "rope_scaling": s.scaling, "attention_bias": s.biases, "mlp_bias": s.biases,
		"tie_word_embeddings": s.tied, "bos_token_id": vocab - 1, "eos_token_id": vocab - 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.LoadFS(models.Default(), ".")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tok.Vocabulary().Files()
	if err != nil {
		t.Fatal(err)
	}
	files["config.json"] = config
	dir = t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// llamaNoise is peerCase's, by dtype. There is no table for SiLU in llama.cpp, so
// that in f32 nothing but the order of sums differs.
var llamaNoise = map[string]float64{"f32": 5e-5, "f16": 0.03, "bf16": 0.2, "q8_0": 0.6, "q4_0": 0.6, "q6_k": 0.6, "q5_k_m": 0.6, "q4_k_m": 0.6}

// TestPeersLlama is TestPeers for models of the family llama.
func TestPeersLlama(t *testing.T) {
	library := llama(t)
	texts := []string{prompt, "Elizabeth was", "Captain Wentworth"}
	for _, s := range llamaShapes {
		dir := s.write(t)
		for _, dtype := range slices.Sorted(maps.Keys(llamaNoise)) {
			t.Run(s.name+"/"+dtype, func(t *testing.T) {
				c := peerCase{model: dir, dtype: dtype, noise: llamaNoise[dtype], others: texts}
				if dtype == "f32" {
					c.exact, c.others = texts, nil
				}
				c.run(t, library)
			})
		}
	}
}

// TestPeersTypes is TestPeersLlama for the types of weights that are read, and that convert does not offer.
func TestPeersTypes(t *testing.T) {
	library := llama(t)
	wide := slices.IndexFunc(llamaShapes, func(s llamaShape) bool { return s.name == "wide" })
	dir := llamaShapes[wide].write(t)
	for _, d := range backend.QuantizedDTypes() {
		if !d.Is(backend.Targets) {
			t.Run(d.String(), func(t *testing.T) {
				peerCase{model: dir, dtype: d.String(), noise: 0.6, others: []string{prompt, "Elizabeth was"}}.run(t, library)
			})
		}
	}
}
