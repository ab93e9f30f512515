package gpt

import (
	"context"
	"fmt"

	"caldera/gpt/model"
)

// ModelDrafter is a [Drafter] that has a second, smaller model of the same vocabulary. It
// draws each guess as the text's own token will be drawn: with the same settings and the same
// random number of the seed. So it is always right where both models give the same scores, at
// any temperature, and often where they give similar ones.
type ModelDrafter struct {
	session *Session
	drawer  *drawer // nil before Begin
	start   int     // how many tokens of the text have left the context
}

// NewModelDrafter returns a drafter that runs m, which it does not close. o.Context may be
// smaller than that of the text: then m sees less of it.
func NewModelDrafter(m *model.Model, o SessionOptions) (*ModelDrafter, error) {
	s, err := NewSession(m, o)
	if err != nil {
		return nil, fmt.Errorf("the draft model: %w", err)
	}
	return &ModelDrafter{session: s}, nil
}

// Close frees the memory of its session.
func (d *ModelDrafter) Close() { d.session.Close() }

// Begin implements [Drafter]. It is an error if the draft model has another vocabulary: ids
// above those of a tokenizer, which are padding, are not compared.
func (d *ModelDrafter) Begin(m *model.Model, o Options) error {
	own := d.session.m
	if o.Vocab > own.Vocab || o.Vocab == 0 && m.Vocab != own.Vocab {
		known := o.Vocab
		if known == 0 {
			known = m.Vocab
		}
		return fmt.Errorf("the draft model has %d tokens and the model %d: expected a draft model of the same tokenizer", own.Vocab, known)
	}
	o = Options{Sampling: o.Sampling, Predict: -1, IgnoreEOS: o.IgnoreEOS, Vocab: o.Vocab, Barred: o.Barred}
	var err error
	if d.drawer, err = newDrawer(own, o, 0); err != nil {
		return err
	}
	d.drawer.sampler.useThreads(own.Backend)
	d.start = 0
	return nil
}

// Draft implements [Drafter].
func (d *ModelDrafter) Draft(ctx context.Context, text Draft, n int) ([]int, error) {
	guesses, err := d.draft(ctx, text, n)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the draft model: %w", err)
	}
	return guesses, err
}

func (d *ModelDrafter) draft(ctx context.Context, text Draft, n int) (guesses []int, err error) {
	s, all := d.session, text.Tokens
	d.start = max(d.start, len(all)-text.Context)
	if len(all)-d.start+n-1 > s.size { // the last guess is not read
		kept := max(1, s.size/2)
		d.start = max(d.start, len(all)-kept)
		n = min(n, s.size-(len(all)-d.start)+1)
	}
	window := all[d.start:]
	if known(window, "the text", s.m.Vocab) != nil {
		return nil, nil // it is padding of the other model, which this one cannot read
	}
	// What it has read ahead counts as far as it was right.
	logits, err := s.Feed(ctx, s.Resume(window)...)
	if err != nil {
		return nil, err
	}
	history := append([]int(nil), d.drawer.sampler.looksAt(all)...)
	d.drawer.sampler.draws = text.Draws
	for {
		token, err := d.drawer.draw(logits, history)
		if token == nil || err != nil {
			return guesses, err // what follows the end of a text is of no use
		}
		guesses, history = append(guesses, token.ID), append(history, token.ID)
		if len(guesses) == n {
			return guesses, nil
		}
		if logits, err = s.Feed(ctx, token.ID); err != nil {
			return nil, err
		}
	}
}
