package gpt_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// storedAs are those of the references of families whose weights are stored in 16 bits. Used as
// they are stored, nothing is rounded.
var storedAs = map[string]backend.DType{
	"mistral": backend.F16, "qwen3": backend.BF16, "gemma3": backend.BF16, "olmo3": backend.BF16, "phi3-long": backend.BF16, "neox": backend.BF16,
	"gpt-oss": backend.BF16, "gpt-oss-mxfp4": backend.MXFP4,
}

// sessionContexts are the contexts of sessions of models whose angles follow from it, where
// that is not the model's.
var sessionContexts = map[string]int{"phi3-short": 32}

// TestFamilies holds hidden states, attention maps, scores and the loss of every family
// to PyTorch's.
func TestFamilies(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.FamilyReferences {
			for _, d := range []backend.DType{backend.F32, backend.F16} {
				t.Run(name+"/"+d.String(), func(t *testing.T) {
					testFamily(t, b, name, gpttest.Load(t, b, "testdata/"+name, d), tolerances[d])
				})
			}
			if d := storedAs[name]; d != backend.None {
				t.Run(name+"/as stored", func(t *testing.T) {
					m := gpttest.Load(t, b, "testdata/"+name, backend.None)
					if m.DType() != d {
						t.Errorf("matrices are kept as %v, expected %v", m.DType(), d)
					}
					testFamily(t, b, name, m, tolerances[backend.F32])
				})
			}
		}
	})
}

func testFamily(t *testing.T, b backend.Backend, name string, m *model.Model, tolerance float64) {
	want := gpttest.Expected(t, "testdata/"+name)
	ids := want.Ints(t, "input_ids")
	batch, time := want.Shape("input_ids")[0], want.Shape("input_ids")[1]
	size := m.Context
	if n := sessionContexts[name]; n > 0 {
		size = n
	}
	cache, err := m.NewCache(batch, size, backend.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Free()
	at, err := nn.NewPlaces(b, batch, time)
	if err != nil {
		t.Fatal(err)
	}
	defer at.At.Buf.Free()
	tape := nn.NewTape(b)
	tape.Watch(func(string) bool { return true })
	logits := tape.Keep(model.Unembed(m, tape, m.Forward(tape, tensor(t, b, ids, batch, time), at, cache)))
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
	for _, figure := range want.Tensors() {
		value := figure
		if block, found := strings.CutPrefix(figure, "attn."); found {
			value = "blocks." + block + ".attention.probs"
		} else if !strings.HasPrefix(figure, "hidden.") && figure != "logits" {
			continue
		}
		got := seen[value]
		if strings.HasPrefix(figure, "attn.") {
			got = gpttest.Compact(t, b, got.Slice(-1, 0, time)) // the cache holds more positions than there are tokens
		}
		gpttest.CheckNear(t, figure, gpttest.Floats(t, b, got), want.Floats(t, figure), tolerance)
		checked++
	}
	if want := 2*m.Layers + 3; checked != want {
		t.Errorf("%d figures checked, expected %d", checked, want)
	}
	loss := crossEntropy(gpttest.Floats(t, b, seen["logits"]), want.Ints(t, "targets"))
	gpttest.CheckNear(t, "loss", []float32{float32(loss)}, want.Floats(t, "loss"), tolerance)
}

// TestFamiliesGreedy holds generation, token by token through a cache, to PyTorch's.
func TestFamiliesGreedy(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.FamilyReferences {
			want := gpttest.Expected(t, "testdata/"+name)
			time, greedy := want.Shape("input_ids")[1], []int{}
			for _, id := range want.Ints(t, "greedy") {
				greedy = append(greedy, int(id))
			}
			m := gpttest.Load(t, b, "testdata/"+name, backend.F32)
			m.EOS = nil // the reference goes on after it
			s, err := gpt.NewSession(m, gpt.SessionOptions{Context: sessionContexts[name]})
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Clone(greedy[:time])
			o := gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: len(greedy) - time}
			for token, err := range s.Generate(context.Background(), greedy[:time], o) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, token.ID)
			}
			s.Close()
			if !slices.Equal(got, greedy) {
				t.Errorf("%s: greedy continuation after %d tokens:\ngot  %v\nwant %v", name, time, got[time:], greedy[time:])
			}
		}
	})
}

