package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// ngrams is the drafter that has no model.
const ngrams = "ngrams"

// checkDraft reports flags about guesses that do not go together.
func (f *flags) checkDraft() error {
	switch {
	case f.Draft == nil && f.DraftMax != nil:
		return cli.Usagef("--draft-max=%d without --draft: expected --draft=%s, or --draft with the path of a smaller model", *f.DraftMax, ngrams)
	case f.Draft == nil:
		return nil
	case f.DraftMax != nil && (*f.DraftMax < 1 || *f.DraftMax > gpt.MaxGuesses):
		return cli.Usagef("--draft-max=%d: expected 1 to %d", *f.DraftMax, gpt.MaxGuesses)
	case f.Prompts != nil:
		return cli.Usagef("--draft is for one text: the prompts of --prompts share the steps as it is; leave one of the two out")
	case f.Parallel != nil && *f.Parallel > 1:
		return cli.Usagef("--draft is for one text: the answers of --parallel=%d share the steps as it is; leave one of the two out", *f.Parallel)
	}
	return nil
}

// guesses is how many a step may read; 0: none.
func (f *flags) guesses() int {
	switch {
	case f.Draft == nil:
		return 0
	case f.DraftMax == nil:
		return gpt.MaxGuesses
	}
	return *f.DraftMax
}

// drafter returns what guesses the tokens after a prompt of so many, nil for nothing, and what
// frees it.
func (f *flags) drafter(ctx context.Context, l loaded, prompt int) (_ gpt.Drafter, free func() error, err error) {
	free = func() error { return nil }
	switch {
	case f.Draft == nil:
		return nil, free, nil
	case *f.Draft == ngrams:
		return &gpt.NGrams{}, free, nil
	}
	o := gpt.SessionOptions{Cache: f.cache()}
	flags := cli.ModelFlags{Model: *f.Draft, DType: "auto", ActivationFlag: f.ActivationFlag, NoText: f.NoText, Draft: true}
	m, _, err := flags.Load(ctx, l.model.Backend, func(c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
		if err := f.sameTokens(l, c, t); err != nil {
			return nil, err
		}
		o.Context = min(contextOf(f, l.model.Config), c.Context)
		return &gpt.Use{Context: o.Context, Cache: o.Cache, Feeds: []int{min(prompt+1, o.Context), 2, 1}, Compile: true}, nil
	})
	if err != nil {
		if usage := (cli.UsageError{}); !errors.As(err, &usage) {
			err = fmt.Errorf("--draft: %w", err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; or take --draft=%s, which needs no model", err, ngrams)
		}
		return nil, nil, err
	}
	d, err := gpt.NewModelDrafter(m, o)
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return d, func() error { d.Close(); return m.Close() }, nil
}

// sameTokens reports a draft model whose tokens are not those of the model. Ids that only one
// of them has are padding, or special tokens.
func (f *flags) sameTokens(l loaded, c model.Config, t *tokenizer.Tokenizer) error {
	const expected = "expected a draft model of the same tokenizer"
	switch {
	case l.tokenizer == nil && c.Vocab != l.model.Vocab:
		return cli.Usagef("--draft=%s has %d tokens and %s %d: %s", *f.Draft, c.Vocab, f.ModelFlags.Name(), l.model.Vocab, expected)
	case l.tokenizer == nil:
		return nil
	case t == nil:
		return cli.Usagef("--draft=%s has no tokenizer, so that nothing tells whether its tokens are those of %s: %s", *f.Draft, f.ModelFlags.Name(), expected)
	case c.Vocab < l.tokenizer.VocabSize():
		return cli.Usagef("--draft=%s has %d tokens and %s %d: %s", *f.Draft, c.Vocab, f.ModelFlags.Name(), l.tokenizer.VocabSize(), expected)
	}
	if id, differ := l.tokenizer.FirstDifference(t); differ {
		own, _ := l.tokenizer.Token(id)
		other, _ := t.Token(id)
		return cli.Usagef("--draft=%s has %q as token %d and %s has %q: %s", *f.Draft, other, id, f.ModelFlags.Name(), own, expected)
	}
	return nil
}

// writeDrafted tells how often guesses were right.
func writeDrafted(w io.Writer, d gpt.Drafted) {
	if d.Guesses == 0 {
		fmt.Fprintln(w, "draft: no guess was read: there was none, or it would not have paid")
		return
	}
	fmt.Fprintf(w, "draft: %d of %d guesses were right (%.0f %%), %.2f tokens a step\n", d.Right, d.Guesses, 100*float64(d.Right)/float64(d.Guesses), d.PerStep())
}
