package bench

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
)

// odd is a shape with rows that are whole blocks of 256, and others that are not.
func odd() model.Config {
	c := model.Config{Family: "llama", Layers: 3, Heads: 4, KVHeads: 2, Width: 288, Inner: 512, Context: 32, Vocab: 300, Epsilon: 1e-5}
	return c.Complete()
}

// TestFallback measures types of which some rows are not whole blocks as they are loaded by
// other commands, and as llama.cpp has them in a file of that type; a shape and a checkpoint.
func TestFallback(t *testing.T) {
	d := openCPU(t)
	shape := Random("odd", odd())
	dir := filepath.Join(t.TempDir(), "odd")
	c, err := shape.Open()
	if err == nil {
		err = c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	saved, err := Checkpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, dtype := range []backend.DType{backend.Q6_K, backend.Q4_K_M, backend.Q5_K_M} {
		m, err := gpt.Random(t.Context(), d.b.Backend, odd(), gpt.LoadOptions{DType: dtype}, 1)
		if err != nil {
			t.Fatal(err)
		}
		want, types := bytesOf(m), map[backend.DType]bool{}
		weights := 0.0
		for _, w := range m.Weights() {
			if w.Multiplies() || w.Role == model.Unembedding {
				types[w.Tensor.DType] = true
				weights += float64(w.Tensor.Size())
			}
		}
		m.Close()
		if len(types) < 2 {
			t.Fatalf("%v: matrices are all %v, so this shows nothing", dtype, types)
		}
		o := quiet(1)
		o.DType = dtype
		for _, x := range []Model{shape, saved} {
			results, err := d.Measure(t.Context(), x, []Test{{Prompt: 8}, {Gen: 2, Sequences: 2}}, o)
			if err != nil || len(results) != 2 {
				t.Fatalf("%v: %d results, %v", dtype, len(results), err)
			}
			for _, r := range results {
				if r.ModelSize != want || r.DType != dtype.String() {
					t.Errorf("%s: %d bytes of %s, expected %d of %v", x.Name, r.ModelSize, r.DType, want, dtype)
				}
			}
			if r := results[0]; r.Bytes != weights+float64(3*2*8*144*backend.F16.Bytes(1)) { // and keys and values of 8 positions
				t.Errorf("%s %v: %v bytes, of which weights are %v", x.Name, dtype, r.Bytes, weights)
			}
		}

		var found map[string]bool
		file := fake("good", "good")
		file.DTypes = func(string) []backend.DType { return []backend.DType{dtype} }
		file.File = func(f peer.Files, ctx context.Context) (string, error) {
			path, err := f.GGUF(ctx)
			if err != nil {
				return "", err
			}
			g, err := gguf.Open(path)
			if err != nil {
				return "", err
			}
			defer g.Close()
			found = map[string]bool{}
			for _, name := range g.Tensors() {
				if x, _ := g.Tensor(name); len(x.Shape) > 1 && name != "token_embd.weight" {
					found[strings.ToLower(x.Type.String())] = true
				}
			}
			return path, nil
		}
		results, err := cpuDevice(t).Peers(t.Context(), shape, []Test{{Prompt: 8}}, PeerOptions{Options: o, Peers: []peer.Peer{file}, Threads: 1, Timeout: time.Hour})
		if err != nil || len(results) != 1 || results[0].DType != dtype.String() || len(results[0].SamplesNS) != 1 {
			t.Errorf("beside a peer, %v: %d results, %v", dtype, len(results), err)
		}
		for d := range types {
			if !found[d.String()] {
				t.Errorf("%v: the peer's file has matrices of %v, ours are of %v too", dtype, found, d)
			}
		}
	}

	// What a device lacks is the type that stands for it.
	p := &played{}
	p.Lacks = func(op backend.Op) bool {
		l, ok := op.(*backend.Linear)
		return ok && l.W.DType == backend.Q8_0
	}
	o := quiet(1)
	for dtype, lacks := range map[backend.DType]bool{backend.Q6_K: true, backend.Q4_0: false} {
		o.DType = dtype
		_, err := playedDevice(p).Measure(t.Context(), shape, []Test{{Gen: 1}}, o)
		if lacks != errors.Is(err, result.ErrUnsupported) || lacks && !strings.Contains(err.Error(), "w q8_0[") || !lacks && err != nil {
			t.Errorf("%v on a device without q8_0: %v", dtype, err)
		}
	}
}

// TestCountWindows: keys beyond a window are not read, nor multiplied; of experts those count that are chosen.
func TestCountWindows(t *testing.T) {
	c := model.Config{Family: "gemma3_text", Layers: 3, Heads: 4, KVHeads: 1, HeadSize: 32, Width: 64, Inner: 160, Context: 160, Vocab: 300, TieEmbeddings: true,
		Settings: &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 1e6}, Window: 24, Period: 3}} // two of three layers
	m := onPaper(nil, c, backend.F32)
	const pair, key = 4 * 4 * 32, 4 * 2 * 32 // FLOP of a query and a key, bytes of a key and a value
	for _, x := range []struct {
		t           Test
		pairs, keys float64 // of all layers
	}{
		{Test{Prompt: 20}, 3 * 20 * 20, 3 * 20},
		{Test{Prompt: 100}, 100*100 + 2*100*24, 3 * 100},
		{Test{Prompt: 10, Depth: 90}, 10*100 + 2*10*24, 100 + 2*(23+10)},
		{Test{Gen: 4}, 3 * 10, 3 * 10},
		{Test{Gen: 4, Depth: 21}, 22 + 23 + 24 + 25 + 2*(22+23+24+24), 22 + 23 + 24 + 25 + 2*(22+23+24+24)},
		{Test{Gen: 2, Depth: 100, Sequences: 5}, 5 * (101 + 102 + 2*48), 5 * (101 + 102 + 2*48)},
	} {
		w := Count(m, x.t, backend.F32)
		if w.Attention != x.pairs*pair || w.Cache != x.keys*key {
			t.Errorf("%v: %v pairs and %v keys, expected %v and %v", x.t, w.Attention/pair, w.Cache/key, x.pairs, x.keys)
		}
	}

	c = model.Config{Family: "gpt_oss", Layers: 2, Heads: 4, KVHeads: 2, HeadSize: 16, Width: 64, Inner: 160, Context: 160, Vocab: 300,
		Settings: &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000, Scaling: "none"}, QKVBias: true, OutBias: true, Window: 24, Period: 2, Experts: 7, Chosen: 3}}
	m = onPaper(nil, c, backend.F32)
	const each, beside = 3 * 64 * 160, 64*16*(4+2+2) + 64*64 + 7*64 // weights of an expert, of attention and router
	for tokens, read := range map[int]float64{1: 3, 2: 6, 3: 7, 20: 7} {
		w := Count(m, Test{Prompt: tokens}, backend.F32)
		if got, want := w.Products, float64(2*2*tokens*(3*each+beside)); got != want {
			t.Errorf("%d tokens: products of %v FLOP, expected %v", tokens, got, want)
		}
		if got, want := w.Weights, 4*(2*(read*each+beside)+300*64); got != want {
			t.Errorf("%d tokens: weights of %v bytes, expected %v", tokens, got, want)
		}
	}
}
