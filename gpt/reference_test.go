package gpt_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// tolerances on ‖out − reference‖ / ‖reference‖. PyTorch itself is within 1.5e-6
// in float32.
var tolerances = map[backend.DType]float64{backend.F32: 1e-5, backend.F16: 5e-3}

// halfReferences are those whose weights are stored in 16 bits, which PyTorch's
// figures are of: used as they are stored, nothing is rounded.
var halfReferences = map[string]backend.DType{"llama-three": backend.BF16, "llama-linear": backend.F16}

// TestReference holds every hidden state, attention map, all other values that the
// model names, the logits and the loss of a forward pass to PyTorch's.
func TestReference(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			for _, d := range []backend.DType{backend.F32, backend.F16} {
				t.Run(name+"/"+d.String(), func(t *testing.T) {
					testForward(t, b, "testdata/"+name, gpttest.Load(t, b, "testdata/"+name, d), tolerances[d])
				})
			}
		}
		for name, d := range halfReferences {
			t.Run(name+"/as stored", func(t *testing.T) {
				m := gpttest.Load(t, b, "testdata/"+name, backend.None)
				if m.DType() != d {
					t.Errorf("matrices are kept as %v, expected %v", m.DType(), d)
				}
				testForward(t, b, "testdata/"+name, m, tolerances[backend.F32])
			})
		}
	})
}

func testForward(t *testing.T, b backend.Backend, dir string, m *model.Model, tolerance float64) {
	want := gpttest.Expected(t, dir)
	ids := want.Ints(t, "input_ids")
	batch, time := want.Shape("input_ids")[0], want.Shape("input_ids")[1]

	cache, err := m.NewCache(batch, m.Context, backend.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Free()
	tokens := tensor(t, b, ids, batch, time)
	at, err := nn.NewPlaces(b, batch, time)
	if err != nil {
		t.Fatal(err)
	}
	defer at.At.Buf.Free()
	tape := nn.NewTape(b)
	tape.Watch(func(string) bool { return true })
	logits := tape.Keep(model.Unembed(m, tape, m.Forward(tape, tokens, at, cache)))
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}

	seen := p.Named()
	seen["logits"] = p.Tensor(logits)
	checked := 0
	for _, name := range want.Tensors() {
		if !strings.HasPrefix(name, "hidden.") && !strings.HasPrefix(name, "attn.") && name != "logits" {
			continue
		}
		value := name
		if block, found := strings.CutPrefix(name, "attn."); found {
			value = "blocks." + block + ".attention.probs"
		}
		got, ok := seen[value]
		if !ok {
			t.Errorf("%s: the model does not name it; it names %d tensors", name, len(seen))
			continue
		}
		if strings.HasPrefix(name, "attn.") {
			got = gpttest.Compact(t, b, got.Slice(-1, 0, time)) // the cache holds more positions than there are tokens
		}
		gpttest.CheckNear(t, name, gpttest.Floats(t, b, got), want.Floats(t, name), tolerance)
		checked++
	}
	if min := 2*m.Layers + 3; checked != min {
		t.Errorf("%d figures checked, expected hidden.0 … hidden.%d, hidden.final, attn.0 … attn.%d and logits: %d",
			checked, m.Layers, m.Layers-1, min)
	}
	testNamed(t, b, dir, m, seen, tolerance)
	loss := crossEntropy(gpttest.Floats(t, b, seen["logits"]), want.Ints(t, "targets"))
	gpttest.CheckNear(t, "loss", []float32{float32(loss)}, want.Floats(t, "loss"), tolerance)
}

// TestGreedy holds generation token by token to PyTorch's greedy continuation.
func TestGreedy(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			t.Run(name, func(t *testing.T) {
				dir := "testdata/" + name
				m := gpttest.Load(t, b, dir, backend.F32)
				m.EOS = nil // the reference goes on after it
				want := gpttest.Expected(t, dir)
				time := want.Shape("input_ids")[1]
				var greedy []int
				for _, id := range want.Ints(t, "greedy") {
					greedy = append(greedy, int(id))
				}
				// The reference drops one token at a time from a full
				// context, so compare what comes before it is full.
				greedy = greedy[:min(len(greedy), m.Context+1)]
				s, err := gpt.NewSession(m, gpt.SessionOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				got := slices.Clone(greedy[:time])
				o := gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: len(greedy) - time}
				for token, err := range s.Generate(context.Background(), greedy[:time], o) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, token.ID)
				}
				if !slices.Equal(got, greedy) {
					t.Errorf("greedy continuation after %d tokens:\ngot  %v\nwant %v", time, got[time:], greedy[time:])
				}
			})
		}
	})
}

// TestDecodeEqualsPrefill feeds one text in pieces of every kind and expects the
// scores of feeding it at once.
func TestDecodeEqualsPrefill(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		dir := "testdata/gpt2-odd"
		m := gpttest.Load(t, b, dir, backend.F32)
		var ids []int
		for _, id := range gpttest.Expected(t, dir).Ints(t, "greedy")[:m.Context-1] {
			ids = append(ids, int(id))
		}
		feed := func(pieces ...int) []float32 {
			s, err := gpt.NewSession(m, gpt.SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var logits []float32
			rest := ids
			for len(rest) > 0 {
				n := min(len(rest), pieces[0])
				if logits, err = s.Feed(context.Background(), rest[:n]...); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				pieces = append(pieces[1:], pieces[0])
			}
			return slices.Clone(logits)
		}
		want := feed(len(ids))
		for _, pieces := range [][]int{{1}, {7}, {2, 5, 1}, {len(ids) - 1, 1}, {1, len(ids) - 1}} {
			var ref []float32
			ref = append(ref, want...)
			gpttest.CheckNear(t, "logits", feed(pieces...), ref, 5e-6)
		}
	})
}

func tensor(t *testing.T, b backend.Backend, values []int32, dims ...int) backend.Tensor {
	t.Helper()
	x, err := backend.New(b, backend.I32, dims...)
	if err == nil {
		err = backend.SetI32(b, x, values)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Buf.Free)
	return x
}

// crossEntropy is the mean of −log softmax(logits)[target], in nats.
func crossEntropy(logits []float32, targets []int32) float64 {
	vocab := len(logits) / len(targets)
	total := 0.0
	for i, target := range targets {
		row := logits[i*vocab : (i+1)*vocab]
		top := float64(slices.Max(row))
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		total += math.Log(sum) + top - float64(row[target])
	}
	return total / float64(len(targets))
}
