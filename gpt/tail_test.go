package gpt_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestTailFamilies holds generation to PyTorch's where layers with a window keep the latest
// positions alone, so few that their caches move several times within a text.
func TestTailFamilies(t *testing.T) {
	gpt.SetTailStep(t, 4)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range []string{"mistral", "gemma2", "gemma3", "gemma3-layers", "olmo3", "phi3", "qwen2-window", "smollm3-window", "gpt-oss"} {
			want := gpttest.Expected(t, "testdata/"+name)
			time, greedy := want.Shape("input_ids")[1], numbers(want.Ints(t, "greedy"))
			m := gpttest.Load(t, b, "testdata/"+name, backend.F32)
			m.EOS = nil // the reference goes on after it
			s := newSession(t, m, gpt.SessionOptions{})
			got := slices.Clone(greedy[:time])
			for token, err := range s.Generate(t.Context(), greedy[:time], gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: len(greedy) - time}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, token.ID)
			}
			if !slices.Equal(got, greedy) {
				t.Errorf("%s: after %d tokens:\ngot  %v\nwant %v", name, time, got[time:], greedy[time:])
			}
			if start, rows := s.TailStart(); start < 12 || rows == 0 {
				t.Errorf("%s: caches of %d rows begin at position %d, expected them to have moved three times or more", name, rows, start)
			}
		}
	})
}

