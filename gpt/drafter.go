package gpt

import (
	"context"

	"caldera/gpt/model"
)

// MaxGuesses is the most guesses that one step takes. With the token before them that is a
// step of 16.
const MaxGuesses = 15

// A Drafter guesses how a text goes on, so that the model reads several tokens in one step
// (speculative decoding; Leviathan et al., https://arxiv.org/abs/2211.17192). Guesses decide
// how fast a text comes, and never what it says: see [Options.Drafter]. A Drafter serves one
// text at a time.
type Drafter interface {
	// Begin is called before the first guess of a text that m generates as o says. An error
	// ends the text before it has begun.
	Begin(m *model.Model, o Options) error

	// Draft returns up to n guesses, n being 1 or more, of the tokens that follow d.Tokens:
	// fewer, or none, where it has none. It keeps and changes nothing that d holds. Between
	// two calls of Begin texts only grow. An error ends the text.
	Draft(ctx context.Context, d Draft, n int) ([]int, error)
}

// Draft is a text that is to be guessed on.
type Draft struct {
	Tokens  []int  // the prompt and all tokens that were drawn, the latest last
	Context int    // how many of these, the latest, the model sees
	Draws   uint32 // how many random numbers of the seed were taken: the next token is drawn with this one, counted from 0
}

// Drafted counts what came of guesses.
type Drafted struct {
	Guesses int // that the model read
	Right   int // how many of them were what was drawn
	Steps   int // of the model after the prompt, with guesses or without
	Tokens  int // that were drawn after the first one, with the one that ended the text
}

// PerStep is how many tokens a step gave, 1 without guesses.
func (d Drafted) PerStep() float64 {
	if d.Steps == 0 {
		return 0
	}
	return float64(d.Tokens) / float64(d.Steps)
}

// grams are how many tokens are looked for, the most first.
var grams = [...]int{5, 3, 2}

// gramBits is of the number of places that grams of a length have.
const gramBits = 16

// NGrams is a [Drafter] without a model: it looks for the latest place in the text where the
// latest 5, 3 or 2 tokens stood before, and guesses what followed there. It is right where a
// text repeats itself or its prompt: code, tables, quotations, lists
// (Saxena, https://github.com/apoorvumang/prompt-lookup-decoding). Its time for a guess is
// that of looking up a hash, however long the text is. The zero value is ready.
type NGrams struct {
	tokens []int32                          // of the text so far
	heads  [len(grams)][1 << gramBits]int32 // by hash of a gram: where the token stands that followed it last; 0: nowhere
}

// Begin implements [Drafter].
func (g *NGrams) Begin(*model.Model, Options) error {
	g.tokens = g.tokens[:0]
	for i := range g.heads {
		clear(g.heads[i][:])
	}
	return nil
}

// Draft implements [Drafter].
func (g *NGrams) Draft(_ context.Context, d Draft, n int) ([]int, error) {
	for _, id := range d.Tokens[min(len(g.tokens), len(d.Tokens)):] {
		for i, k := range grams {
			if len(g.tokens) >= k {
				g.heads[i][g.hash(k)] = int32(len(g.tokens))
			}
		}
		g.tokens = append(g.tokens, int32(id))
	}
	for i, k := range grams {
		if len(g.tokens) <= k {
			continue
		}
		if at := int(g.heads[i][g.hash(k)]); g.same(at, k) {
			return g.after(at, n), nil
		}
	}
	return nil, nil
}

// hash is the cell of the latest k tokens: the upper bits of products with 2⁶⁴ divided by the
// golden ratio (Knuth, The Art of Computer Programming, 6.4).
func (g *NGrams) hash(k int) uint64 {
	h := uint64(0)
	for _, id := range g.tokens[len(g.tokens)-k:] {
		h = (h ^ uint64(id)) * 0x9e3779b97f4a7c15
	}
	return h >> (64 - gramBits)
}

// same reports whether the k tokens before at are the latest k. Other grams have the same
// hash.
func (g *NGrams) same(at, k int) bool {
	if at < k {
		return false
	}
	for i := 1; i <= k; i++ {
		if g.tokens[at-i] != g.tokens[len(g.tokens)-i] {
			return false
		}
	}
	return true
}

// after are the n tokens from at on. Where the text ends before, it goes on as it does from
// at: it repeats itself.
func (g *NGrams) after(at, n int) []int {
	guesses := make([]int, n)
	for i := range guesses {
		if at+i < len(g.tokens) {
			guesses[i] = int(g.tokens[at+i])
		} else {
			guesses[i] = guesses[at+i-len(g.tokens)]
		}
	}
	return guesses
}
