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

// TestEvaluator holds the scores of every position to PyTorch's logits.
func TestEvaluator(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			dir := "testdata/" + name
			m := gpttest.Load(t, b, dir, backend.F32)
			want := gpttest.Expected(t, dir)
			ids, logits := want.Ints(t, "input_ids"), want.Floats(t, "logits")
			time := want.Shape("input_ids")[1]
			e, err := gpt.NewEvaluator(m, m.Context, backend.None)
			if err != nil {
				t.Fatal(err)
			}
			for batch := range want.Shape("input_ids")[0] {
				text := make([]int, time)
				for i := range text {
					text[i] = int(ids[batch*time+i])
				}
				from := batch * time / 3 // a part of the second text
				next := from
				err := e.Scores(t.Context(), text, from, func(i int, scores []float32) error {
					if i != next {
						t.Errorf("position %d, expected %d", i, next)
					}
					next++
					at := (batch*time + i) * m.Vocab
					gpttest.CheckNear(t, name, scores, logits[at:at+m.Vocab], 1e-5)
					return nil
				})
				if err != nil || next != time {
					t.Errorf("%s: visited positions up to %d of %d, %v", name, next, time, err)
				}
			}
			e.Close()
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
		e, err := gpt.NewEvaluatorInChunks(m, m.Context, chunk)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Scores(t.Context(), text, from, func(_ int, scores []float32) error {
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
	e, err := gpt.NewEvaluator(m, m.Context, backend.None)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, from := range []int{0, 60, 130, 520} {
		next := from
		err := e.Scores(t.Context(), text, from, func(i int, scores []float32) error {
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
	for _, window := range []int{0, -1, m.Context + 1} {
		_, err := gpt.NewEvaluator(m, window, backend.None)
		gpttest.WantError(t, err, "1 to 64")
	}
	e, err := gpt.NewEvaluator(m, 8, backend.None)
	if err != nil {
		t.Fatal(err)
	}
	none := func(int, []float32) error { return nil }
	gpttest.WantError(t, e.Scores(t.Context(), make([]int, 9), 0, none), "9 tokens do not fit a window of 8")
	gpttest.WantError(t, e.Scores(t.Context(), []int{1, m.Vocab}, 0, none), "token 1 of the text is 257")
	stop := errors.New("enough")
	if err := e.Scores(t.Context(), []int{1, 2}, 0, func(int, []float32) error { return stop }); err != stop {
		t.Errorf("the visitor's error came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Scores(ctx, []int{1, 2}, 0, none); !errors.Is(err, context.Canceled) {
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
		if _, err := gpt.NewEvaluator(m, 8, backend.None); !errors.Is(err, backend.ErrOutOfMemory) {
			t.Errorf("with memory for %d buffers: %v", left, err)
		}
		if n := b.InUse(); n != before {
			t.Errorf("with memory for %d buffers, %d are left behind", left, n-before)
		}
	}
}
