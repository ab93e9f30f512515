//go:build unix

package convert_test

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
	"caldera/models"
)

// peerShapes are models of the families beside GPT-2 and Llama. Windows and the contexts of
// training end within the texts that both programs write.
func peerShapes() map[string]model.Config {
	silu := func(s model.DecoderSettings) *model.DecoderSettings {
		s.Activation = backend.SiLU
		return &s
	}
	shape := func(family string, layers, heads, kv, size int, tied bool, s any) model.Config {
		return model.Config{Family: family, Layers: layers, Heads: heads, KVHeads: kv, HeadSize: size, Width: 64, Inner: 160, Context: 160, Vocab: 2048, TieEmbeddings: tied,
			BOS: []int{2047}, EOS: []int{2047}, Settings: s}
	}
	yarn := model.Rope{Theta: 10000, Scaling: "yarn", Factor: 4, Original: 40}
	factors := func(step float32) (list []float32) {
		for i := range 6 {
			list = append(list, 1+step*float32(i))
		}
		return list
	}
	gemma2 := &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 10000}, Window: 24, Period: 2, SoftCap: 50, FinalCap: 30}
	gemma3 := &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 1e6, Local: 10000, Scaling: "linear", Factor: 8}, Window: 24, Period: 6}
	return map[string]model.Config{
		"mistral":         shape("mistral", 2, 4, 2, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}})),
		"smollm3":         shape("smollm3", 5, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 5e6}, Interval: 4})),
		"qwen2":           shape("qwen2", 3, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}, QKVBias: true})),
		"qwen2-yarn":      shape("qwen2", 2, 4, 1, 16, false, silu(model.DecoderSettings{Rope: yarn, QKVBias: true})),
		"qwen3":           shape("qwen3", 3, 4, 2, 32, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}})),
		"gemma2":          shape("gemma2", 3, 4, 2, 32, true, gemma2),
		"gemma3":          shape("gemma3_text", 8, 4, 1, 32, true, gemma3),
		"olmo2":           shape("olmo2", 3, 4, 4, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 500000}})),
		"olmo3":           shape("olmo3", 6, 4, 2, 16, false, silu(model.DecoderSettings{Rope: yarn, Window: 24, Period: 4})),
		"phi3":            shape("phi3", 3, 4, 2, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 10000}})),
		"phi3-longrope":   shape("phi3", 3, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 10000, Partial: 0.75, Scaling: "longrope", Original: 40, Short: factors(0.1), Long: factors(0.9)}})),
		"neox":            shape("gpt_neox", 3, 4, 4, 16, false, &model.NeoXSettings{Activation: backend.GELUErf, Rope: model.Rope{Theta: 10000, Partial: 0.25}}),
		"neox-sequential": shape("gpt_neox", 2, 4, 4, 16, false, &model.NeoXSettings{Activation: backend.GELUErf, Sequential: true, Rope: model.Rope{Theta: 10000, Partial: 0.5}}),
	}
}

// writePeer makes a checkpoint of shape c, with the embedded model's tokenizer. Its weights
// are drawn so that every sublayer writes about as much as it reads, that attention prefers
// some positions, and that a few tokens are much likelier than others.
func writePeer(t *testing.T, c model.Config) (dir string) {
	t.Helper()
	random, err := checkpoint.Random(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer random.Close()
	tok, err := tokenizer.LoadFS(models.Default(), ".")
	if err != nil {
		t.Fatal(err)
	}
	random.SetTokenizer(tok)
	dir = filepath.Join(t.TempDir(), "peer")
	if err := random.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var tensors []safetensors.Tensor
	for _, w := range model.New(nil, random.Config, model.Placement{}).Learned() {
		mean, std := 0.0, 1.5/math.Sqrt(float64(w.Inputs()))
		switch {
		case w.Role == model.Embedding || w.Role == model.Unembedding:
			std = 3 / math.Sqrt(float64(c.Width)) // scores of a standard deviation of 3
		case w.Role == model.Norm && w.Init == model.Ones:
			mean, std = 1, 0.2
		case !w.Matrix():
			std = 0.2
		}
		data := make([]byte, 0, 4*w.Elements())
		for range w.Elements() {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(mean+std*r.NormFloat64())))
		}
		if shape := w.Shape; shape[0] == c.Vocab { // the token that is barred from texts has no share in probabilities
			clear(data[len(data)-4*shape[1]:])
		}
		tensors = append(tensors, safetensors.Tensor{Name: w.Name(model.HuggingFace), DType: safetensors.F32, Shape: w.Stored(model.HuggingFace), Data: data})
	}
	if err := os.Remove(filepath.Join(dir, safetensors.SingleName)); err != nil {
		t.Fatal(err)
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, safetensors.SingleName), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// familyNoise is peerCase's, by dtype. Gemma and GPT-NeoX have GELU, for which llama.cpp has
// a table of f16, and takes the approximation by tanh where GPT-NeoX has the exact function.
var familyNoise = map[string]map[string]float64{
	"":       {"f32": 5e-5, "f16": 0.03, "q8_0": 0.6},
	"gemma2": {"f32": 0.01, "f16": 0.05, "q8_0": 0.6},
	"gemma3": {"f32": 0.01, "f16": 0.05, "q8_0": 0.6},
	"neox":   {"f32": 0.05, "f16": 0.1, "q8_0": 0.6},
}

// TestPeersFamilies is TestPeers for all other families that llama.cpp knows.
func TestPeersFamilies(t *testing.T) {
	library := llama(t)
	texts := []string{prompt, "Elizabeth was"}
	shapes := peerShapes()
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		c := shapes[name]
		dir := writePeer(t, c)
		noise := familyNoise[name]
		if noise == nil && c.Family == "gpt_neox" {
			noise = familyNoise["neox"]
		} else if noise == nil {
			noise = familyNoise[""]
		}
		for _, dtype := range []string{"f32", "f16", "q8_0"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				peer := peerCase{model: dir, dtype: dtype, noise: noise[dtype], others: texts}
				if noise["f32"] == 5e-5 && dtype == "f32" {
					peer.exact, peer.others = texts, nil
				}
				peer.run(t, library)
			})
		}
	}
}
