package gpt

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"caldera/gpt/model"
)

// Options say how text is generated. The zero value takes the likeliest token
// each time, until the model ends the text or the context is full.
type Options struct {
	Sampling

	// Predict is how many tokens to generate at most. 0: as many as fit in the
	// context after the prompt, and one more, which the model need not read. Below
	// 0: until the model ends the text, however often the context gets full.
	Predict int

	IgnoreEOS bool // never let the model end the text

	// Drafter, if not nil, guesses tokens, and a step of the model reads several of them. Each
	// token is drawn from the same scores, with the same random number and after the same
	// tokens as without: a guess counts where it is what was drawn. So the text is the same, but
	// for choices that are all but equal where [backend.Reproducible] is false. Of a [Session]
	// only, and the host draws.
	Drafter Drafter

	// Guesses is how many guesses a step takes at most, up to MaxGuesses. 0: MaxGuesses. A step
	// takes fewer where more would not pay.
	Guesses int

	// LogProbs is how many of the likeliest tokens each Token lists in Top.
	LogProbs int

	// Drawn is how many of the tokens that the filters kept each Token lists in
	// Drawn.Top.
	Drawn int

	// Vocab is how many tokens the tokenizer has: only ids below it are drawn. 0
	// stands for as many as the model has. Models are often padded with rows that
	// have no token.
	Vocab int

	// Barred are more ids that are never drawn, such as those below Vocab that have
	// no token.
	Barred []int
}

// Token is one token that was generated.
type Token struct {
	ID      int
	LogProb float64 // natural logarithm of the probability that the model gave it, among tokens that may be drawn; within 10⁻⁶ where a device drew it
	Slid    bool    // the context was full: the older half of its tokens was removed

	// Top are the likeliest tokens at this position, the likeliest first: as many
	// as Options.LogProbs asks for, or fewer if fewer may be drawn.
	Top []TokenProb

	// Drawn tells what the token was drawn from; nil if Options.Drawn is 0.
	Drawn *Drawn
}

// Drawn is what a token was drawn from: the tokens that the repeat penalty, top-k,
// top-p and min-p left. Probabilities are those with which each was drawn, at the
// temperature. A greedy choice draws from one token.
type Drawn struct {
	LogProb float64     // natural logarithm of that of the token that was drawn
	Kept    int         // how many tokens were left
	Top     []TokenProb // the likeliest of them, the likeliest first, of equal ones the lowest id
}

// TokenProb is a token that could have been drawn.
type TokenProb struct {
	ID      int
	LogProb float64 // as in Token
}

// Generate continues a prompt, given as token ids, token by token: the model's
// scores of the tokens that could come next become probabilities, one token is
// drawn, and the model reads it. Generate ends after o.Predict tokens, when the
// model ends the text, or with an error, such as that of ctx.
//
// When the context is full, the older half of its tokens is removed. The positions
// of the other half change, so it is computed again. That is why half a context is
// removed at a time, and not one token.
func (s *Session) Generate(ctx context.Context, prompt []int, o Options) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := s.generate(ctx, prompt, o, func(t Token) bool { return yield(t, nil) }); err != nil {
			yield(Token{}, err)
		}
	}
}

func (s *Session) generate(ctx context.Context, prompt []int, o Options, yield func(Token) bool) error {
	d, err := newDrawer(s.m, o, s.size-s.cached-len(prompt))
	if err != nil {
		return err
	}
	d.sampler.useThreads(s.m.Backend)
	if err := s.Room().Fits(prompt); err != nil {
		return err
	}
	if d.Drafter != nil {
		return s.generateDrafted(ctx, prompt, d, yield)
	}
	if len(s.watch) == 0 && s.canDraw(d, 1) {
		return s.generateAhead(ctx, prompt, d, yield)
	}
	logits, err := s.Feed(ctx, prompt...)
	if err != nil {
		return err
	}
	return s.generateFrom(ctx, logits, false, d, yield)
}

// generateFrom draws tokens on the host, the first of them from logits; slid is as in the
// first Token.
func (s *Session) generateFrom(ctx context.Context, logits []float32, slid bool, d *drawer, yield func(Token) bool) (err error) {
	for {
		token, err := d.draw(logits, s.history)
		if token == nil || err != nil {
			return err
		}
		if token.Slid = slid; !yield(*token) || d.done() {
			return nil
		}
		if logits, slid, err = s.next(ctx, token.ID); err != nil {
			return err
		}
	}
}

// drawer draws the tokens of one text, up to its limit.
type drawer struct {
	Options
	m       *model.Model
	sampler *Sampler
	barred  []int
	count   int // of those drawn
}

