package gpt_test

import (
	"errors"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// endless is for a sequence that goes on until it is ended.
var endless = gpt.Options{Predict: -1, IgnoreEOS: true}

func step(t *testing.T, b *gpt.Batch) []gpt.Event {
	t.Helper()
	events, err := b.Step(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestBatchReserved expects that what is reserved becomes more only where a sequence is
// admitted: what was told to others stays true.
func TestBatchReserved(t *testing.T) {
	_, m := tiny(t)
	prompt := sequence(32, 250) // four blocks of eight
	want := func(b *gpt.Batch, what string, n int) {
		t.Helper()
		if mem := b.Memory(); mem.Reserved != n {
			t.Errorf("%s: %d blocks are reserved, expected %d", what, mem.Reserved, n)
		}
	}
	one := gpt.Options{Predict: 1}

	b := newBatch(t, m, gpt.BatchOptions{Sequences: 8, Block: 8, Blocks: 12})
	reader := admit(t, b, prompt, one)
	slides := fork(t, reader, endless)
	for range 4 {
		fork(t, reader, one)
	}
	want(b, "five that share a prompt, and one whose context becomes full", 4+8)
	reader.End()
	want(b, "the one whose context becomes full reads for four", 8+4)
	var full *gpt.FullError
	if _, err := b.Admit(prompt, one); !errors.As(err, &full) || full.Need != 4 || full.Free != 0 {
		t.Errorf("one more gave %v", err)
	}
	step(t, b)
	want(b, "the prompt is read", 8)
	slides.End()
	want(b, "nobody is left", 0)

	// A prompt that is read but for its last token, which fills a block.
	b = newBatch(t, m, gpt.BatchOptions{Sequences: 16, Block: 8, Chunk: 31})
	first := admit(t, b, []int{1}, endless)
	reader = admit(t, b, prompt, gpt.Options{Predict: 9, IgnoreEOS: true})
	for range 4 {
		fork(t, reader, gpt.Options{Predict: 9, IgnoreEOS: true})
	}
	for range 3 {
		want(b, "five with a block of their own", 8+4+5)
		step(t, b)
	}
	// Forks of one whose context becomes full share as well, until then.
	for range 3 {
		fork(t, first, one)
	}
	want(b, "three more, with a copy each", 8+4+5+3)
	for range 12 {
		step(t, b)
	}
	first, _ = b.Live()[0], fork(t, b.Live()[0], one)
	fork(t, first, one)
	want(b, "two forks of 15 tokens", 8+1+2)
}

// TestBatchTurns expects that everyone who reads gets a turn, however slow that is.
func TestBatchTurns(t *testing.T) {
	_, m := tiny(t)
	b := newBatch(t, m, gpt.BatchOptions{Sequences: 4, Chunk: 1})
	for range 4 { // contexts that become full again and again
		admit(t, b, sequence(20, 250), endless)
	}
	var before []int
	for range 3 {
		for range 300 {
			step(t, b)
		}
		var now []int
		for _, s := range b.Live() {
			now = append(now, s.Generated())
		}
		for i := range before {
			if now[i]-before[i] < 30 {
				t.Errorf("within 300 steps sequence %d goes from %d to %d tokens", i, before[i], now[i])
			}
		}
		before = now
	}

	// A prompt that finds no place beside 64 tokens, while longer ones keep coming.
	b = newBatch(t, m, gpt.BatchOptions{Sequences: 80, Chunk: 16})
	for i := range 64 {
		admit(t, b, []int{i}, gpt.Options{Predict: 40, IgnoreEOS: true})
	}
	step(t, b)
	short := admit(t, b, sequence(3, 250), endless)
	for range 3 {
		admit(t, b, sequence(50, 250), endless)
	}
	if step(t, b); short.Generated() != 1 {
		t.Error("a short prompt that came first waits for long ones")
	}
	// Beside 65 there are places for 63 more, which are computed anyway.
	for len(b.Live()) > 65 {
		b.Live()[65].End()
	}
	var beside []*gpt.Sequence
	for range 6 {
		beside = append(beside, admit(t, b, sequence(2, 250), endless))
	}
	step(t, b)
	for i, s := range beside {
		if s.Generated() != 1 {
			t.Errorf("short prompt %d was not read in a step that had room for it", i)
		}
	}
}

// TestBatchFaults lets each second step fail, and expects the same tokens.
func TestBatchFaults(t *testing.T) {
	a, m := tiny(t)
	run := func(faults bool) (all [][]int) {
		b := newBatch(t, m, gpt.BatchOptions{Sequences: 4, Context: 24, Block: 4, Chunk: 5})
		s := admit(t, b, sequence(21, 250), gpt.Options{Predict: 30, IgnoreEOS: true})
		live := []*gpt.Sequence{s, fork(t, s, gpt.Options{Predict: 9, Sampling: gpt.Sampling{Temperature: 1, Seed: 1}, IgnoreEOS: true})}
		live = append(live, admit(t, b, []int{7}, gpt.Options{Predict: 40, IgnoreEOS: true}))
		for len(b.Live()) > 0 {
			if faults {
				a.Err = errors.New("busy")
				if events, err := b.Step(t.Context()); !errors.Is(err, a.Err) || len(events) > 0 {
					t.Fatalf("a step that fails gave %v, %v", events, err)
				}
				if mem := b.Memory(); mem.Used > mem.Reserved {
					t.Errorf("%d blocks are used, %d reserved", mem.Used, mem.Reserved)
				}
				a.Err = nil
			}
			step(t, b)
		}
		for _, s := range live {
			all = append(all, s.Tokens())
		}
		return all
	}
	want, got := run(false), run(true)
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("sequence %d: %v, without faults %v", i, got[i], want[i])
		}
	}

	// A fork whose copy fails is not there, and the next one is.
	b := newBatch(t, m, gpt.BatchOptions{Sequences: 4, Block: 4})
	s := admit(t, b, sequence(6, 250), endless)
	step(t, b)
	a.Err = errors.New("lost")
	if _, err := s.Fork(endless); !errors.Is(err, a.Err) || len(b.Live()) != 1 || b.Memory().Used != 2 {
		t.Errorf("a fork that could not be copied gave %v, and %+v", err, b.Memory())
	}
	a.Err = nil
	fork(t, s, endless)
	step(t, b)
}

// TestBatchMemoryShort gives back the memory of other steps before it fails.
func TestBatchMemoryShort(t *testing.T) {
	n := &null.Backend{As: gpttest.OpenCPU(t)}
	config := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 64, Inner: 256, Context: 256, Vocab: 500, Epsilon: 1e-5, TieEmbeddings: true}
	m, err := gpt.Random(t.Context(), n, config, gpt.LoadOptions{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch(t, m, gpt.BatchOptions{Sequences: 40})
	use := func() int64 { used, _, _ := n.Memory(); return used }
	empty := use()
	short := func(long int) {
		for range 20 { // a step for 32 tokens, and perhaps a chunk
			admit(t, b, []int{1}, gpt.Options{Predict: 1, IgnoreEOS: true})
		}
		if long > 0 {
			admit(t, b, make([]int, long), gpt.Options{Predict: 1, IgnoreEOS: true})
		}
	}
	short(128)
	step(t, b)
	n.Limit = use() // enough for that step, and no more
	short(0)
	if step(t, b); use() >= n.Limit {
		t.Errorf("%d bytes are used, as many as before", use())
	}
	n.Limit = empty + 1
	admit(t, b, make([]int, 90), gpt.Options{Predict: 1, IgnoreEOS: true})
	if _, err := b.Step(t.Context()); !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("no memory at all gave %v", err)
	}
	n.Limit = 0
	step(t, b) // 64 of the 90 tokens
	if events := step(t, b); len(events) != 1 || events[0].End != gpt.Limit {
		t.Errorf("with memory again it gave %+v", events)
	}
}

// TestBatchRunLeft leaves a loop after each event, and misses none.
func TestBatchRunLeft(t *testing.T) {
	_, m := tiny(t)
	b := newBatch(t, m, gpt.BatchOptions{Sequences: 3})
	var all []*gpt.Sequence
	for i := range 3 {
		all = append(all, admit(t, b, []int{i}, gpt.Options{Predict: 4, IgnoreEOS: true}))
	}
	got, ends := map[*gpt.Sequence]int{}, 0
	for range 12 {
		for e, err := range b.Run(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got[e.Sequence]++; e.End == gpt.Limit {
				ends++
			}
			break
		}
	}
	for i, s := range all {
		if got[s] != 4 {
			t.Errorf("sequence %d gave %d events, expected 4", i, got[s])
		}
	}
	if ends != 3 {
		t.Errorf("%d ends, expected 3", ends)
	}
	for e, err := range b.Run(t.Context()) {
		t.Errorf("%+v, %v of no sequence", e, err)
	}
	b.Close()
	_, err := b.Admit([]int{1}, endless)
	gpttest.WantError(t, err, "closed")
	_, err = b.Step(t.Context())
	gpttest.WantError(t, err, "closed")
}
