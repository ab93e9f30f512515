package gpt_test

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// tinyCheckpoint is the checkpoint gpt2-tiny, to be changed.
func tinyCheckpoint(t *testing.T) *gpttest.Directory {
	t.Helper()
	c := gpttest.Base(t)
	f, err := safetensors.OpenDir("testdata/gpt2-tiny")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c.Tensors = nil
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		x.Data = append([]byte{}, x.Data...)
		c.Tensors = append(c.Tensors, x)
	}
	return c
}

// rounded rounds the matrices of a checkpoint to d and back, each row of
// weights that are multiplied with one vector by itself.
func rounded(t *testing.T, c *gpttest.Directory, d backend.DType) {
	t.Helper()
	for i := range c.Tensors {
		x := &c.Tensors[i]
		if len(x.Shape) < 2 || strings.HasPrefix(x.Name, "wpe") {
			continue
		}
		values := gpttest.Decode(x.Data)
		rows, cols := x.Shape[0], x.Shape[1]
		row, column, between := cols, 1, cols // of [out, in]: its length, step from one to the next, and to the next row
		count := rows
		if strings.HasPrefix(x.Name, "h.") { // [in, out]
			row, column, between, count = rows, cols, 1, cols
		}
		line := make([]float32, row)
		for r := range count {
			for j := range line {
				line[j] = values[r*between+j*column]
			}
			p, err := backend.Encode(nil, d, line)
			if err == nil {
				err = backend.Decode(line, d, p)
			}
			if err != nil {
				t.Fatal(err)
			}
			for j := range line {
				values[r*between+j*column] = line[j]
			}
		}
		x.Data = gpttest.Encode(safetensors.F32, values)
	}
}

func manyIDs(n, vocab int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = (i*i*7 + 3) % vocab
	}
	return ids
}

// TestQuantized expects of weights that are quantised while they are loaded what
// the rounded numbers give as f32, for one token and for many.
func TestQuantized(t *testing.T) {
	config, err := os.ReadFile("testdata/gpt2-tiny/config.json")
	if err != nil {
		t.Fatal(err)
	}
	plain := t.TempDir()
	c := tinyCheckpoint(t)
	if err := errors.Join(gpttest.WriteTensors(plain+"/model.safetensors", c.Tensors, nil), os.WriteFile(plain+"/config.json", config, 0o666)); err != nil {
		t.Fatal(err)
	}
	cpu := gpttest.OpenCPU(t)
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0} {
		dir := t.TempDir()
		c := tinyCheckpoint(t)
		rounded(t, c, d)
		if err := errors.Join(gpttest.WriteTensors(dir+"/model.safetensors", c.Tensors, nil), os.WriteFile(dir+"/config.json", config, 0o666)); err != nil {
			t.Fatal(err)
		}
		load := func(b backend.Backend, dir string, d backend.DType) *model.Model {
			m, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{DType: d})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			return m
		}
		exact := load(cpu, dir, backend.F32)
		unrounded := load(cpu, plain, backend.F32)
		for _, n := range []int{1, 5, 40} {
			ids := manyIDs(n, exact.Vocab)
			want := gpttest.Feed(t, exact, ids...)
			if far := distance(want, gpttest.Feed(t, unrounded, ids...)); far < 1e-4 {
				t.Errorf("%v, %d tokens: rounding changed the scores by %.1g only: this test tells nothing", d, n, far)
			}
			devicetest.Each(t, func(t *testing.T, b backend.Backend) {
				m, err := gpt.Load(t.Context(), b, plain, gpt.LoadOptions{DType: d, Activations: backend.F32})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				if gpttest.GPT2(m).Tokens.DType != d || gpttest.GPT2(m).Blocks[0].QKV.W.DType != d || gpttest.GPT2(m).Blocks[2].Down.W.DType != d || gpttest.GPT2(m).Positions.DType != backend.F32 {
					t.Errorf("%v: kept as %v, %v, %v and positions %v", d, gpttest.GPT2(m).Tokens, gpttest.GPT2(m).Blocks[0].QKV.W, gpttest.GPT2(m).Blocks[2].Down.W, gpttest.GPT2(m).Positions)
				}
				gpttest.CheckNear(t, d.String(), gpttest.Feed(t, m, ids...), want, 1e-5)
			})
		}
	}
}

