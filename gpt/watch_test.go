package gpt_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// TestWatch reads a text in two steps while it watches values, and expects what
// PyTorch has. A session that watches nothing runs the ops that it would run anyway.
func TestWatch(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, name := range []string{"gpt2-tiny", "llama-grouped"} {
		t.Run(name, func(t *testing.T) {
			dir := "testdata/" + name
			m, want := gpttest.Load(t, b, dir, backend.F32), gpttest.Expected(t, dir)
			s, err := gpt.NewSession(m, gpt.SessionOptions{Watch: []string{"hidden.*", "blocks.*.attention.probs"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.Seen("hidden.0"); !got.Absent() || len(s.Watched()) > 0 || s.Writers("hidden.0") != nil {
				t.Error("something was seen before the first step")
			}
			time := want.Shape("input_ids")[1]
			var ids []int
			for _, id := range want.Ints(t, "input_ids")[:time] {
				ids = append(ids, int(id))
			}
			const first = 5
			for _, r := range [][2]int{{0, first}, {first, time}} {
				if _, err := s.Feed(context.Background(), ids[r[0]:r[1]]...); err != nil {
					t.Fatal(err)
				}
				for _, value := range s.Watched() {
					ref := value
					if value == "hidden.final" {
						continue // of the last token only
					}
					if strings.HasSuffix(value, ".probs") {
						var block int
						fmt.Sscanf(value, "blocks.%d", &block)
						ref = fmt.Sprintf("attn.%d", block)
					}
					checkSeen(t, b, s.Seen(value).Slice(-2, 0, r[1]-r[0]), want.Shape(ref), want.Floats(t, ref), r[0], value)
				}
			}
			if len(s.Watched()) != 2*m.Layers+2 {
				t.Errorf("it watched %v", s.Watched())
			}

			s.Watch("hidden.1", "blocks.0.nothing")
			if _, err := s.Feed(context.Background(), 1); err == nil || !strings.Contains(err.Error(), `"blocks.0.nothing"`) {
				t.Errorf("a name that the model does not have: %v", err)
			}
			s.Watch("[")
			if _, err := s.Feed(context.Background(), 1); err == nil || !strings.Contains(err.Error(), `"["`) {
				t.Errorf("a pattern that is none: %v", err)
			}
			s.Watch()
			if _, err := s.Feed(context.Background(), 1); err != nil || len(s.Watched()) > 0 {
				t.Errorf("watching nothing: %v, %v", s.Watched(), err)
			}
		})
	}
}

// checkSeen compares rows of the first sequence, from row on, with the reference.
func checkSeen(t *testing.T, b backend.Backend, got backend.Tensor, shape []int, want []float32, from int, name string) {
	t.Helper()
	rows, width := got.Dim(-2), shape[len(shape)-1]
	values := gpttest.Floats(t, b, gpttest.Compact(t, b, got.Slice(-1, 0, width)))
	var expect []float32
	time := shape[len(shape)-2]
	for h := range got.Dim(1) {
		expect = append(expect, want[(h*time+from)*width:][:rows*width]...)
	}
	gpttest.CheckNear(t, name, values, expect, tolerances[backend.F32])
}

// TestEdit switches all heads of a block off, and expects what its bias alone adds.
func TestEdit(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
	zeros, err := backend.New(b, backend.F32, 1, 1, m.Width)
	if err != nil {
		t.Fatal(err)
	}
	defer zeros.Buf.Free()
	s, err := gpt.NewSession(m, gpt.SessionOptions{
		Watch: []string{"blocks.1.attention.output"},
		Edit: func(_ *nn.Tape, name string, x backend.Tensor) backend.Tensor {
			if name == "blocks.1.attention.heads" && x.Dim(-2) == 1 {
				return zeros
			}
			return x
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Feed(context.Background(), 7); err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Weights() {
		if w.Of == model.Output && w.Name(model.HuggingFace) == "h.1.attn.c_proj.bias" {
			got, bias := gpttest.Floats(t, b, s.Seen("blocks.1.attention.output")), gpttest.Floats(t, b, *w.Tensor)
			if !slices.Equal(got, bias) {
				t.Errorf("without heads attention adds %v, expected its bias %v", got, bias)
			}
			return
		}
	}
	t.Error("no bias was found")
}

// TestWatchMemory watches many sets of names, one after the other: steps that are not
// used any more are closed.
func TestWatchMemory(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
	s, err := gpt.NewSession(m, gpt.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := b.InUse()
	defer gpt.SetMaxWatching(1 << 10)()
	for i := range 6 {
		s.Watch(fmt.Sprintf("hidden.%d", i%3))
		if _, err := s.Feed(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.InUse() - before; n > 2 {
		t.Errorf("%d steps are kept, expected the last two at most", n)
	}
}
