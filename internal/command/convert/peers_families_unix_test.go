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

	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
	"caldera/models"
)

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
	"":       {"f32": 5e-5, "f16": 0.03, "q8_0": 0.6, "mxfp4": 0.6},
	"gemma2": {"f32": 0.01, "f16": 0.05, "q8_0": 0.6},
	"gemma3": {"f32": 0.01, "f16": 0.05, "q8_0": 0.6},
	"neox":   {"f32": 0.05, "f16": 0.1, "q8_0": 0.6},
}

// TestPeersFamilies is TestPeers for all other families that llama.cpp knows.
func TestPeersFamilies(t *testing.T) {
	library := llama(t)
	texts := []string{prompt, "Elizabeth was"}
	shapes := gpttest.FamilyShapes()
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		c := shapes[name]
		dir := writePeer(t, c)
		noise := familyNoise[name]
		if noise == nil && c.Family == "gpt_neox" {
			noise = familyNoise["neox"]
		} else if noise == nil {
			noise = familyNoise[""]
		}
		dtypes := []string{"f32", "f16", "q8_0"}
		if c.Family == "gpt_oss" {
			dtypes = append(dtypes, "mxfp4") // as its experts are published
		}
		for _, dtype := range dtypes {
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
