package gpt_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// tiny is gpt2-tiny on the CPU: a context of 64, a vocabulary of 257.
func tiny(t *testing.T) (*gpttest.Account, *model.Model) {
	t.Helper()
	b := gpttest.OpenCPU(t)
	return b, gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
}

func TestSessionSizes(t *testing.T) {
	b, m := tiny(t)
	before := b.InUse()
	for _, c := range []struct{ size, want int }{{0, 64}, {1, 1}, {5, 5}, {64, 64}} {
		s := gpttest.NewSession(t, m, c.size)
		if s.Size() != c.want || s.Len() != 0 {
			t.Errorf("NewSession(%d) has room for %d tokens and holds %d, expected %d and 0", c.size, s.Size(), s.Len(), c.want)
		}
		ids := make([]int, c.want)
		if _, err := s.Feed(context.Background(), ids...); err != nil {
			t.Errorf("filling a session of %d: %v", c.want, err)
		}
		_, err := s.Feed(context.Background(), 0)
		gpttest.WantError(t, err, "1 tokens after", "do not fit the context")
		s.Close()
		s.Close()
		if n := b.InUse(); n != before {
			t.Errorf("a closed session of %d left %d buffers", c.want, n-before)
		}
	}
	for _, size := range []int{-1, 65, 1 << 40} {
		_, err := gpt.NewSession(m, gpt.SessionOptions{Context: size})
		gpttest.WantError(t, err, "context size", "1 to 64 positions")
	}
}

func TestFeedErrors(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 10)
	defer s.Close()
	ctx := context.Background()
	want := gpttest.Feed(t, m, 1, 2, 3)
	if _, err := s.Feed(ctx, 1, 2); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ids   []int
		parts []string
	}{
		{nil, []string{"no tokens to feed"}},
		{make([]int, 9), []string{"9 tokens after 2", "context of 10"}},
		{[]int{5, -1}, []string{"token 1 of the input is -1", "0 to 256"}},
		{[]int{257}, []string{"token 0 of the input is 257", "0 to 256"}},
		{[]int{1 << 40}, []string{"0 to 256"}}, // 0, in 32 bits
	} {
		_, err := s.Feed(ctx, c.ids...)
		gpttest.WantError(t, err, c.parts...)
		if s.Len() != 2 {
			t.Fatalf("after %v the session holds %d tokens, expected the 2 from before", err, s.Len())
		}
	}
	got, err := s.Feed(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	gpttest.CheckNear(t, "scores after errors", got, want, 5e-6)
}

func TestReset(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	want := gpttest.Feed(t, m, 9, 8, 7)
	for _, ids := range [][]int{{1, 2, 3, 4, 5, 6}, {7}} {
		if _, err := s.Feed(context.Background(), ids...); err != nil {
			t.Fatal(err)
		}
		s.Reset()
		if s.Len() != 0 {
			t.Errorf("after Reset the session holds %d tokens", s.Len())
		}
		got, err := s.Feed(context.Background(), 9, 8, 7)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %v and Reset the scores differ from those of a new session", ids)
		}
		s.Reset()
	}
}

// TestResetForgetsHistory generates after Reset with a penalty on all tokens
// before: none of the first text must count.
func TestResetForgetsHistory(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 16)
	defer s.Close()
	o := greedy(30) // more than the context holds
	o.RepeatPenalty, o.RepeatLastN = 1e30, -1
	prompt := []int{5, 6, 7}
	want := idsOf(generate(t, m, 16, prompt, o))
	for range 2 {
		tokens, err := collect(s.Generate(t.Context(), prompt, o))
		if err != nil {
			t.Fatal(err)
		}
		if got := idsOf(tokens); !slices.Equal(got, want) {
			t.Fatalf("after Reset the tokens are %v, expected those of a new session, %v", got, want)
		}
		s.Reset()
	}
}

