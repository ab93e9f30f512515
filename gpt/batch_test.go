package gpt_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// life is what a test did to a sequence of a batch.
type life struct {
	*gpt.Sequence
	prompt int // tokens that it began with, or the one that it is a fork of did
	drawn  int // tokens before those that it drew itself
	got    []int
	end    gpt.End
}

// TestBatch admits, forks and ends sequences at random, and expects of each the greedy
// text that it has alone, in a session on the CPU.
func TestBatch(t *testing.T) {
	gpt.DrawAnywhere(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		steps := 1000
		if b.Name() != "cpu" {
			steps = 100 // software drivers take their time
		}
		for _, c := range []struct {
			dir                  string
			block, blocks, chunk int
			steps                int
		}{
			{"gpt2-tiny", 16, 24, 8, steps},
			{"gpt2-tiny", 1, 0, 512, max(steps/10, 60)},
			{"llama-grouped", 64, 0, 128, max(steps/10, 60)},
		} {
			t.Run(fmt.Sprintf("%s,block=%d", c.dir, c.block), func(t *testing.T) {
				m := gpttest.Load(t, b, "testdata/"+c.dir, backend.F32)
				batch, err := gpt.NewBatch(m, gpt.BatchOptions{Sequences: 16, Context: 40, Block: c.block, Blocks: c.blocks, Chunk: c.chunk})
				if err != nil {
					t.Fatal(err)
				}
				defer batch.Close()
				lives, err := liveAtRandom(t, batch, c.steps, func() {})
				if err != nil {
					t.Fatal(err)
				}
				ties, drawn := 0, 0
				alone := gpttest.Load(t, gpttest.OpenCPU(t), "testdata/"+c.dir, backend.F32)
				for _, l := range lives {
					n, err := checkAlone(t, alone, 40, l)
					if err != nil {
						t.Fatal(err)
					}
					ties, drawn = ties+n, drawn+len(l.got)
				}
				if t.Logf("%d sequences, %d tokens, %d near ties", len(lives), drawn, ties); ties > drawn/1000+1 {
					t.Errorf("%d of %d tokens are not the likeliest, if only just", ties, drawn)
				}
			})
		}
	})
}

// liveAtRandom makes so many steps, and then ends all sequences. It calls before ahead of
// each step.
func liveAtRandom(t *testing.T, batch *gpt.Batch, steps int, before func()) (lives []*life, err error) {
	r := rand.New(rand.NewPCG(1, 2))
	of := map[*gpt.Sequence]*life{}
	add := func(s *gpt.Sequence, prompt int, err error) {
		var full *gpt.FullError
		if errors.As(err, &full) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		l := &life{Sequence: s, prompt: prompt, drawn: len(s.Tokens())}
		of[s] = l
		lives = append(lives, l)
	}
	full, slid := 0, 0
	for range steps {
		for range r.IntN(3) {
			live := batch.Live()
			o := gpt.Options{Predict: 1 + r.IntN(60), IgnoreEOS: r.IntN(2) > 0, Vocab: 100}
			switch n := r.IntN(6); {
			case n < 3:
				prompt := make([]int, 1+r.IntN(40))
				for i := range prompt {
					prompt[i] = r.IntN(100)
				}
				s, err := batch.Admit(prompt, o)
				if err != nil {
					full++
				}
				add(s, len(prompt), err)
			case n < 5 && len(live) > 0:
				s := live[r.IntN(len(live))]
				f, err := s.Fork(o)
				add(f, of[s].prompt, err)
			case len(live) > 0:
				live[r.IntN(len(live))].End()
			}
		}
		before()
		events, err := batch.Step(t.Context())
		if err != nil {
			return lives, err
		}
		for _, e := range events {
			l := of[e.Sequence]
			if l.end != gpt.Running {
				return lives, errors.New("a sequence that had ended got an event")
			}
			if l.end = e.End; e.Token != nil {
				l.got = append(l.got, e.Token.ID)
				if e.Token.Slid {
					slid++
				}
			}
			if e.Err != nil {
				return lives, e.Err
			}
		}
		if mem := batch.Memory(); mem.Used > mem.Reserved || mem.Reserved > mem.Blocks || mem.WindowUsed > mem.WindowBlocks {
			return lives, fmt.Errorf("%d blocks are used, %d reserved, of %d; %d of %d of layers with a window", mem.Used, mem.Reserved, mem.Blocks, mem.WindowUsed, mem.WindowBlocks)
		}
	}
	if slid == 0 && steps >= 100 || full == 0 && steps >= 1000 {
		return lives, fmt.Errorf("%d contexts slid, and a sequence found no room %d times: expected some", slid, full)
	}
	for _, s := range batch.Live() {
		s.End()
	}
	if mem := batch.Memory(); mem.Used != 0 || mem.Reserved != 0 || mem.WindowUsed != 0 {
		return lives, fmt.Errorf("with no sequence left %d blocks are used, %d reserved, %d used of layers with a window", mem.Used, mem.Reserved, mem.WindowUsed)
	}
	return lives, nil
}

// checkAlone reads a sequence's tokens in a session of m, on the CPU. It returns how many of
// those that were drawn are not the likeliest, by a hair, and an error if it is more.
func checkAlone(t *testing.T, m *model.Model, size int, l *life) (ties int, err error) {
	t.Helper()
	s := gpttest.NewSession(t, m, size)
	defer s.Close()
	tokens := l.Tokens()
	if want := append(slices.Clone(tokens[:l.drawn]), l.got...); !slices.Equal(tokens, want) {
		return 0, fmt.Errorf("the sequence has %v, expected %v", tokens, want)
	}
	scores, err := s.Feed(t.Context(), tokens[:l.prompt]...)
	for i := l.prompt; i < len(tokens) && err == nil; i++ {
		if i >= l.drawn {
			switch d := slices.Max(scores[:100]) - scores[tokens[i]]; {
			case d > 1e-4:
				return ties, fmt.Errorf("token %d is %d, %v below the likeliest one", i, tokens[i], d)
			case d > 0:
				ties++
			}
		}
		if s.Len() == s.Size() {
			if _, err := s.Slide(t.Context()); err != nil {
				return ties, err
			}
		}
		scores, err = s.Feed(t.Context(), tokens[i])
	}
	return ties, err
}

// TestBatchMutants breaks what a batch knows of its blocks, before each step, and expects
// that the test above finds it, or that the batch refuses the step.
func TestBatchMutants(t *testing.T) {
	_, m := tiny(t)
	alone := gpttest.Load(t, gpttest.OpenCPU(t), "testdata/gpt2-tiny", backend.F32)
	for _, c := range []struct {
		what  string
		spoil func(*gpt.Batch)
	}{
		{"counts of users are forgotten", (*gpt.Batch).ForgetUsers},
		{"rows of the table are shifted", (*gpt.Batch).ShiftTable},
		{"a fork does not copy", (*gpt.Batch).SkipCopies},
		{"a block is given back too early", (*gpt.Batch).ReleaseOne},
	} {
		batch := newBatch(t, m, gpt.BatchOptions{Sequences: 16, Context: 40, Block: 4, Chunk: 8})
		lives, err := liveAtRandom(t, batch, 100, func() { c.spoil(batch) })
		for _, l := range lives {
			if err == nil {
				_, err = checkAlone(t, alone, 40, l)
			}
		}
		if t.Logf("%s: %v", c.what, err); err == nil {
			t.Errorf("%s, and nothing was found", c.what)
		}
	}
}