func newSession(t *testing.T, m *model.Model, o gpt.SessionOptions) *gpt.Session {
	t.Helper()
	s, err := gpt.NewSession(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// windowed is a model with layers of both kinds, whose window is w.
func windowed(t *testing.T, b backend.Backend, w int) *model.Model {
	t.Helper()
	c := gpttest.FamilyShapes()["gemma3"]
	s := *c.Settings.(*model.DecoderSettings)
	s.Window, s.Period = w, 2
	c.Layers, c.Context, c.Vocab, c.Settings = 3, 4096, 200, &s
	c.BOS, c.EOS = nil, nil
	m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestTailScores holds the scores of such a session to those of one that keeps all: on the CPU
// to the bit, for rows lie as far from what keys are divided by. It goes back, too.
func TestTailScores(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, d := range []backend.DType{backend.F32, backend.F16} {
			m := windowed(t, b, 100)
			tail, whole := newSession(t, m, gpt.SessionOptions{Cache: d}), newSession(t, m, gpt.SessionOptions{Cache: d, Whole: true})
			text := sequence(2800, 200)
			exact := b.Name() == "cpu"
			check := func(name string) {
				t.Helper()
				at := tail.Len()
				got, err := tail.Feed(t.Context(), text[at:at+1]...)
				if err != nil {
					t.Fatal(err)
				}
				rest := whole.Resume(text[:at+1])
				want, err := whole.Feed(t.Context(), rest...)
				if err != nil {
					t.Fatal(err)
				}
				if exact && !slices.Equal(got, want) {
					t.Errorf("%s, %v keys: other scores than with all positions", name, d)
				}
				gpttest.CheckNear(t, name, got, want, 2e-5)
			}
			for _, n := range []int{1, 600, 511, 1, 700, 13} {
				if _, err := tail.Feed(t.Context(), text[tail.Len():][:n]...); err != nil {
					t.Fatal(err)
				}
				check(fmt.Sprintf("after %d tokens", tail.Len()))
			}
			start, rows := tail.TailStart()
			if start != 1024 || rows != 99+1024 {
				t.Errorf("caches of %d rows begin at position %d, expected 1123 at 1024", rows, start)
			}
			for _, back := range []int{0, 1, 512, 700, 900} {
				start, _ := tail.TailStart()
				length := tail.Len()
				at := length - back
				rest := tail.Resume(text[:at])
				if gone := at-1 < start+99; gone != (len(rest) == at) || !gone && len(rest) != 1 || gone != (back == 900) {
					t.Errorf("%d tokens back to %d, with rows from position %d on: %d are read again", back, at, start, len(rest))
				}
				if _, err := tail.Feed(t.Context(), rest...); err != nil {
					t.Fatal(err)
				}
				check(fmt.Sprintf("%d tokens back", back))
				if n := tail.Len(); n < length {
					if _, err := tail.Feed(t.Context(), text[n:length]...); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

// TestTailGenerates expects the same text of sessions that keep the latest positions and all,
// drawn by the host, by the device a step ahead, and with guesses; also over full contexts.
func TestTailGenerates(t *testing.T) {
	gpt.SetTailStep(t, 32)
	gpt.DrawAnywhere(t)
	gpt.PaceByRule(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := windowed(t, b, 20)
		for _, drafter := range []gpt.Drafter{nil, &gpt.NGrams{}} {
			for _, logProbs := range []int{0, 1} {
				var texts [2][]int
				for i, o := range []gpt.SessionOptions{{Context: 200}, {Context: 200, Whole: true}} {
					s := newSession(t, m, o)
					for token, err := range s.Generate(t.Context(), sequence(50, 200), gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: 400, LogProbs: logProbs, Drafter: drafter}) {
						if err != nil {
							t.Fatal(err)
						}
						texts[i] = append(texts[i], token.ID)
					}
					if _, rows := s.TailStart(); (rows > 0) == o.Whole {
						t.Fatalf("%+v: caches of %d rows", o, rows)
					}
				}
				if !slices.Equal(texts[0], texts[1]) || len(texts[0]) != 400 {
					t.Errorf("drafter %T, %d log-probabilities: other tokens than with all positions:\n%v\n%v", drafter, logProbs, texts[0], texts[1])
				}
			}
		}
	})
}

// TestTailMemory: what is worked out is what is taken, and a context that is advised fits.
func TestTailMemory(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := windowed(t, b, 100)
	c := m.Config
	taken := func(o gpt.SessionOptions) int {
		before := b.Bytes()
		s := newSession(t, m, o)
		defer s.Close()
		return b.Bytes() - before
	}
	row := 4 * c.CacheWidth()
	if saved, want := taken(gpt.SessionOptions{Whole: true})-taken(gpt.SessionOptions{}), 2*(4096-1123)*row; saved != want { // two of three layers
		t.Errorf("%d bytes less, expected %d", saved, want)
	}
	for _, size := range []int{100, 1123} { // no row would be saved
		if all, tail := taken(gpt.SessionOptions{Context: size, Whole: true}), taken(gpt.SessionOptions{Context: size}); all != tail {
			t.Errorf("a context of %d: %d bytes, and %d with all positions", size, tail, all)
		}
	}
	load := func(free int64, context int) error {
		o := gpt.LoadOptions{For: &gpt.Use{Context: context, Cache: backend.F32}}
		m, err := gpt.Random(t.Context(), &crowded{gpttest.AccountOf(b), free, 1 << 30}, c, o, 1)
		if err == nil {
			m.Close()
		}
		return err
	}
	var e *gpt.MemoryError
	if !errors.As(load(1, 0), &e) {
		t.Fatal("it fits into one byte")
	}
	if want := int64((4096 + 2*1123) * row); e.Need.Cache != want {
		t.Errorf("keys and values of %d bytes were worked out, expected %d", e.Need.Cache, want)
	}
	for _, spare := range []int64{int64(3 * 900 * row), int64((2000 + 2*1123) * row)} {
		free := e.Need.Total() - e.Need.Cache + spare
		var advised *gpt.MemoryError
		if err := load(free, 0); !errors.As(err, &advised) || advised.Context == 0 {
			t.Fatalf("%v", err)
		}
		if want := map[bool]int{true: 900, false: 2000}[spare == int64(3*900*row)]; advised.Context != want {
			t.Errorf("a context of %d is advised, expected %d", advised.Context, want)
		}
		if err := load(free, advised.Context); err != nil {
			t.Errorf("the context that was advised: %v", err)
		}
		if load(free, advised.Context+1) == nil {
			t.Error("a larger context than was advised fits")
		}
	}
}

// TestTailWatched refuses a map of attention whose columns would not be positions.
func TestTailWatched(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := windowed(t, b, 100)
	s := newSession(t, m, gpt.SessionOptions{})
	for _, c := range []struct {
		layer int
		fits  bool
	}{{0, false}, {1, true}, {2, false}} {
		s.Watch(fmt.Sprintf("blocks.%d.attention.probs", c.layer))
		switch _, err := s.Feed(t.Context(), 1); {
		case c.fits && err != nil:
			t.Error(err)
		case !c.fits:
			gpttest.WantError(t, err, "latest positions", "SessionOptions.Whole")
		}
	}
	whole := newSession(t, m, gpt.SessionOptions{Whole: true})
	whole.Watch("blocks.0.attention.probs")
	if _, err := whole.Feed(t.Context(), 1); err != nil || whole.Seen("blocks.0.attention.probs").Dim(-1) != 4096 {
		t.Errorf("%v", err)
	}
}
