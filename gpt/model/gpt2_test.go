package model_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// activations are Transformers' (ACT2FN), in float64.
var activations = map[string]func(x float64) float64{
	"gelu_new":   func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
	"gelu":       func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) },
	"quick_gelu": func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
	"relu":       func(x float64) float64 { return max(x, 0) },
	"silu":       func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"swish":      func(x float64) float64 { return x / (1 + math.Exp(-x)) },
}

// TestGPT2Switches holds scores to a GPT-2 in float64 that does as config.json says:
// every activation, and every way to scale attention.
func TestGPT2Switches(t *testing.T) {
	c := gpttest.ReadDirectory(t, "../testdata/gpt2-tiny")
	ids := []int{3, 1, 4, 1, 5, 9, 2, 6}
	seen := map[float32]string{}
	for _, switches := range []map[string]any{
		{}, {"activation_function": "gelu"}, {"activation_function": "quick_gelu"}, {"activation_function": "relu"}, {"activation_function": "silu"},
		{"scale_attn_by_inverse_layer_idx": true}, {"scale_attn_weights": false}, {"scale_attn_weights": nil, "scale_attn_by_inverse_layer_idx": true, "activation_function": "swish"},
	} {
		for key, value := range switches {
			c.Config[key] = value
		}
		dir := c.Write(t)
		want := naive(c, ids)
		name := fmt.Sprint(switches)
		for key := range switches {
			delete(c.Config, key)
		}
		if other, ok := seen[want[0]]; ok {
			t.Errorf("%s: the same scores as %s: the test shows nothing", name, other)
		}
		seen[want[0]] = name
		devicetest.Each(t, func(t *testing.T, b backend.Backend) {
			m := gpttest.Load(t, b, dir, backend.F32)
			gpttest.CheckNear(t, name, gpttest.Feed(t, m, ids...), want, 1e-5)
		})
		// What GGUF cannot say is refused; config.json says it again.
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := gpttest.OpenCheckpoint(t, dir).SaveGGUF(t.Context(), path, checkpoint.SaveOptions{}); len(switches) == 0 {
			if err != nil {
				t.Error(err)
			}
		} else {
			gpttest.WantError(t, err, "GGUF cannot say that ")
		}
		gpttest.CheckNear(t, name+"saved again", gpttest.Logits(t, gpttest.OpenCPU(t), gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, dir), 0), gpt.LoadOptions{}), gpttest.Logits(t, gpttest.OpenCPU(t), dir, gpt.LoadOptions{}), 0)
	}
}

// TestGPT2Activations knows all of Transformers' names for them, and no others.
func TestGPT2Activations(t *testing.T) {
	const shape = `"model_type": "gpt2", "n_layer": 2, "n_head": 3, "n_embd": 60, "n_positions": 40, "vocab_size": 1003`
	for name, want := range map[string]backend.Activation{
		"gelu_new": backend.GELUTanh, "gelu_pytorch_tanh": backend.GELUTanh, "gelu_fast": backend.GELUTanh, "gelu_accurate": backend.GELUTanh,
		"gelu": backend.GELUErf, "gelu_python": backend.GELUErf, "quick_gelu": backend.GELUSigmoid, "relu": backend.ReLU, "silu": backend.SiLU, "swish": backend.SiLU,
	} {
		c, err := checkpoint.ReadConfig(fstest.MapFS{"config.json": {Data: []byte(`{"activation_function": "` + name + `", ` + shape + `}`)}})
		if err != nil || c.Settings.(*model.GPT2Settings).Activation != want {
			t.Errorf("%s: %v, %+v, expected %v", name, err, c.Settings, want)
		}
	}
}

// naive computes the scores after ids, as GPT2LMHeadModel does, one number at a time.
func naive(c *gpttest.Directory, ids []int) []float32 {
	number := func(key string) int { return int(c.Config[key].(float64)) }
	get := func(name string, i ...any) []float64 {
		var out []float64
		for _, v := range gpttest.Decode(c.Tensor(strings.NewReplacer("#", string(rune('0'+append(i, 0)[0].(int)))).Replace(name)).Data) {
			out = append(out, float64(v))
		}
		return out
	}
	width, heads, epsilon := number("n_embd"), number("n_head"), c.Config["layer_norm_epsilon"].(float64)
	size := width / heads
	norm := func(x, gamma, beta []float64) []float64 {
		mean, variance := 0.0, 0.0
		for _, v := range x {
			mean += v / float64(width)
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(width)
		}
		y := make([]float64, width)
		for i, v := range x {
			y[i] = (v-mean)/math.Sqrt(variance+epsilon)*gamma[i] + beta[i]
		}
		return y
	}
	linear := func(x, w, bias []float64) []float64 { // w is [in, out]
		y := append([]float64(nil), bias...)
		for i, v := range x {
			for j := range y {
				y[j] += v * w[i*len(y)+j]
			}
		}
		return y
	}
	activate := activations["gelu_new"]
	if name, ok := c.Config["activation_function"].(string); ok {
		activate = activations[name]
	}
	tokens, positions := get("wte.weight"), get("wpe.weight")
	var x [][]float64
	for p, id := range ids {
		row := make([]float64, width)
		for i := range row {
			row[i] = tokens[id*width+i] + positions[p*width+i]
		}
		x = append(x, row)
	}
	for layer := range number("n_layer") {
		scale := 1.0
		if scaled, ok := c.Config["scale_attn_weights"]; !ok || scaled == true {
			scale /= math.Sqrt(float64(size))
		}
		if c.Config["scale_attn_by_inverse_layer_idx"] == true {
			scale /= float64(layer + 1)
		}
		var qkv [][]float64
		for p := range x {
			y := norm(x[p], get("h.#.ln_1.weight", layer), get("h.#.ln_1.bias", layer))
			qkv = append(qkv, linear(y, get("h.#.attn.c_attn.weight", layer), get("h.#.attn.c_attn.bias", layer)))
		}
		for p := range x {
			found := make([]float64, width)
			for h := range heads {
				scores, sum := make([]float64, p+1), 0.0
				for j := range scores {
					for i := range size {
						scores[j] += qkv[p][h*size+i] * qkv[j][width+h*size+i] * scale
					}
					scores[j] = math.Exp(scores[j])
					sum += scores[j]
				}
				for j, s := range scores {
					for i := range size {
						found[h*size+i] += s / sum * qkv[j][2*width+h*size+i]
					}
				}
			}
			for i, v := range linear(found, get("h.#.attn.c_proj.weight", layer), get("h.#.attn.c_proj.bias", layer)) {
				x[p][i] += v
			}
		}
		for p := range x {
			inner := linear(norm(x[p], get("h.#.ln_2.weight", layer), get("h.#.ln_2.bias", layer)), get("h.#.mlp.c_fc.weight", layer), get("h.#.mlp.c_fc.bias", layer))
			for i, v := range inner {
				inner[i] = activate(v)
			}
			for i, v := range linear(inner, get("h.#.mlp.c_proj.weight", layer), get("h.#.mlp.c_proj.bias", layer)) {
				x[p][i] += v
			}
		}
	}
	y := norm(x[len(x)-1], get("ln_f.weight"), get("ln_f.bias"))
	logits := make([]float32, number("vocab_size"))
	for id := range logits {
		sum := 0.0
		for i, v := range y {
			sum += v * tokens[id*width+i]
		}
		logits[id] = float32(sum)
	}
	return logits
}
