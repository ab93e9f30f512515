package gpt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestEvaluator holds the scores of every position to PyTorch's logits. All texts are
// read at once, and one is shorter than the others.
func TestEvaluator(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		most := 0
		defer func() {
			if most < 2 {
				t.Error("no reference has several texts")
			}
		}()
		for _, name := range gpttest.References {
			dir := "testdata/" + name
			m := gpttest.Load(t, b, dir, backend.F32)
			want := gpttest.Expected(t, dir)
			ids, logits := want.Ints(t, "input_ids"), want.Floats(t, "logits")
			time := want.Shape("input_ids")[1]
			e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: time})
			if err != nil {
				t.Fatal(err)
			}
			var texts [][]int
			for batch := range want.Shape("input_ids")[0] {
				text := make([]int, time-3*batch)
				for i := range text {
					text[i] = int(ids[batch*time+i])
				}
				texts = append(texts, text)
			}
			most = max(most, len(texts))
			from := time / 3
			var visited, expected [][2]int
			for i, text := range texts {
				for p := from; p < len(text); p++ {
					expected = append(expected, [2]int{i, p})
				}
			}
			err = e.Scores(t.Context(), texts, from, func(i, p int, scores []float32) error {
				visited = append(visited, [2]int{i, p})
				at := (i*time + p) * m.Vocab
				gpttest.CheckNear(t, name, scores, logits[at:at+m.Vocab], 1e-5)
				return nil
			})
			if err != nil || !slices.Equal(visited, expected) {
				t.Errorf("%s: visited %v, expected %v, %v", name, visited, expected, err)
			}
			e.Close()
		}
	})
}

// TestEvaluatorTexts reads texts of all lengths at once, as many as fill a step. In one
// program other texts leave the bits of a text unchanged, and alone it has the same scores.
func TestEvaluatorTexts(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		scores := func(e *gpt.Evaluator, texts ...[]int) map[[2]int][]float32 {
			all := map[[2]int][]float32{}
			if err := e.Scores(t.Context(), texts, 0, func(i, p int, scores []float32) error {
				all[[2]int{i, p}] = slices.Clone(scores)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return all
		}
		for cache, tolerance := range map[backend.DType]float64{
			backend.F32: 5e-6,
			backend.F16: 1e-4, // a key that rounds to its other neighbour
		} {
			many, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: 39, Cache: cache, Rows: 30})
			if err != nil {
				t.Fatal(err)
			}
			defer many.Close()
			one, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: 39, Cache: cache, Texts: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			if many.Texts() != 13 || one.Texts() != 1 {
				t.Fatalf("%d and %d texts at once, expected 13, of 512 tokens, and 1", many.Texts(), one.Texts())
			}
			var texts, others [][]int
			for i := range 13 {
				ids, n := sequence(60, m.Vocab), i*16%40 // 0 to 32 tokens
				texts, others = append(texts, ids[i:i+n]), append(others, ids[i+3:i+3+n])
			}
			all := scores(many, texts...)
			for i, text := range texts {
				alone := scores(one, text)
				among := slices.Clone(others)
				among[i] = text
				same := scores(many, among...)
				for p := range text {
					got := all[[2]int{i, p}]
					if !slices.Equal(got, same[[2]int{i, p}]) {
						t.Fatalf("%v: text %d, position %d: other texts change its scores", cache, i, p)
					}
					gpttest.CheckNear(t, fmt.Sprintf("%v: text %d, position %d", cache, i, p), got, alone[[2]int{0, p}], tolerance)
				}
			}
		}
	})
}

