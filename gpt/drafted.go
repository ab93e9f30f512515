package gpt

// Speculative decoding: steps that read the latest token and guesses of those after it.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"caldera/backend"
)

// Drafted counts what came of the guesses of the latest Generate.
func (s *Session) Drafted() Drafted { return s.drafted }

// generateDrafted is generate with a drafter. A step reads the latest token and guesses of the
// tokens after it, and scores each position. From the first one the next token is drawn, as
// without guesses. While it is the guess, the position after it has the scores that reading it
// would have given, and the token after that is drawn from these. A token that is no guess is
// read by the next step, which overwrites the positions of wrong guesses: the session does not
// have them. Where the context is full, or values are watched, a step reads one token.
func (s *Session) generateDrafted(ctx context.Context, prompt []int, d *drawer, yield func(Token) bool) error {
	s.drafted = Drafted{}
	if err := d.Drafter.Begin(s.m, d.Options); err != nil {
		return err
	}
	p := newPace(s.m, d.Options)
	logits, err := s.Feed(ctx, prompt...)
	if err != nil {
		return err
	}
	slid := false
	for guesses := []int(nil); ; {
		var last int // drawn, not read
		for i := 0; ; i++ {
			token, err := d.draw(logits[i*s.m.Vocab:(i+1)*s.m.Vocab], s.history)
			if token == nil || err != nil {
				if err == nil && s.drafted.Steps > 0 {
					s.drafted.Tokens++
				}
				return err
			}
			last = token.ID
			right := i < len(guesses) && guesses[i] == last
			if right {
				s.drafted.Right++
			}
			if i < len(guesses) {
				p.learn(right)
			}
			if s.drafted.Steps > 0 {
				s.drafted.Tokens++
			}
			p.compare(last)
			if token.Slid = slid && i == 0; !yield(*token) || d.done() {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if !right {
				break
			}
			s.history = append(s.history, last)
			s.cached++
		}
		s.drafted.Steps++
		if guesses, slid = nil, s.cached == s.size; slid {
			if logits, _, err = s.next(ctx, last, d.Keep); err != nil {
				return err
			}
			continue
		}
		if guesses, err = s.guess(ctx, d, p, last); err != nil {
			return err
		}
		if logits, guesses, err = s.readGuesses(ctx, p, last, guesses); err != nil {
			return err
		}
		s.drafted.Guesses += len(guesses)
	}
}

// guess asks for guesses of what follows the token that was drawn last: as many as pay, as fit
// into the context, and as are asked for of the text.
func (s *Session) guess(ctx context.Context, d *drawer, p *pace, last int) ([]int, error) {
	room := s.size - s.cached - 1
	if d.Predict >= 0 {
		room = min(room, d.Predict-d.count-1)
	}
	if room < 1 || len(s.watch) > 0 {
		return nil, nil
	}
	n, ask := p.guesses(room)
	if ask == 0 {
		return nil, nil
	}
	text := Draft{Tokens: append(s.history, last), Context: s.cached - len(s.head) + 1, Draws: d.sampler.draws}
	begin := time.Now()
	guesses, err := d.Drafter.Draft(ctx, text, ask)
	if err != nil {
		return nil, err
	}
	if len(guesses) > ask {
		return nil, fmt.Errorf("the drafter made %d guesses: expected at most %d", len(guesses), ask)
	}
	if err := known(guesses, "the guesses", s.m.Vocab); err != nil {
		return nil, err
	}
	p.asked(len(guesses), time.Since(begin))
	if n > 0 || len(guesses) == 0 {
		return guesses, nil
	}
	p.expected = guesses[0]
	return nil, nil
}

// readGuesses reads a token and guesses of those that follow it, and returns the scores after
// each, one row after the other, and the guesses, of which there are none where the step that
// reads them has no memory. The session then has the token, and no guess.
func (s *Session) readGuesses(ctx context.Context, p *pace, last int, guesses []int) (logits []float32, read []int, err error) {
	ids := append([]int{last}, guesses...)
	size := draftedStep(len(ids))
	var step *step
	if len(guesses) > 0 {
		if step, err = s.sized(size); errors.Is(err, backend.ErrOutOfMemory) {
			p.most = 0
		} else if err != nil {
			return nil, nil, err
		}
	}
	begin := time.Now() // recording a step is done once
	if step == nil {
		logits, err = s.Feed(ctx, last)
		p.ran(1, time.Since(begin))
		return logits, nil, err
	}
	if err := s.run(step, stepInputs(ids, 0, s.cached, size.chunk)); err != nil {
		return nil, nil, err
	}
	n := len(ids) * s.m.Vocab
	s.rows = slices.Grow(s.rows[:0], n)[:n]
	if err := backend.GetF32(s.m.Backend, step.logits.Slice(-2, 0, len(ids)), s.rows); err != nil {
		return nil, nil, err
	}
	p.ran(size.chunk, time.Since(begin))
	s.history = append(s.history, last)
	s.cached++
	return s.rows, guesses, nil
}

// draftedStep is the size of a step that reads so many tokens and scores each. Those that fill
// it up are padding.
func draftedStep(tokens int) stepSize {
	n := ceilPow2(tokens)
	return stepSize{chunk: n, scored: n}
}

// rewind forgets the tokens of the context but the first n.
func (s *Session) rewind(n int) {
	s.history = s.history[:len(s.history)-s.cached+max(n, len(s.head))]
	s.head = s.head[:min(n, len(s.head))]
	if s.cached = n; n == 0 {
		s.tail.start = 0
	}
}