// newDrawer checks the options of a text behind whose prompt there is room for so many
// tokens.
func newDrawer(m *model.Model, o Options, room int) (*drawer, error) {
	if err := o.Sampling.Validate(); err != nil {
		return nil, err
	}
	barred, err := o.NeverDrawn(m)
	if err != nil {
		return nil, err
	}
	if o.LogProbs < 0 {
		return nil, fmt.Errorf("log-probabilities of the %d likeliest tokens: expected 0 or more", o.LogProbs)
	}
	if o.Guesses < 0 || o.Guesses > MaxGuesses {
		return nil, fmt.Errorf("%d guesses a step: expected 1 to %d, or 0 for %d", o.Guesses, MaxGuesses, MaxGuesses)
	}
	if o.Drawn < 0 {
		return nil, fmt.Errorf("probabilities of %d tokens after the filters: expected 0 or more", o.Drawn)
	}
	if o.Predict == 0 {
		o.Predict = room + 1
	}
	d := &drawer{Options: o, m: m, sampler: NewSampler(o.Sampling), barred: barred}
	d.sampler.forgets = o.Drawn == 0
	return d, nil
}

// draw returns the next token, or nil if the model ends the text. Logits of tokens that
// are never drawn become -Inf. history are the tokens so far.
func (d *drawer) draw(logits []float32, history []int) (*Token, error) {
	for _, id := range d.barred {
		logits[id] = float32(math.Inf(-1))
	}
	id, logProb, err := d.sampler.Next(logits, history)
	if err != nil || d.m.Ends(id) {
		return nil, err
	}
	d.count++
	token := &Token{ID: id, LogProb: logProb, Top: likeliest(logits, d.LogProbs, float64(logits[id])-logProb)}
	if d.Drawn > 0 {
		token.Drawn = d.sampler.Drawn(d.Drawn)
	}
	return token, nil
}

// done reports whether as many tokens as were asked for are drawn.
func (d *drawer) done() bool { return d.Predict >= 0 && d.count >= d.Predict }

// likeliest are the n tokens with the largest logits, of equal ones those with
// the lowest ids first. Those of -Inf, which are never drawn, are left out.
// logTotal is the logarithm of the sum of the exponentials of all logits.
func likeliest(logits []float32, n int, logTotal float64) []TokenProb {
	return first(n, len(logits), func(yield func(int, float64) bool) {
		for id, logit := range logits {
			if !yield(id, float64(logit)-logTotal) {
				return
			}
		}
	})
}

// first are the n of all tokens with the largest log-probabilities, in this order.
// Of equal ones those that all yields first come first. Those of -Inf are left out.
func first(n, most int, all iter.Seq2[int, float64]) []TokenProb {
	if n == 0 {
		return nil
	}
	top := make([]TokenProb, 0, min(n, most)+1)
	for id, logProb := range all {
		if math.IsInf(logProb, -1) || len(top) == n && logProb <= top[n-1].LogProb {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, logProb, func(x TokenProb, p float64) int {
			if x.LogProb >= p {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, TokenProb{id, logProb})
		top = top[:min(n, len(top))]
	}
	return top
}

// NeverDrawn lists the ids that Generate never draws. A token that ends a text may be
// drawn even if the tokenizer does not have it, because it is not part of the text.
func (o Options) NeverDrawn(m *model.Model) ([]int, error) {
	if o.Vocab < 0 || o.Vocab > m.Vocab {
		return nil, fmt.Errorf("a vocabulary of %d tokens: this model has %d, expected at most as many, or 0 for all", o.Vocab, m.Vocab)
	}
	known := cmp.Or(o.Vocab, m.Vocab)
	hole := map[int]bool{}
	for _, id := range o.Barred {
		hole[id] = true
	}
	var ids []int
	for id := range m.Vocab {
		if end := m.Ends(id); end && o.IgnoreEOS || !end && (id >= known || hole[id]) {
			ids = append(ids, id)
		}
	}
	if len(ids) == m.Vocab {
		return nil, fmt.Errorf("ignoring the end of a text leaves no token to draw: all %d tokens of the vocabulary end it", known)
	}
	return ids, nil
}

// next feeds one token. If the context is full, it first removes the older half.
func (s *Session) next(ctx context.Context, id int) (logits []float32, slid bool, err error) {
	ids := []int{id}
	if slid = s.cached == s.size; slid {
		ids = append(s.drop(), id)
	}
	logits, err = s.Feed(ctx, ids...)
	return logits, slid, err
}

// drop empties a full context, and returns the newer half of its tokens, which are to
// be fed again.
func (s *Session) drop() (kept []int) {
	rest := len(s.history) - s.size/2
	kept = slices.Clone(s.history[rest:])
	s.history, s.cached = s.history[:rest], 0
	return kept
}

// Slide removes the older half of the tokens from a full context, as Generate does, and
// has the model read the others again. It returns the scores of every token that could
// come next, as Feed does: what the model expects after the same token when it no longer
// sees the older half. They are nil if no token is left, in a context of one.
func (s *Session) Slide(ctx context.Context) ([]float32, error) {
	if s.cached < s.size {
		return nil, fmt.Errorf("the context holds %d of %d tokens: expected it to be full", s.cached, s.size)
	}
	kept := s.drop()
	if len(kept) == 0 {
		return nil, nil
	}
	return s.Feed(ctx, kept...)
}

// Room is what the session's context has left for a prompt.
func (s *Session) Room() Room { return Room{Used: s.cached, Size: s.size, Model: s.m.Context} }