func distance(a, b []float32) float64 {
	var diff, norm float64
	for i := range a {
		diff += math.Pow(float64(a[i])-float64(b[i]), 2)
		norm += math.Pow(float64(b[i]), 2)
	}
	return math.Sqrt(diff / norm)
}

// TestQuantizedOddShapes keeps as f16 what has no whole blocks.
func TestQuantizedOddShapes(t *testing.T) {
	m, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), "testdata/gpt2-odd", gpt.LoadOptions{DType: backend.Q8_0})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if gpttest.GPT2(m).Blocks[0].QKV.W.DType != backend.F16 || gpttest.GPT2(m).Tokens.DType != backend.F16 {
		t.Errorf("matrices of 60 inputs are %v, tokens %v; expected f16", gpttest.GPT2(m).Blocks[0].QKV.W, gpttest.GPT2(m).Tokens)
	}
}

// TestCacheType keeps keys and values as f16 or bf16: nearly the same scores in half
// the memory.
func TestCacheType(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		ids := manyIDs(40, m.Vocab)
		want := gpttest.Feed(t, m, ids...)
		for cache, bound := range map[backend.DType]float64{backend.F16: 2e-3, backend.BF16: 16e-3} {
			s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: cache})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var got []float32
			for _, id := range ids {
				if got, err = s.Feed(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			if far := distance(got, want); far == 0 || far > bound {
				t.Errorf("with %v keys and values the scores differ by %.2g, expected a little, up to %.1g", cache, far, bound)
			}
		}
	})
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
	sizes := map[backend.DType]int{}
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		before := b.Allocated
		s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: d})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		sizes[d] = b.Allocated - before
	}
	if cache := 2 * m.Layers * m.Context * m.Width * 2; sizes[backend.F32]-sizes[backend.F16] != cache {
		t.Errorf("sessions take %v bytes, expected f16 to spare %d", sizes, cache)
	}
}

// TestActivations rounds what is multiplied with quantised weights to blocks: nearly
// the same scores, also between backends, for one token and for many.
func TestActivations(t *testing.T) {
	ids := manyIDs(40, 50)
	load := func(t *testing.T, b backend.Backend, o gpt.LoadOptions) *model.Model {
		m, err := gpt.Load(t.Context(), b, "testdata/gpt2-tiny", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	const bound = 4e-2 // 1 % of each of 12 products: conformance/tolerance.go
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0} {
		exact := load(t, gpttest.OpenCPU(t), gpt.LoadOptions{DType: d, Activations: backend.F32})
		for _, n := range []int{1, 40} {
			want := gpttest.Feed(t, exact, ids[:n]...)
			devicetest.Each(t, func(t *testing.T, b backend.Backend) {
				m := load(t, b, gpt.LoadOptions{DType: d, Activations: backend.Q8_A})
				if far := distance(gpttest.Feed(t, m, ids[:n]...), want); far < 1e-4 || far > bound {
					t.Errorf("%v, %d tokens: blocks of activations change the scores by %.2g, expected a little, up to %.1g", d, n, far, bound)
				}
			})
		}
	}
	for _, d := range backend.QuantizedDTypes() {
		b := gpttest.OpenCPU(t)
		want := backend.Rounding(b, d)
		usual, asked := load(t, b, gpt.LoadOptions{DType: d}), load(t, b, gpt.LoadOptions{DType: d, Activations: want})
		if usual.Rounding() != want || distance(gpttest.Feed(t, usual, ids...), gpttest.Feed(t, asked, ids...)) != 0 {
			t.Errorf("%v on the CPU without an option: rounds to %v, and scores are not those of %v", d, usual.Rounding(), want)
		}
	}
	plain := load(t, gpttest.OpenCPU(t), gpt.LoadOptions{Activations: backend.Q8_A})
	if want := load(t, gpttest.OpenCPU(t), gpt.LoadOptions{}); distance(gpttest.Feed(t, plain, ids...), gpttest.Feed(t, want, ids...)) != 0 {
		t.Error("weights that are not quantised are multiplied with rounded activations")
	}
	for _, d := range []backend.DType{backend.Q8_0, backend.BF16} {
		_, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), "testdata/gpt2-tiny", gpt.LoadOptions{Activations: d})
		if err == nil || !strings.Contains(err.Error(), d.String()+" is no dtype of activations") {
			t.Errorf("activations of %v: %v", d, err)
		}
	}
	if _, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), "testdata/gpt2-tiny", gpt.LoadOptions{DType: backend.Q8_A}); err == nil || !strings.Contains(err.Error(), "q8_a is no dtype of weights") {
		t.Errorf("weights of q8_a: %v", err)
	}
}

