package gpt_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"caldera/gpt"
)

// TestStopper cuts texts of few letters into pieces at random. What comes out
// must be the text before the stop text that is complete first, and nothing may
// be held back that no stop text begins with.
func TestStopper(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func(most int) string {
		b := make([]byte, 1+rng.IntN(most))
		for i := range b {
			b[i] = "ab"[rng.IntN(2)]
		}
		return string(b)
	}
	for range 5000 {
		stops := make([]string, rng.IntN(4))
		for i := range stops {
			stops[i] = word(5)
		}
		text := word(30)
		s, err := gpt.NewStopper(stops...)
		if err != nil {
			t.Fatal(err)
		}
		out, fed, stopped := "", 0, false
		for fed < len(text) && !stopped {
			n := min(1+rng.IntN(4), len(text)-fed)
			var piece string
			piece, stopped = s.Next(text[fed : fed+n])
			fed += n
			out += piece
			held := text[len(out):fed]
			begins := false
			for _, stop := range stops {
				begins = begins || strings.HasPrefix(stop, held)
			}
			if !stopped && held != "" && !begins {
				t.Fatalf("stops %q: of %q it holds back %q", stops, text[:fed], held)
			}
		}
		// Among what was fed, the stop text that begins first ends the text.
		want := fed
		for _, stop := range stops {
			if at := strings.Index(text[:fed], stop); at >= 0 && at < want {
				want = at
			}
		}
		if stopped != (want < fed) {
			t.Fatalf("stops %q, text %q: stopped is %v", stops, text[:fed], stopped)
		}
		if !stopped {
			out += s.Flush()
		}
		if rest := s.Flush(); out != text[:want] || rest != "" {
			t.Fatalf("stops %q, text %q: got %q and %q, expected %q", stops, text[:fed], out, rest, text[:want])
		}
	}
	if _, err := gpt.NewStopper("a", ""); err == nil {
		t.Error("an empty stop text was taken")
	}
}
