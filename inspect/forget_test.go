package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
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

// TestForget holds what is told of a window that slides to the tokens that Generate
// makes, and to sessions that are given the window's tokens alone.
func TestForget(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, c := range []model.Config{
			{Family: "gpt2", Layers: 2, Heads: 2, Width: 16, Context: 24, Vocab: 37, EOS: []int{3}},
			{Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, Width: 32, Inner: 48, Context: 24, Vocab: 50},
		} {
			in := random(t, b, c)
			for _, size := range []struct{ context, text, predict int }{{8, 5, 14}, {7, 7, 9}, {2, 1, 4}} {
				t.Run(fmt.Sprintf("%s/%d", c.Family, size.context), func(t *testing.T) {
					testForget(t, in, size.context, ids(size.text, 37), size.predict)
				})
			}
		}
	})
}

func testForget(t *testing.T, in *inspect.Inspector, size int, given []int, predict int) {
	got, err := in.Forget(t.Context(), given, inspect.ForgetOptions{Context: size, Predict: predict, Top: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := gpttest.NewSession(t, in.Model, size)
	defer s.Close()
	var text []int
	for _, x := range got.Tokens {
		text = append(text, x.ID)
	}
	if len(text) != len(given)+predict || got.Given != len(given) || got.Context != size || got.Most != 24 {
		t.Fatalf("%+v", got)
	}
	// Generate's tokens; what it says of each is about the prediction before.
	n := len(given)
	for token, err := range s.Generate(t.Context(), given, gpt.Options{Predict: predict, IgnoreEOS: true}) {
		if err != nil {
			t.Fatal(err)
		}
		step := got.Steps[n-len(given)]
		if text[n] != token.ID || step.Slid != token.Slid || step.Next.ID != token.ID {
			t.Errorf("token %d is %d, slid: %v; Generate makes %d, slid: %v", n, text[n], step.Slid, token.ID, token.Slid)
		}
		n++
	}
	// The window, by the rule, and the predictions of what it holds.
	from, slides := 0, got.Slides
	for i, step := range got.Steps {
		to := len(given) - 1 + i
		read := 1
		if slid := to+1-from > size; slid {
			kept := to - size/2
			slide := slides[0]
			slides = slides[1:]
			if slide.Step != i || slide.Forgotten.From != from || slide.Forgotten.To != kept || slide.Kept.From != kept || slide.Kept.To != to ||
				slide.Before != kept-from || slide.Came.ID != text[to] || !step.Slid {
				t.Errorf("step %d, window from %d: slide %+v", i, from, slide)
			}
			with, without := gpttest.Feed(t, in.Model, text[from:to]...), gpttest.Feed(t, in.Model, text[kept:to]...)
			p, q, kl := inspect.LogProbs(with, 1), inspect.LogProbs(without, 1), 0.0
			for j := range p {
				kl += math.Exp(p[j]) * (p[j] - q[j])
			}
			near(t, "divergence", slide.KL, kl)
			near(t, "with the whole window", slide.With.LogProb, p[text[to]])
			near(t, "with what is kept", slide.Without.LogProb, q[text[to]])
			if slide.Without.Top[0].ID != argmax(without) || slide.With.Top[0].ID != argmax(with) || len(slide.With.Top) != 2 {
				t.Errorf("step %d: likeliest %+v, %+v", i, slide.With.Top, slide.Without.Top)
			}
			from, read = kept, 1+size/2
		}
		if i == 0 {
			read = len(given)
		}
		if step.From != from || step.To != to || step.Read != read {
			t.Errorf("step %d: %+v, expected tokens %d to %d, %d computed", i, step, from, to, read)
		}
		if i < len(got.Steps)-1 {
			logs := inspect.LogProbs(gpttest.Feed(t, in.Model, text[from:to+1]...), 1)
			near(t, "surprise", step.Surprise, -logs[text[to+1]])
		} else if step.Next != nil {
			t.Errorf("after the last step came %+v", step.Next)
		}
	}
	if len(slides) > 0 || len(got.Slides) == 0 || got.Left != size-(len(text)-from) {
		t.Errorf("%d slides, room for %d tokens", len(got.Slides), got.Left)
	}
}

// TestForgetText lets a given text run through the window, and tells what it was.
func TestForgetText(t *testing.T) {
	in := gpttest.Inspect(t, gpttest.OpenCPU(t))
	text, err := in.Encode("It is a truth universally acknowledged")
	if err != nil {
		t.Fatal(err)
	}
	got, err := in.Forget(context.Background(), text, inspect.ForgetOptions{Context: 6})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Steps) != len(text)-5 || got.Steps[0].Read != 6 || len(got.Slides) != 2 {
		t.Fatalf("%+v", got)
	}
	if s := got.Slides[0]; s.Forgotten.Text != "It is a" || s.Kept.Text != " truth uni" || s.Came.Text != "vers" {
		t.Errorf("%+v", s)
	}
	// A text may have more tokens than the context, but not any number.
	for _, long := range []string{strings.Repeat("It is ", 200), strings.Repeat("word ", 20000)} {
		_, err := in.EncodeUpTo(300, long)
		wantUser(t, err)
		gpttest.WantError(t, err, "tokens", "and at most 300 are expected: shorten it")
	}
	if text, err := in.EncodeUpTo(in.ForgetLimit(), strings.Repeat("It is ", 200)); err != nil || len(text) <= in.Model.Context {
		t.Errorf("%d tokens, %v", len(text), err)
	}
	// Without a size, the window is as large as the text.
	if got, err = in.Forget(context.Background(), text, inspect.ForgetOptions{Predict: 1}); err != nil || got.Context != len(text) || len(got.Slides) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = in.Forget(context.Background(), text, inspect.ForgetOptions{Context: 20, Predict: 1}); err != nil || len(got.Slides) != 0 || got.Left != 20-len(text)-1 {
		t.Errorf("%+v, %v", got, err)
	}
	// Of a window of one token nothing is kept.
	if got, err = in.Forget(context.Background(), text[:3], inspect.ForgetOptions{Context: 1}); err != nil || len(got.Slides) != 2 || got.Slides[1].Without != nil || got.Steps[2].Read != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	// What is drawn follows from the seed, and is never the end of a text.
	o := inspect.ForgetOptions{Context: 8, Predict: 40, Sampling: gpt.Sampling{Temperature: 3, Seed: 5}}
	var drawn [2][]inspect.Token
	for i := range drawn {
		if got, err = in.Forget(context.Background(), text, o); err != nil {
			t.Fatal(err)
		}
		drawn[i] = got.Tokens
	}
	if !slices.Equal(drawn[0], drawn[1]) {
		t.Error("the same seed draws other tokens")
	}
}

// TestForgetLong reads more than the context holds, which no other view does.
func TestForgetLong(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 24, Vocab: 37})
	got, err := in.Forget(context.Background(), ids(48, 37), inspect.ForgetOptions{})
	if err != nil || got.Context != 24 || len(got.Slides) != 2 || got.Slides[1].Forgotten.To != 24 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		text int
		o    inspect.ForgetOptions
	}{
		{0, inspect.ForgetOptions{}},
		{49, inspect.ForgetOptions{}},
		{40, inspect.ForgetOptions{Predict: 9}},
		{4, inspect.ForgetOptions{Predict: -1}},
		{4, inspect.ForgetOptions{Predict: math.MaxInt}},
		{4, inspect.ForgetOptions{Context: 25}},
		{4, inspect.ForgetOptions{Context: -1}},
		{4, inspect.ForgetOptions{Top: 101}},
		{4, inspect.ForgetOptions{Sampling: gpt.Sampling{Temperature: -1}}},
	} {
		_, err := in.Forget(context.Background(), ids(c.text, 37), c.o)
		wantUser(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := in.Forget(ctx, ids(4, 37), inspect.ForgetOptions{}); err != context.Canceled {
		t.Errorf("a context that ended: %v", err)
	}
}

// TestForgetNotFinite has a model from which nothing can be drawn: what it read is told,
// and why it writes no more.
func TestForgetNotFinite(t *testing.T) {
	in := tiny(t)
	gamma := in.Model.Final().Gamma
	values := make([]float32, gamma.Len())
	values[0] = float32(math.NaN())
	if err := backend.SetF32(in.Model.Backend, gamma, values); err != nil {
		t.Fatal(err)
	}
	got, err := in.Forget(t.Context(), []int{1, 2, 3}, inspect.ForgetOptions{Context: 2, Predict: 4, Top: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tokens) != 3 || len(got.Steps) != 2 || len(got.Slides) != 1 || !strings.Contains(got.Note, "0 of 4 tokens") {
		t.Errorf("%+v", got)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}
