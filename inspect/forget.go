package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"caldera/gpt"
)

// Forget tells what a model still sees of a text that grows beyond its context: when
// the context is full, a session drops the older half of the tokens and computes the
// newer half again, at new positions.
type Forget struct {
	Context int          `json:"context"`        // tokens that the window holds
	Most    int          `json:"most"`           // tokens that it could hold: the model's context
	Tokens  []Token      `json:"tokens"`         // of the whole text
	Text    string       `json:"text"`           // all of it
	Given   int          `json:"given"`          // how many of them were given; the others the model wrote
	Steps   []ForgetStep `json:"steps"`          // the first reads as much of the text as the window holds, each other one token more
	Slides  []Slide      `json:"slides"`         // in order
	Left    int          `json:"left"`           // tokens for which the window has room, after the last step
	Note    string       `json:"note,omitempty"` // why the model wrote fewer tokens than it was asked for
}

// ForgetStep is a step in which the model reads tokens. What it sees are the tokens
// From to To of the whole text.
type ForgetStep struct {
	From int  `json:"from"` // the first token that the model sees
	To   int  `json:"to"`   // the last one, which it has just read
	Read int  `json:"read"` // tokens that it read in this step, those again that it saw before
	Slid bool `json:"slid"` // the window slid in this step

	Next     *Token `json:"next"`     // what came then; null after the last step
	Prob     Float  `json:"prob"`     // of what came; null after the last step
	Surprise Float  `json:"surprise"` // −ln of that probability, in nats; null after the last step
	Entropy  Float  `json:"entropy"`  // of the prediction, in nats
}

// Slide is what happens when the window is full and a token has still to be read.
type Slide struct {
	Step      int   `json:"step"` // in which it happens
	Forgotten Range `json:"forgotten"`
	Kept      Range `json:"kept"`   // computed again
	Before    int   `json:"before"` // position in the window of the first token that is kept; it becomes 0
	Came      Token `json:"came"`   // the token that is read next

	// What the model expects after the last token that is kept: with the whole window,
	// and with what is kept alone. Nothing is kept of a window of one token: then Without
	// is null.
	With    *Outcome `json:"with"` // the outcome of Came
	Without *Outcome `json:"without"`
	KL      Float    `json:"kl"` // Kullback-Leibler divergence of Without from With, in nats: Σ p·ln(p/q), p with the whole window
}

// Range is a part of the text.
type Range struct {
	From int    `json:"from"` // its first token
	To   int    `json:"to"`   // the token behind its last one
	Text string `json:"text"`
}

// ForgetOptions say what Forget has a session do.
type ForgetOptions struct {
	Context  int          // tokens that the window holds; 0: as many as the text has, at least 2, at most the model's context
	Predict  int          // how many tokens the model writes after the text; it never ends it
	Sampling gpt.Sampling // how they are chosen
	Top      int          // how many of the likeliest tokens a slide tells, 0 to 100
}

// ForgetLimit is how many tokens a text may have with which Forget goes beyond the
// window, those included that the model writes: twice the model's context.
func (in *Inspector) ForgetLimit() int { return 2 * in.Model.Context }

func (in *Inspector) checkForget(ids []int, o ForgetOptions) error {
	if err := in.fitsUpTo(in.ForgetLimit(), ids); err != nil {
		return err
	}
	switch {
	case o.Context < 0 || o.Context > in.Model.Context:
		return Userf("context %d: this model can have 1 to %d", o.Context, in.Model.Context)
	case o.Predict < 0 || o.Predict > in.ForgetLimit()-len(ids): // no sum, which may overflow
		return Userf("a text of %d tokens, and %d that the model is to write: expected together at most %d, twice the model's context: have it write fewer, at least 0, or shorten the text", len(ids), o.Predict, in.ForgetLimit())
	case o.Top < 0 || o.Top > maxTop:
		return Userf("top %d: expected 0 to %d of the likeliest tokens", o.Top, maxTop)
	}
	if err := o.Sampling.Validate(); err != nil {
		return UserError{err}
	}
	return nil
}