// TestRoundedPrompts reads texts with weights of 16 bits: where f16 is asked for, one of any length gives
// nearly the scores that it gives where nothing is rounded, and the same in pieces, and beside others. Where
// nothing is asked for, no device without matrix units rounds.
func TestRoundedPrompts(t *testing.T) {
	c := model.Config{Family: "llama", Layers: 2, Heads: 2, KVHeads: 1, HeadSize: 32, Width: 64, Inner: 96, Context: 128, Vocab: 50}.Complete()
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		load := func(activations backend.DType) *model.Model {
			m, err := gpt.Random(t.Context(), b, c, gpt.LoadOptions{DType: backend.F16, Activations: activations}, 3)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			return m
		}
		rounded, usual, exact := load(backend.F16), load(backend.None), load(backend.F32)
		const bound = 2e-3 // numbers of f16: conformance/tolerance.go
		for _, n := range []int{1, 64, 100} {
			ids := manyIDs(n, c.Vocab)
			scores := gpttest.Feed(t, exact, ids...)
			if far := distance(gpttest.Feed(t, usual, ids...), scores); far != 0 {
				t.Errorf("%d tokens: as the device multiplies fastest, scores change by %.2g", n, far)
			}
			if far := distance(gpttest.Feed(t, rounded, ids...), scores); far < 1e-5 || far > bound {
				t.Errorf("%d tokens: rounding changes the scores by %.2g", n, far)
			}
		}
		// The order of sums changes numbers by 2⁻²² or so of their size: one in a thousand is rounded to the other
		// side, by 2⁻¹¹, and few positions have such a number. Rounding some of the products changes all by 5e-5 or more.
		const order = 2e-5
		var far []float64
		for n := 91; n <= 99; n++ {
			ids := manyIDs(n, c.Vocab)
			s, err := gpt.NewSession(rounded, gpt.SessionOptions{Cache: backend.F32})
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			for piece := range slices.Chunk(ids, 31) {
				if got, err = s.Feed(t.Context(), piece...); err != nil {
					t.Fatal(err)
				}
			}
			far = append(far, distance(got, gpttest.Feed(t, rounded, ids...)))
			s.Close()
		}
		if slices.Sort(far); far[len(far)/2] > order || far[len(far)-1] > bound {
			t.Errorf("in pieces of 31 tokens scores change by %.2g", far)
		}
		texts := [][]int{manyIDs(40, c.Vocab), manyIDs(90, c.Vocab)[50:], manyIDs(140, c.Vocab)[100:]}
		read := func(texts ...[]int) (scores [][]float32) {
			e, err := gpt.NewEvaluator(rounded, gpt.EvaluatorOptions{Window: 40, Texts: len(texts), Cache: backend.F32})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if err := e.Scores(t.Context(), texts, 20, func(_, _ int, s []float32) error {
				scores = append(scores, slices.Clone(s))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return scores
		}
		together := read(texts...)
		far = nil
		for i, text := range texts {
			for j, alone := range read(text) {
				far = append(far, distance(together[20*i+j], alone))
			}
		}
		if slices.Sort(far); far[len(far)/2] > order || far[len(far)-1] > bound {
			t.Errorf("beside other texts scores change by %.2g", far)
		}
	})
}