// TestFamiliesTrain holds the loss and every gradient of every family to PyTorch's, and
// what is saved of the weights to what was loaded.
func TestFamiliesTrain(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.FamilyReferences {
			if strings.HasPrefix(name, "gpt-oss") {
				_, err := gpt.Load(t.Context(), b, "testdata/"+name, gpt.LoadOptions{Train: true})
				gpttest.WantError(t, err, "a model of gpt-oss cannot be trained")
				continue
			}
			t.Run(name, func(t *testing.T) {
				m := trainable(t, b, "testdata/"+name)
				snapshot, err := checkpoint.Snapshot(m, nil)
				if err != nil {
					t.Fatal(err)
				}
				saved := gpttest.ReadDirectory(t, gpttest.SaveDir(t, snapshot, backend.None))
				for _, x := range gpttest.ReadDirectory(t, "testdata/"+name).Tensors {
					gpttest.CheckNear(t, x.Name+", saved", gpttest.Numbers(t, *saved.Tensor(x.Name)), gpttest.Numbers(t, x), 5e-7) // 1 is added to scales of norms and taken off
				}
				want := gpttest.Expected(t, "testdata/"+name)
				shape := want.Shape("input_ids")
				tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: shape[0], Time: shape[1], AdamW: reference.adamW, Clip: reference.clip, Chunk: 7})
				if err != nil {
					t.Fatal(err)
				}
				defer tr.Close()
				loss, _, err := tr.Step(numbers(want.Ints(t, "input_ids")), numbers(want.Ints(t, "targets")), reference.rate)
				if err != nil {
					t.Fatal(err)
				}
				gpttest.CheckNear(t, "loss", []float32{float32(loss)}, want.Floats(t, "loss"), 1e-5)
				for i, w := range m.Learned() {
					ref := want.Floats(t, "grad."+w.Name(model.HuggingFace))
					if rows := w.Rows(model.HuggingFace, w.Lies(model.HuggingFace), m.HeadSize); rows != nil {
						ref = reordered(ref, w.Shape[0], rows)
					}
					tolerance := 1e-5
					if w.Role == model.Bias && w.Of == model.Key {
						tolerance = 5e-5 // softmax does not see a shift that all keys share, so nearly all of it cancels
					}
					gpttest.CheckNear(t, "grad."+w.Name(model.HuggingFace), gpttest.Floats(t, b, tr.Parameters()[i].Grad), ref, tolerance)
				}
			})
		}
	})
}

// reordered has row rows(r) of a tensor of n rows as row r.
func reordered(x []float32, n int, rows func(r int) int) (y []float32) {
	size := len(x) / n
	for r := range n {
		y = append(y, x[rows(r)*size:][:size]...)
	}
	return y
}

// TestLongContexts: sessions, batches and evaluators choose the angles of longrope by their
// context, whatever room their blocks have beyond it.
func TestLongContexts(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/phi3-short", backend.F32)
	m.EOS = nil
	ids := sequence(20, m.Vocab)
	o := gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: 12}
	var texts [2][]int
	for i, size := range []int{32, 33} { // that of training, and one more
		texts[i] = idsOf(generate(t, m, size, ids, o))
		batch := newBatch(t, m, gpt.BatchOptions{Sequences: 2, Context: size, Block: 64})
		for range 2 {
			if _, err := batch.Admit(ids, o); err != nil {
				t.Fatal(err)
			}
		}
		for _, events := range collectAll(t, batch) {
			if got := idsOf(tokensOf(events)); !slices.Equal(got, texts[i]) {
				t.Errorf("context %d: a batch draws %v, a session %v", size, got, texts[i])
			}
		}
	}
	if slices.Equal(texts[0], texts[1]) {
		t.Errorf("both contexts give %v: the test shows nothing", texts[0])
	}
}
