package gpt

// Drawing tokens on the device, a step ahead: while the host looks at a token, the device
// already reads it and draws the next one.

import (
	"cmp"
	"context"
	"fmt"

	"caldera/backend"
	"caldera/nn"
)

// maxWindow is how many tokens back the repeat penalty can look on the device, unless it
// looks at all of them.
const maxWindow = 1024

// mostLeft is how often the device may leave tokens to the host, less half as often as it drew
// since, before the host draws the rest of a text: each of them costs a step.
const mostLeft = 16

// drawAnywhere lets devices draw that take the host's processors: for tests.
var drawAnywhere = false

// draws is what a device draws tokens with: settings and recent tokens of each slot.
type draws struct{ nn.Sampling }

// newDraws allocates it for so many slots. Those of a step's rows are inputs of the step.
func newDraws(b backend.Backend, slots, vocab int) (*draws, error) {
	d := &draws{}
	var err error
	alloc := func(t *backend.Tensor, dims ...int) {
		if err == nil {
			*t, err = backend.New(b, backend.I32, dims...)
		}
	}
	alloc(&d.Settings, slots, backend.SampleSettingWords)
	alloc(&d.Marks, slots, 2, (vocab+31)/32)
	alloc(&d.Recent, slots, 2+maxWindow)
	if err != nil {
		d.free()
		return nil, err
	}
	return d, nil
}

func (d *draws) free() {
	if d == nil {
		return
	}
	for _, t := range []backend.Tensor{d.Settings, d.Marks, d.Recent} {
		if !t.Absent() {
			t.Buf.Free()
		}
	}
}

// begin sets a slot up for a text whose tokens so far are history.
func (d *draws) begin(b backend.Backend, slot int, x *drawer, history []int) error {
	settings := x.sampler.words
	window := int(settings.Window)
	marks := make([]int32, d.Marks.Dim(-1)*2)
	mark := func(row, id int) { marks[row*d.Marks.Dim(-1)+id/32] |= 1 << (id % 32) }
	for _, id := range x.barred {
		mark(0, id)
	}
	state := make([]int32, 2+max(window, 0))
	state[0] = int32(x.sampler.draws)
	if window >= 0 {
		history = history[max(0, len(history)-window):]
		copy(state[2:], int32s(history))
	}
	if window != 0 {
		state[1] = int32(len(history))
		for _, id := range history {
			mark(1, id)
		}
	}
	words := settings.Words()
	for _, x := range []struct {
		t      backend.Tensor
		values []int32
	}{
		{d.Settings.Slice(-2, slot, slot+1), words[:]},
		{d.Marks.Slice(1, slot, slot+1), marks},
		{d.Recent.Slice(-2, slot, slot+1).Slice(-1, 0, len(state)), state},
	} {
		if err := backend.SetI32(b, x.t, x.values); err != nil {
			return err
		}
	}
	return nil
}

// canDraw reports whether the device draws the tokens of a text in so many slots: where it
// works beside the host, and all that is asked for of a token is its id and its
// probability. It allocates s.draws.
func (s *steps) canDraw(d *drawer, slots int) bool {
	switch {
	case d.LogProbs > 0 || d.Drawn > 0 || d.Drafter != nil || d.sampler.words.Window > maxWindow:
		return false
	case s.m.Vocab > backend.MaxCandidates && d.Temperature > 0 && d.TopK == 0 && d.sampler.words.TopP == 0 && d.MinP == 0:
		return false // all tokens are candidates
	}
	return s.deviceDraws(slots)
}

// deviceDraws is canDraw as far as that depends on the device.
func (s *steps) deviceDraws(slots int) bool {
	b, vocab := s.m.Backend, s.m.Vocab
	if f, ok := backend.As[backend.Fetcher](b); !ok || !f.Beside() && !drawAnywhere {
		return false
	}
	if s.draws == nil {
		i32 := func(dims ...int) backend.Tensor { return backend.Of(nil, backend.I32, 0, dims...) }
		op := &backend.Sample{
			Dst: i32(1, backend.SampleWords), Next: i32(1), X: backend.Of(nil, backend.F32, 0, 1, vocab), Slots: i32(1),
			Settings: i32(slots, backend.SampleSettingWords), Marks: i32(slots, 2, (vocab+31)/32), Recent: i32(slots, 2+maxWindow),
		}
		if op.Check() != nil || !b.Supports(op) {
			return false
		}
		s.draws, _ = newDraws(b, slots, vocab) // without memory for it the host draws
	}
	return s.draws != nil
}

// DrawsOnDevice reports whether Generate with these options has the device draw the tokens, a
// step ahead of the host.
func (s *Session) DrawsOnDevice(o Options) bool {
	d, err := newDrawer(s.m, o, 1)
	return err == nil && len(s.watch) == 0 && s.canDraw(d, 1)
}

// drawing is a step that draws a token, and how to wait for that.
type drawing struct {
	*step
	wait func([]int32) error
}

// fetch begins to bring what a step has drawn to the host.
func (s *Session) fetch(p *step) (drawing, error) {
	wait, err := backend.FetchI32(s.m.Backend, p.drawn)
	return drawing{p, wait}, err
}

