package gpt_test

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// greedyOver continues a text by the rule of a full context, with a session that is made anew for
// each token: it never slides. Of size tokens keep stay, and the newer half of the others.
func greedyOver(t *testing.T, m *model.Model, text []int, size, keep, predict int) (ids []int) {
	t.Helper()
	s := newSession(t, m, gpt.SessionOptions{Context: size, Whole: true})
	defer s.Close()
	context := slices.Clone(text)
	keep = min(keep, size/2)
	for range predict {
		if len(context) > size { // it was full, and the last one came
			context = slices.Concat(context[:keep], context[size-(size-keep)/2:])
		}
		s.Reset()
		scores, err := s.Feed(t.Context(), context...)
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for id, score := range scores {
			if score > scores[best] {
				best = id
			}
		}
		ids, context = append(ids, best), append(context, best)
	}
	return ids
}

// TestKeep expects of a context that gets full several times the tokens of fresh sessions that
// are given its beginning and the newer half of the rest: alone, with guesses, drawn by the
// device, in a batch with forks, of models with a window and without.
func TestKeep(t *testing.T) {
	gpt.SetTailStep(t, 16) // as many as a step of guesses has
	gpt.PaceByRule(t)
	gpt.DrawAnywhere(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		models := map[string]*model.Model{
			"gpt2-tiny": gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32), "window": windowed(t, b, 6),
		}
		for name, m := range models {
			m.EOS = nil
			for _, keep := range []int{0, 5, 100} {
				const size, predict = 48, 110
				text := sequence(10, 200)
				want := greedyOver(t, m, text, size, keep, predict)
				o := gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: predict, Keep: keep}
				check := func(kind string, got []int) {
					t.Helper()
					if !slices.Equal(got, want) {
						t.Errorf("%s, keep %d, %s:\ngot  %v\nwant %v", name, keep, kind, got, want)
					}
				}
				for _, c := range []struct {
					kind     string
					drafter  gpt.Drafter
					logProbs int
				}{{"by the host", nil, 1}, {"ahead", nil, 0}, {"with guesses", &gpt.NGrams{}, 0}} {
					s := newSession(t, m, gpt.SessionOptions{Context: size})
					o := o
					o.Drafter, o.LogProbs = c.drafter, c.logProbs
					var got []int
					slid := 0
					for token, err := range s.Generate(t.Context(), text, o) {
						if err != nil {
							t.Fatal(err)
						}
						if got = append(got, token.ID); token.Slid {
							slid++
						}
					}
					check(c.kind, got)
					if slid < 3 {
						t.Errorf("the context got full %d times", slid)
					}
					begin := s.Tokens()[:min(keep, size/2)]
					if !slices.Equal(begin, slices.Concat(text, want)[:len(begin)]) {
						t.Errorf("the context begins with %v", begin)
					}
					// A text that begins as the context does goes on behind it.
					now := s.Tokens()
					if rest := s.Resume(append(now, 7)); len(rest) != 1 {
						t.Errorf("%d tokens are read again behind a context that slid", len(rest))
					}
					if k := len(begin); k > 1 {
						want := append(slices.Clone(begin[:k-1]), 9)
						start, _ := s.TailStart()
						rest := s.Resume(want)
						if start == 0 && len(rest) != 1 || !slices.Equal(slices.Concat(s.Tokens(), rest), want) {
							t.Errorf("gone back into what stayed: %v, %v to be read", s.Tokens(), rest)
						}
					}
				}
				batch := newBatch(t, m, gpt.BatchOptions{Sequences: 3, Context: size, Block: 4})
				first := admit(t, batch, text, o)
				got := map[*gpt.Sequence][]int{}
				var forked *gpt.Sequence
				for len(batch.Live()) > 0 {
					for _, e := range step(t, batch) {
						if e.Token != nil {
							got[e.Sequence] = append(got[e.Sequence], e.Token.ID)
						}
					}
					if forked == nil && len(got[first]) == 40 { // it has slid
						rest := o
						rest.Predict = predict - 40
						forked = fork(t, first, rest)
						got[forked] = slices.Clone(got[first])
					}
				}
				check("in a batch", got[first])
				check("forked", got[forked])
				batch.Close()
			}
		}
	})
}
