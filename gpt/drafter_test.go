package gpt_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/gpt"
)

func TestNGrams(t *testing.T) {
	var g gpt.NGrams
	draft := func(n int, text ...int) []int {
		t.Helper()
		ids, err := g.Draft(t.Context(), gpt.Draft{Tokens: text, Context: len(text)}, n)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	begin := func() {
		if err := g.Begin(nil, gpt.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		text []int
		n    int
		want []int
	}{
		{nil, 3, nil},
		{[]int{1}, 3, nil},
		{[]int{1, 2}, 3, nil},
		{[]int{1, 2, 3, 4}, 3, nil},
		{[]int{7, 7, 7}, 3, []int{7, 7, 7}}, // it repeats itself
		{[]int{1, 2, 3, 9, 1, 2}, 1, []int{3}},
		{[]int{1, 2, 3, 9, 1, 2}, 9, []int{3, 9, 1, 2, 3, 9, 1, 2, 3}},
		{[]int{1, 2, 3, 4, 1, 2, 5, 6, 1, 2}, 2, []int{5, 6}},                // the latest of two places
		{[]int{8, 1, 2, 3, 4, 9, 1, 2, 5, 6, 8, 1, 2}, 2, []int{3, 4}},       // three tokens before two
		{[]int{1, 2, 3, 4, 5, 6, 9, 3, 4, 5, 7, 1, 2, 3, 4, 5}, 1, []int{6}}, // five before three
	} {
		begin()
		if got := draft(c.n, c.text...); !slices.Equal(got, c.want) {
			t.Errorf("after %v: %v, expected %v", c.text, got, c.want)
		}
		// The same where the text came bit by bit.
		begin()
		var got []int
		for i := range c.text {
			got = draft(c.n, c.text[:i+1]...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("after %v, token by token: %v, expected %v", c.text, got, c.want)
		}
	}
	// Begin forgets what was.
	draft(1, 1, 2, 3, 1, 2)
	begin()
	if got := draft(1, 4, 1, 2); got != nil {
		t.Errorf("of the text before: %v", got)
	}
	if got := draft(1, 4); got != nil { // shorter than it was: nothing is taken from it
		t.Errorf("of a text that shrank: %v", got)
	}
	// Of long texts, where others have the same hash, a guess is what followed the same two
	// tokens somewhere.
	begin()
	r := rand.New(rand.NewPCG(1, 2))
	text, follows, guessed := []int{}, map[[3]int]bool{}, 0
	for range 60_000 {
		text = append(text, r.IntN(300))
		n := len(text)
		if n > 2 {
			follows[[3]int(text[n-3:])] = true
		}
		if got := draft(1, text...); n > 2 && len(got) == 1 {
			if guessed++; !follows[[3]int{text[n-2], text[n-1], got[0]}] {
				t.Fatalf("after %d tokens: guessed %d after %v, where it never stood", n, got[0], text[n-2:])
			}
		}
	}
	if guessed < 5000 {
		t.Errorf("%d guesses in a text of 60,000 tokens of 300", guessed)
	}
}