// long is a model with random weights and a context of several chunks.
func long(t *testing.T, b backend.Backend) *model.Model {
	t.Helper()
	m, err := gpt.Random(t.Context(), b, model.Config{
		Family: "gpt2", Layers: 1, Heads: 2, Width: 8, Inner: 16, Context: 1200, Vocab: 50, Epsilon: 1e-5, TieEmbeddings: true,
	}, gpt.LoadOptions{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func sequence(n, vocab int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = (i*i + 3*i) % vocab
	}
	return ids
}

func TestFeedInChunks(t *testing.T) {
	m := long(t, gpttest.OpenCPU(t))
	ids := sequence(1200, 50)
	want := gpttest.Feed(t, m, ids...)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	var got []float32
	for len(ids) > 0 { // in pieces that the chunks of 512 do not line up with
		n := min(len(ids), 90)
		var err error
		if got, err = s.Feed(context.Background(), ids[:n]...); err != nil {
			t.Fatal(err)
		}
		ids = ids[n:]
	}
	gpttest.CheckNear(t, "scores", got, want, 5e-6)
}

// TestProgramsAreKept counts programs: one serves every step of decoding, also
// after the context has slid, and one each size of chunk.
func TestProgramsAreKept(t *testing.T) {
	b, m := tiny(t)
	s := gpttest.NewSession(t, m, 20)
	defer s.Close()
	for _, c := range []struct{ predict, want int }{
		{1, 1},  // 5 tokens in a chunk of 8
		{15, 2}, // and a token at a time
		{99, 3}, // and 11 in a chunk of 16, whenever the context slides
	} {
		s.Reset()
		tokens, err := collect(s.Generate(t.Context(), sequence(5, 257), greedy(c.predict)))
		if err != nil || len(tokens) != c.predict {
			t.Fatalf("%d tokens of %d, %v", len(tokens), c.predict, err)
		}
		if b.Recorded != c.want {
			t.Errorf("%d programs recorded for %d tokens, expected %d", b.Recorded, c.predict, c.want)
		}
	}
}

func TestFitsText(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 10)
	defer s.Close()
	if _, err := s.Feed(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Room().FitsText(40, 5); err != nil { // 8 tokens after 2
		t.Error(err)
	}
	gpttest.WantError(t, s.Room().FitsText(41, 5), "the prompt has 41 bytes, which are at least 9 tokens", "the context holds 10", "this model can hold 64")
}

// TestFeedCancelled stops between chunks, and goes on from there.
func TestFeedCancelled(t *testing.T) {
	m := long(t, gpttest.OpenCPU(t))
	ids := sequence(1100, 50)
	for asked, read := range []int{0, 512, 1024} {
		s := gpttest.NewSession(t, m, 0)
		_, err := s.Feed(gpttest.Countdown(context.Background(), asked), ids...)
		if !errors.Is(err, context.Canceled) || s.Len() != read {
			t.Errorf("cancelled after %d chunks: %d tokens read, expected %d; error %v", asked, s.Len(), read, err)
		}
		got, err := s.Feed(context.Background(), ids[s.Len():]...)
		if err != nil {
			t.Fatal(err)
		}
		gpttest.CheckNear(t, "scores", got, gpttest.Feed(t, m, ids...), 5e-6)
		s.Close()
	}
}

func TestSessionReportsTheDevice(t *testing.T) {
	b, m := tiny(t)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	b.Err = backend.ErrDeviceLost
	if _, err := s.Feed(context.Background(), 1, 2); !errors.Is(err, backend.ErrDeviceLost) || s.Len() != 0 {
		t.Errorf("on a lost device: %v, %d tokens", err, s.Len())
	}
	for _, err := range s.Generate(context.Background(), []int{1}, greedy(3)) {
		if !errors.Is(err, backend.ErrDeviceLost) {
			t.Errorf("generating on a lost device: %v", err)
		}
	}
}

func TestSessionWithoutMemory(t *testing.T) {
	b := gpttest.FullAfter(gpttest.OpenCPU(t), 0)
	m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32) // mapped
	before := b.InUse()
	for left := range 5 { // inputs, the caches of three blocks, results
		b.Left = left
		s, err := gpt.NewSession(m, gpt.SessionOptions{})
		if err == nil {
			_, err = s.Feed(context.Background(), 1)
			s.Close()
		}
		if !errors.Is(err, backend.ErrOutOfMemory) {
			t.Errorf("with memory for %d buffers: %v", left, err)
		}
		if n := b.InUse(); n != before {
			t.Errorf("with memory for %d buffers, %d are left behind", left, n-before)
		}
	}
}

// TestResume keeps what a session has read of a text, and gives the same scores as one that
// reads all of it.
func TestResume(t *testing.T) {
	m := gpttest.Load(t, gpttest.OpenCPU(t), "testdata/gpt2-tiny", backend.F32)
	s := gpttest.NewSession(t, m, 0)
	feed := func(ids ...int) []float32 {
		t.Helper()
		logits, err := s.Feed(t.Context(), ids...)
		if err != nil {
			t.Fatal(err)
		}
		return logits
	}
	feed(1, 2, 3, 4, 5)
	for _, c := range []struct{ ids, rest []int }{
		{[]int{1, 2, 3, 4, 5, 6, 7}, []int{6, 7}},
		{[]int{1, 2, 9, 4}, []int{9, 4}},
		{[]int{1, 2, 9, 4}, []int{4}}, // what follows it is known once it is read again
		{[]int{1, 2}, []int{2}},
		{[]int{8, 2}, []int{8, 2}},
		{[]int{8}, []int{8}},
	} {
		rest := s.Resume(c.ids)
		if !slices.Equal(rest, c.rest) || s.Len() != len(c.ids)-len(rest) {
			t.Fatalf("%d: %d are left to be read behind %d tokens, expected %d", c.ids, rest, s.Len(), c.rest)
		}
		got := feed(rest...)
		gpttest.CheckNear(t, "scores", got, gpttest.Feed(t, m, c.ids...), 1e-5)
		if !slices.Equal(s.Tokens(), c.ids) {
			t.Errorf("the session has %d, expected %d", s.Tokens(), c.ids)
		}
	}
}