// Forget has a session with a small window read a text, and write on, and tells what
// leaves the window. It is the session that slides: what it sees is asked of it. Apart
// from Slide, which asks for the prediction in between, the session does the same for
// [gpt.Session.Generate].
func (in *Inspector) Forget(ctx context.Context, ids []int, o ForgetOptions) (*Forget, error) {
	if err := in.checkForget(ids, o); err != nil {
		return nil, err
	}
	if o.Context == 0 {
		o.Context = min(max(2, len(ids)), in.Model.Context)
	}
	s, err := gpt.NewSession(in.Model, gpt.SessionOptions{Context: o.Context, Cache: in.cache})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if in.profiling { // so that there is something to tell what made it
		s.Watch("hidden.final")
	}
	w, err := in.writer(o)
	if err != nil {
		return nil, err
	}
	f := &Forget{Context: o.Context, Most: in.Model.Context, Given: len(ids), Steps: []ForgetStep{}, Slides: []Slide{}}
	total := len(ids) + o.Predict
	text := slices.Clone(ids)
	seen := min(len(ids), o.Context)
	scores, err := s.Feed(ctx, ids[:seen]...)
	if err != nil {
		return nil, err
	}
	f.step(s, seen-1, seen, false)
	d := newDistribution(len(scores))
	for {
		last := &f.Steps[len(f.Steps)-1]
		d.set(scores)
		last.Entropy = Float(d.entropy())
		if seen == total {
			break
		}
		if seen == len(text) {
			id, err := w.next(scores, text)
			if math.IsNaN(float64(last.Entropy)) { // nothing can be drawn from what is no distribution
				f.Note = fmt.Sprintf("the model writes %d of %d tokens: %v", seen-len(ids), o.Predict, err)
				break
			}
			if err != nil {
				return nil, err
			}
			text = append(text, id)
		}
		id := text[seen]
		next := in.Token(id)
		last.Next, last.Prob, last.Surprise = &next, Float(d.probs[id]), Float(0-d.logs[id])
		read, slid := 1, s.Len() == s.Size()
		if slid {
			slide, err := in.slide(ctx, s, seen, id, in.outcome(scores, d, id, o.Top), d, o.Top)
			if err != nil {
				return nil, err
			}
			slide.Step = len(f.Steps)
			f.Slides = append(f.Slides, *slide)
			read += s.Len()
		}
		if err := in.pause(ctx); err != nil {
			return nil, err
		}
		feed := func() (err error) {
			scores, err = s.Feed(ctx, id)
			return err
		}
		if err := in.measure(feed, s.Watched, s.Writers); err != nil {
			return nil, err
		}
		f.step(s, seen, read, slid)
		seen++
	}
	f.Left = s.Size() - s.Len()
	f.Text = in.textRange(text, 0).Text
	for _, id := range text {
		f.Tokens = append(f.Tokens, in.Token(id))
	}
	return f, nil
}

// step adds a step after which the latest token in the window is token to of the text.
func (f *Forget) step(s *gpt.Session, to, read int, slid bool) {
	f.Steps = append(f.Steps, ForgetStep{From: to + 1 - s.Len(), To: to, Read: read, Slid: slid, Prob: Float(math.NaN()), Surprise: Float(math.NaN())})
}

// slide has a full session slide, which has read so many tokens, and reads came next.
// with and d are what it expects before.
func (in *Inspector) slide(ctx context.Context, s *gpt.Session, read, came int, with Outcome, d distribution, top int) (*Slide, error) {
	window := s.Tokens()
	scores, err := s.Slide(ctx)
	if err != nil {
		return nil, err
	}
	kept := s.Tokens()
	dropped := window[:len(window)-len(kept)]
	from := read - len(window)
	slide := &Slide{
		Forgotten: in.textRange(dropped, from), Kept: in.textRange(kept, from+len(dropped)),
		Before: len(dropped), Came: in.Token(came), With: &with, KL: Float(math.NaN()),
	}
	if scores != nil {
		after := newDistribution(len(scores))
		after.set(scores)
		without := in.outcome(scores, after, came, top)
		slide.Without, slide.KL = &without, Float(d.divergence(after))
	}
	return slide, nil
}

// textRange is the part of a text that has these tokens, of which the first is token from.
func (in *Inspector) textRange(ids []int, from int) Range {
	r := Range{From: from, To: from + len(ids)}
	var all strings.Builder
	for i, id := range ids {
		if text, ok := in.text(id); ok {
			all.WriteString(text)
			continue
		}
		if i > 0 {
			all.WriteByte(' ')
		}
		all.WriteString(in.Token(id).Text)
	}
	r.Text = visible(all.String())
	return r
}

// writer chooses tokens as Generate does.
type writer struct {
	sampler *gpt.Sampler
	barred  []int
}

func (in *Inspector) writer(o ForgetOptions) (*writer, error) {
	barred, err := in.barred(gpt.Options{IgnoreEOS: true})
	return &writer{gpt.NewSampler(o.Sampling), barred}, err
}

// next chooses a token after text.
func (w *writer) next(scores []float32, text []int) (int, error) {
	id, _, err := w.sampler.Next(without(scores, w.barred), text)
	return id, err
}
