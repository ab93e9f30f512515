//go:build watch && cgo

package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"

	"caldera/gpt"
	"caldera/gpt/model"
)

// likeliest is how many of the likeliest next tokens are shown.
const likeliest = 12

// story is the text that the model continues, token by token.
type story struct {
	model   *model.Model
	session *gpt.Session
	options gpt.Options
	prompt  []int // what of the prompt the model has not read yet
	ids     []int // all tokens since the start, the drawn one too
	begun   int   // how many of ids are the prompt's
	known   int   // how many of ids the model has read

	drawn *gpt.Token // the token that was drawn from what the model says now, which it has not read yet
	next  func() (gpt.Token, error, bool)
	stop  func()
	over  string // why nothing follows, or ""
	fault error  // of the model's scores: no token can be drawn from them

	out    io.Writer // gets the text as it grows
	decode func(id int) string
	broken error // of writing to out
}

func newStory(m *model.Model, t texts, s *gpt.Session, prompt []int, o gpt.Options, out io.Writer) *story {
	st := &story{model: m, session: s, options: o, prompt: prompt, ids: slices.Clone(prompt), begun: len(prompt), out: out, decode: t.decoder(), stop: func() {}}
	for _, id := range prompt {
		st.write(id)
	}
	return st
}

// write prints a token's text.
func (s *story) write(id int) {
	if s.model.Ends(id) || slices.Contains(s.model.BOS, id) {
		return
	}
	if s.broken == nil {
		_, s.broken = io.WriteString(s.out, s.decode(id))
	}
}

// close ends the text. It returns the error of writing it, or why it could not go on.
func (s *story) close() error {
	s.stop()
	if s.broken == nil {
		_, s.broken = io.WriteString(s.out, "\n")
	}
	return cmp.Or(s.broken, s.fault)
}

// context returns the tokens in the session's context, oldest first.
func (s *story) context() []int { return s.ids[s.known-s.session.Len() : s.known] }

// reading reports whether the next thing that the model reads is a part of the prompt
// from which no token is drawn: all but the last token of it.
func (s *story) reading() bool { return len(s.prompt) > 1 }

// read is how many tokens a step of the story made the model read: the last ones of
// the context.
type read struct {
	tokens int
	anew   bool // the positions of all tokens are others than before
}

// advance makes the model read what comes next: a part of the prompt, or the token
// that was drawn. After the whole prompt it draws a token from what the model says.
// It reads 0 tokens when the story is over. If no token can be drawn from the scores, such
// as NaN, the story is over too, so that a person can look for where they come from.
func (s *story) advance(ctx context.Context) (read, error) {
	if s.over != "" {
		return read{}, nil
	}
	if s.reading() {
		n := min(len(s.prompt)-1, chunk(s.model.Config, s.session.Size()))
		if _, err := s.session.Feed(ctx, s.prompt[:n]...); err != nil {
			return read{}, err
		}
		s.prompt, s.known = s.prompt[n:], s.known+n
		return read{tokens: n}, nil
	}
	if s.next == nil {
		s.next, s.stop = iter.Pull2(s.session.Generate(ctx, s.prompt, s.options))
	}
	r := read{tokens: 1}
	if r.anew = s.session.Len() == s.session.Size(); r.anew { // its older half leaves it
		r.tokens += s.session.Size() / 2
		if tooMuch(s.model.Config, s.session.Size(), r.tokens) {
			s.session.Watch()
			defer s.session.Watch(watched...)
		}
	}
	token, err, ok := s.next()
	if fault := (*gpt.LogitError)(nil); errors.As(err, &fault) {
		s.known, s.drawn, s.fault, s.over = len(s.ids), nil, err, "no next token: the scores are not finite"
		return r, nil
	}
	if err != nil {
		return read{}, err
	}
	if n := len(s.ids) - s.begun; !ok && n == s.options.Predict { // the last one is not read
		s.over = fmt.Sprintf("%d tokens are written", n)
		return read{}, nil
	}
	s.known, s.drawn = len(s.ids), nil
	if !ok {
		s.over = "the model has ended the text"
	} else {
		s.drawn = &token
		s.ids = append(s.ids, token.ID)
		s.write(token.ID)
	}
	return r, s.broken
}

// Bounds of what watching may take in bytes: a part of the prompt, and what is read
// again when the context is full.
const (
	chunkMemory = 32 << 20
	anewMemory  = 256 << 20
)

// chunk is how many tokens of the prompt are read at once, a power of two: so many that
// their maps of attention take little memory.
func chunk(c model.Config, size int) int {
	n, each := 64, 4*c.Layers*c.Heads*size
	for n > 1 && n*each > chunkMemory {
		n /= 2
	}
	return n
}

// tooMuch reports whether maps of attention of so many tokens would take too much memory.
func tooMuch(c model.Config, size, tokens int) bool {
	tokens = 1 << bits.Len(uint(min(tokens, gpt.MaxChunk)-1)) // as sessions round it
	return 4*c.Layers*c.Heads*size*tokens > anewMemory
}