// TestEvaluatorInChunks holds scores of texts that are read in several chunks to
// those of one. Chunks may end anywhere, and the first position asked for may
// lie in any of them.
func TestEvaluatorInChunks(t *testing.T) {
	_, m := tiny(t)
	text := sequence(13, m.Vocab)
	scores := func(chunk, from int) (all [][]float32) {
		e, err := gpt.NewEvaluatorInChunks(m, gpt.EvaluatorOptions{}, chunk)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Scores(t.Context(), [][]int{text}, from, func(_, _ int, scores []float32) error {
			all = append(all, slices.Clone(scores))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := scores(512, 0)
	for _, chunk := range []int{1, 4, 5, 12, 13} {
		for _, from := range []int{0, 3, 4, 9, 12, 13} {
			got := scores(chunk, from)
			if len(got) != len(text)-from {
				t.Fatalf("chunks of %d from %d: %d positions, expected %d", chunk, from, len(got), len(text)-from)
			}
			for i, s := range got {
				gpttest.CheckNear(t, fmt.Sprintf("chunks of %d, position %d", chunk, from+i), s, want[from+i], 5e-6)
			}
		}
	}
}

// TestEvaluatorLong scores a text that is longer than a chunk, and than the
// positions whose scores are computed at once, and holds those on either side
// of each end to a Session's.
func TestEvaluatorLong(t *testing.T) {
	m := long(t, gpttest.OpenCPU(t))
	text := sequence(600, m.Vocab)
	e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, from := range []int{0, 60, 130, 520} {
		next := from
		err := e.Scores(t.Context(), [][]int{text}, from, func(_, i int, scores []float32) error {
			if i != next {
				t.Fatalf("from %d: position %d, expected %d", from, i, next)
			}
			next++
			switch i - from {
			case 0, 1, 62, 63, 64, 65, 127, 128, 510 - from, 511 - from, 512 - from, 513 - from, 575 - from, 576 - from, 599 - from:
				gpttest.CheckNear(t, fmt.Sprintf("from %d, position %d", from, i), scores, gpttest.Feed(t, m, text[:i+1]...), 5e-6)
			}
			return nil
		})
		if err != nil || next != len(text) {
			t.Errorf("from %d: visited positions up to %d of %d, %v", from, next, len(text), err)
		}
	}
}

func TestEvaluatorErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
	before := b.InUse()
	for _, window := range []int{-1, m.Context + 1} {
		_, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: window})
		gpttest.WantError(t, err, "1 to 64")
	}
	for _, o := range []gpt.EvaluatorOptions{{Texts: -1}, {Rows: -1}} {
		_, err := gpt.NewEvaluator(m, o)
		gpttest.WantError(t, err, "expected 1 or more")
	}
	e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: 8, Texts: 3})
	if err != nil {
		t.Fatal(err)
	}
	none := func(int, int, []float32) error { return nil }
	two := []int{1, 2}
	gpttest.WantError(t, e.Scores(t.Context(), [][]int{two, make([]int, 9)}, 0, none), "text 1: 9 tokens do not fit a window of 8")
	gpttest.WantError(t, e.Scores(t.Context(), [][]int{two, two, {1, m.Vocab}}, 0, none), "token 1 of text 2 is 257")
	gpttest.WantError(t, e.Scores(t.Context(), make([][]int, 4), 0, none), "4 texts at once: this evaluator reads up to 3")
	if err := e.Scores(t.Context(), nil, 0, none); err != nil {
		t.Errorf("no texts: %v", err)
	}
	stop := errors.New("enough")
	if err := e.Scores(t.Context(), [][]int{two}, 0, func(int, int, []float32) error { return stop }); err != stop {
		t.Errorf("the visitor's error came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Scores(ctx, [][]int{two}, 0, none); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
	e.Close()
	if n := b.InUse(); n != before {
		t.Errorf("%d buffers are left behind", n-before)
	}
}

func TestEvaluatorWithoutMemory(t *testing.T) {
	b := gpttest.FullAfter(gpttest.OpenCPU(t), 0)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32) // mapped
	before := b.InUse()
	for left := range 6 { // inputs, the caches of three blocks, results of two programs
		b.Left = left
		if _, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: 8}); !errors.Is(err, backend.ErrOutOfMemory) {
			t.Errorf("with memory for %d buffers: %v", left, err)
		}
		if n := b.InUse(); n != before {
			t.Errorf("with memory for %d buffers, %d are left behind", left, n-before)
		}
	}
}
