package gpt

// Drawing the tokens of a batch on the device.

import (
	"errors"
	"slices"

	"caldera/backend"
)

// noSlot is the slot of a row for which nothing is drawn.
const noSlot = -1

// drawsOnDevice reports whether the step of a plan draws its tokens, and tells the device
// about sequences that it does not know yet. If one of them is for the host all are, and so
// where forks wait, which draw from the scores of another sequence.
func (b *Batch) drawsOnDevice(p plan) (bool, error) {
	for _, s := range b.live {
		if s.of != nil || !b.canDraw(s.drawer, b.o.Sequences) {
			return false, nil
		}
	}
	tokens := p.all()
	for _, at := range p.scored {
		if tokens[at].again {
			return false, nil
		}
	}
	for _, at := range p.scored {
		s := tokens[at].Sequence
		if s.slot {
			continue
		}
		if err := b.draws.begin(b.m.Backend, s.row, s.drawer, s.history); err != nil {
			return false, err
		}
		s.slot = true
	}
	return true, nil
}

// flight is a step that was submitted.
type flight struct {
	*step
	p    plan
	rows []int               // of what the step drew: that of each of p.scored
	wait func([]int32) error // for that; nil if the step does not draw
}

// fly is a step of a plan, which was just submitted.
func (b *Batch) fly(step *step, p plan, rows []int) (*flight, error) {
	f := &flight{step: step, p: p, rows: rows}
	if !step.size.draws || len(p.scored) == 0 {
		return f, nil
	}
	var err error
	f.wait, err = backend.FetchI32(b.m.Backend, step.drawn)
	return f, err
}

// landing is the step that was submitted ahead, without sequences that have ended since or
// whose token the host has to draw. It is nil if none is left, or if prompts alone are to be
// read: then the device has to be told again what was drawn.
func (b *Batch) landing(prompts bool) *flight {
	f := b.ahead
	if b.ahead = nil; f == nil {
		return nil
	}
	left := &flight{step: f.step, wait: f.wait}
	for i, t := range f.p.single {
		switch {
		case prompts:
			t.slot = false
		case !t.ended && !t.again:
			left.p.scored = append(left.p.scored, len(left.p.single))
			left.p.single = append(left.p.single, t)
			left.rows = append(left.rows, f.rows[i])
			t.read++
		}
	}
	if len(left.p.single) == 0 {
		return nil
	}
	return left
}

// readAhead submits the step after f, before the host knows what f draws: that reads a token
// of each sequence, which the device has written to the inputs. It is nil where that cannot
// be: where a sequence has more to read, has to be drawn for by the host, or its context gets
// full. Rows stay where they are, those of sequences that end with f are padding; where these
// are many, the next step is planned anew. What is read for a sequence that ends
// nevertheless is dropped, and its next position is not counted as read before.
func (b *Batch) readAhead(f *flight) (*flight, error) {
	if f.wait == nil || b.left > mostLeft || len(f.p.scored) != len(b.live) {
		return nil, nil
	}
	tokens := f.p.all()
	var p plan
	var rows []int
	for i, at := range f.p.scored {
		s := tokens[at].Sequence
		switch d := s.drawer; {
		case s.read == b.o.Context:
			return nil, nil
		case d.Predict < 0 || d.count+1 < d.Predict:
			p.scored = append(p.scored, len(p.single))
			p.single = append(p.single, token{s, s.read})
			rows = append(rows, f.rows[i])
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	n := ceilPow2(slices.Max(rows) + 1)
	if ceilPow2(len(rows)) < n {
		return nil, nil
	}
	b.held = f.step // the host may have to draw from its scores
	step, err := b.get(stepSize{single: n, scored: n, draws: true}, nil, maxBatchSteps)
	b.held = nil
	switch {
	case errors.Is(err, backend.ErrOutOfMemory):
		return nil, nil // the next step needs no memory beside that of this one
	case err != nil:
		return nil, err
	}
	values := stepInputs(nil, 0, 0, n)
	slots := slices.Repeat([]int32{noSlot}, n)
	for i, t := range p.single {
		put(values, rows[i], 0, t.row, t.pos)
		slots[rows[i]] = int32(t.row)
	}
	if err := b.extendAll(p.single); err != nil {
		return nil, err
	}
	if err := b.tell(); err != nil {
		return nil, err
	}
	if values, err = b.place(step, append(values, slots...)); err != nil {
		return nil, err
	}
	values = values[n:] // ids are there
	if err := backend.SetI32(b.m.Backend, b.inputs.Slice(-1, n, n+len(values)), values); err != nil {
		return nil, err
	}
	if err := step.Run(); err != nil {
		return nil, err
	}
	b.last = step
	return b.fly(step, p, rows)
}

// fetchDrawn brings what a step has drawn to the host, and the scores of rows that the host
// is to draw for. If a step was submitted behind it, which may overwrite these, such a
// sequence reads its token again instead, and is left out of p.
func (b *Batch) fetchDrawn(f *flight) error {
	words := make([]int32, f.drawn.Len())
	if f.wait != nil {
		if err := f.wait(words); err != nil {
			return err
		}
	}
	b.drawn, b.left = make([]backend.SampleResult, 0, len(f.p.scored)), max(b.left-1, 0)
	vocab, tokens := b.m.Vocab, f.p.all()
	var scored []int
	for i, at := range f.p.scored {
		r := backend.ReadSampleResult(words[f.rows[i]*backend.SampleWords:])
		if r.Status == backend.SampleTooMany {
			b.left += 2
			if b.ahead != nil {
				s := tokens[at].Sequence
				s.again, s.slot = true, false
				s.read--
				continue
			}
			n := len(scored)
			b.logits = slices.Grow(b.logits[:min(len(b.logits), n*vocab)], len(f.p.scored)*vocab)[:len(f.p.scored)*vocab]
			if err := backend.GetF32(b.m.Backend, f.logits.Slice(-2, f.rows[i], f.rows[i]+1), b.logits[n*vocab:(n+1)*vocab]); err != nil {
				return err
			}
		}
		scored, b.drawn = append(scored, at), append(b.drawn, r)
	}
	f.p.scored = scored
	return nil
}

// take gives an event the token that was drawn on the device.
func (e *Event) take(r backend.SampleResult) {
	e.Token, e.Err = e.Sequence.drawer.take(r)
	e.drew()
}