// generateAhead is generate on a device that draws the tokens. Before the host waits for a
// token, the step that reads it is submitted. What is read ahead counts only when the
// text goes on: until then the session does not have it, and whatever is fed next
// overwrites it. Where the context is full nothing is read ahead. Once the caller watches
// values the host draws, a step at a time.
func (s *Session) generateAhead(ctx context.Context, prompt []int, d *drawer, yield func(Token) bool) error {
	if err := known(prompt, "the input", s.m.Vocab); err != nil {
		return err
	}
	if err := s.draws.begin(s.m.Backend, 0, d, append(s.history[:len(s.history):len(s.history)], prompt...)); err != nil {
		return err
	}
	now, err := s.feedAhead(ctx, prompt)
	if err != nil {
		return err
	}
	left := 0 // how often the device left a token to the host of late
	for slid := false; ; {
		var next drawing
		var ahead error // of reading ahead: the token that is drawn comes first
		if (d.Predict < 0 || d.count+1 < d.Predict) && s.cached < s.size {
			next, ahead = s.readAhead()
		}
		var words [backend.SampleWords]int32
		if err := now.wait(words[:]); err != nil {
			return err
		}
		result := backend.ReadSampleResult(words[:])
		forHost := result.Status == backend.SampleTooMany
		var token *Token
		if forHost {
			var logits []float32
			if logits, err = s.scoresAgain(ctx, now.step, next.step); err != nil {
				return err
			}
			if left += 2; left > mostLeft {
				return s.generateFrom(ctx, logits, slid, d, yield)
			}
			token, err = d.draw(logits, s.history)
		} else {
			left = max(left-1, 0)
			token, err = d.take(result)
		}
		if token == nil || err != nil {
			return err
		}
		if token.Slid = slid; !yield(*token) || d.done() {
			return nil
		}
		if err := cmp.Or(ctx.Err(), ahead); err != nil {
			return err
		}
		if len(s.watch) > 0 { // since this token: a step that was read ahead has no values
			logits, slid, err := s.next(ctx, token.ID, d.Keep)
			if err != nil {
				return err
			}
			return s.generateFrom(ctx, logits, slid, d, yield)
		}
		if forHost { // the device does not know of the token, and has read another one
			if err := s.draws.begin(s.m.Backend, 0, d, append(s.history[:len(s.history):len(s.history)], token.ID)); err != nil {
				return err
			}
		}
		ids := []int{token.ID}
		if slid = s.cached == s.size; slid {
			ids = append(s.drop(d.Keep), token.ID)
		}
		if slid || forHost {
			if now, err = s.feedAhead(ctx, ids); err != nil {
				return err
			}
			continue
		}
		s.history = append(s.history, token.ID)
		s.cached++
		now = next
	}
}

// feedAhead reads ids and draws the token after them.
func (s *Session) feedAhead(ctx context.Context, ids []int) (drawing, error) {
	p, err := s.feed(ctx, ids, true)
	if err != nil {
		return drawing{}, err
	}
	return s.fetch(p)
}

// readAhead reads the token that is drawn last, which only the device knows, and draws the
// one after it.
func (s *Session) readAhead() (drawing, error) {
	s.held = s.last // the host may have to draw from its scores
	p, err := s.step(1, true)
	s.held = nil
	if err != nil {
		return drawing{}, err
	}
	if err := s.tail.reach(s.m, s.cache, s.cached, 1); err != nil {
		return drawing{}, err
	}
	pos := int32(s.cached)
	values := append([]int32{0, pos, 0}, s.tail.near([]int32{pos})...)
	if err := backend.SetI32(s.m.Backend, s.inputs.Slice(-1, 1, 1+len(values)), values); err != nil {
		return drawing{}, err
	}
	if err := p.Run(); err != nil {
		return drawing{}, err
	}
	s.last = p
	return s.fetch(p)
}

// scoresAgain returns the scores that step p left, though the step after it may have
// overwritten them.
func (s *Session) scoresAgain(ctx context.Context, p, after *step) ([]float32, error) {
	if p == after { // which read one token; so did p
		last := s.history[len(s.history)-1]
		s.history, s.cached = s.history[:len(s.history)-1], s.cached-1
		return s.Feed(ctx, last)
	}
	err := backend.GetF32(s.m.Backend, p.logits, s.logits)
	return s.logits, err
}

// take is what was drawn on the device as a token, or nil if the model ends the text.
func (d *drawer) take(r backend.SampleResult) (*Token, error) {
	switch r.Status {
	case backend.SampleNotFinite:
		return nil, notFinite(int(r.ID), r.Logit)
	case backend.SampleNone:
		return nil, errAllBarred()
	case backend.SampleDrawn:
	default:
		return nil, fmt.Errorf("sampling: the device says %d, expected a status", r.Status)
	}
	if int(r.ID) >= d.m.Vocab || r.ID < 0 {
		return nil, fmt.Errorf("sampling: the device drew token %d, expected 0 to %d", r.ID, d.m.Vocab-1)
	}
	d.sampler.draws++
	if d.m.Ends(int(r.ID)) {
		return nil, nil
	}
	d.count++
	return &Token{ID: int(r.ID), LogProb: r.LogProb()}, nil
}
