package inspect_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// random is an Inspector of a model with random weights, and without a tokenizer.
func random(t *testing.T, b backend.Backend, c model.Config) *inspect.Inspector {
	t.Helper()
	m, err := gpt.Random(context.Background(), b, c.Complete(), gpt.LoadOptions{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	in := inspect.New(m, nil, inspect.Options{})
	t.Cleanup(func() {
		in.Close()
		m.Close()
	})
	return in
}

// ids are n random tokens of a vocabulary.
func ids(n, vocab int) (list []int) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		list = append(list, r.IntN(vocab))
	}
	return list
}

// TestRunInChunks reads a text of several chunks, and expects of each position what a
// session sees that reads the text token by token.
func TestRunInChunks(t *testing.T) {
	b := gpttest.OpenCPU(t)
	in := random(t, b, model.Config{Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, Width: 32, Inner: 48, Context: 700, Vocab: 50})
	text := ids(gpt.MaxChunk+30, 50)
	names := []string{"hidden.1", "blocks.1.attention.key", "blocks.1.attention.probs", "blocks.0.mlp.hidden"}
	if _, err := in.Run(context.Background(), text[:3], names...); err != nil { // so that there is a session that is too small
		t.Fatal(err)
	}
	r, err := in.Run(context.Background(), text, names...)
	if err != nil {
		t.Fatal(err)
	}
	for name, shape := range map[string][]int{
		"hidden.1": {542, 32}, "blocks.1.attention.key": {542, 16}, "blocks.1.attention.probs": {4, 542, 542}, "blocks.0.mlp.hidden": {542, 48},
	} {
		if got := r.Value("%s", name).Shape; !slices.Equal(got, shape) {
			t.Errorf("%s has shape %v, expected %v", name, got, shape)
		}
	}
	s, err := gpt.NewSession(in.Model, gpt.SessionOptions{Watch: names})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, id := range text {
		if _, err := s.Feed(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if i%100 > 0 && i != gpt.MaxChunk-1 && i != gpt.MaxChunk && i != len(text)-1 {
			continue
		}
		for _, name := range []string{"hidden.1", "blocks.1.attention.key", "blocks.0.mlp.hidden"} {
			gpttest.CheckNear(t, name, r.Value("%s", name).Row(i), gpttest.Floats(t, b, gpttest.Compact(t, b, s.Seen(name))), 1e-5)
		}
		probs := gpttest.Floats(t, b, gpttest.Compact(t, b, s.Seen("blocks.1.attention.probs").Slice(-1, 0, len(text))))
		for h := range 4 {
			gpttest.CheckNear(t, "probs", r.Value("blocks.1.attention.probs").Row(h, i), probs[h*len(text):(h+1)*len(text)], 1e-5)
		}
	}
}

// TestScores expects of the last position what a session says.
func TestScores(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		in := random(t, b, model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 16, Context: 90, Vocab: 37})
		text := ids(70, 37)
		r, err := in.Run(context.Background(), text, "hidden.2")
		if err != nil {
			t.Fatal(err)
		}
		var scores [][]float32
		if err := in.Scores(context.Background(), r.Value("hidden.2").Data, func(row int, s []float32) error {
			if row != len(scores) {
				t.Errorf("row %d, expected %d", row, len(scores))
			}
			scores = append(scores, slices.Clone(s))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(scores) != len(text) {
			t.Fatalf("%d rows of scores", len(scores))
		}
		s, err := gpt.NewSession(in.Model, gpt.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i, id := range text {
			want, err := s.Feed(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			gpttest.CheckNear(t, "scores", scores[i], want, 1e-5)
		}
	})
}

// TestProfile asks what made the values of a text of two chunks.
func TestProfile(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		in := random(t, b, model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 16, Context: 600, Vocab: 37})
		look := func() error {
			_, err := in.Run(context.Background(), ids(gpt.MaxChunk+1, 37), "blocks.1.attention.probs", "hidden.1", "blocks.0.attention.query")
			if err != nil {
				return err
			}
			return in.Scores(context.Background(), make([]float32, 16), func(int, []float32) error { return nil })
		}
		made, err := in.Profile(look)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range made {
			got = append(got, m.Value+" "+strings.TrimSuffix(m.Op, "+residual")) // some backends add in the same op
			if m.Value != "scores" && m.Calls != 2 || m.Microseconds <= 0 || m.Bytes <= 0 || len(m.Operands) < 2 {
				t.Errorf("%+v", m)
			}
		}
		slices.Sort(got)
		if want := []string{"blocks.0.attention.query linear", "blocks.1.attention.probs attention", "hidden.1 linear", "scores linear"}; !slices.Equal(got, want) {
			t.Errorf("%q, expected %q", got, want)
		}
		if made, err := in.Profile(func() error { return errors.New("no") }); err == nil || len(made) > 0 {
			t.Errorf("a call that failed: %v, %v", made, err)
		}
		if err := look(); err != nil {
			t.Errorf("after a profile: %v", err)
		}
	})
}

// TestTextErrors asks for texts that no model reads.
func TestTextErrors(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 1, Width: 4, Context: 8, Vocab: 5})
	for _, c := range []struct {
		ids  []int
		want string
	}{
		{nil, "no tokens"}, {ids(9, 5), "9 tokens and the model's context holds 8"}, {[]int{1, 5}, "token 1 of the text is 5: expected 0 to 4"}, {[]int{-1}, "is -1"},
	} {
		_, err := in.Run(context.Background(), c.ids, "hidden.0")
		if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, expected %q", c.ids, err, c.want)
		}
	}
	for _, text := range []string{"", "word"} {
		if _, err := in.Encode(text); err == nil {
			t.Errorf("%q was encoded without a tokenizer", text)
		}
	}
	if _, err := in.Run(context.Background(), []int{1}, "hidden.9"); err == nil || !strings.Contains(err.Error(), `"hidden.9"`) {
		t.Errorf("a value that there is not: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := in.Run(ctx, []int{1}, "hidden.0"); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// TestLogProbs takes scores that would overflow, and some that are infinite.
func TestLogProbs(t *testing.T) {
	sum := 0.0
	for _, p := range inspect.LogProbs([]float32{1000, 1001, float32(math.Inf(-1)), 999}, 0.5) {
		sum += math.Exp(p)
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("probabilities add up to %v", sum)
	}
}
