package gpt

// Drawing the tokens of a batch on the device.

import (
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

// fetchDrawn brings what a step has drawn to the host, and the scores of rows that the host
// is to draw for.
func (b *Batch) fetchDrawn(step *step, p plan) error {
	words := make([]int32, step.drawn.Len())
	if len(p.scored) > 0 {
		if err := backend.GetI32(b.m.Backend, step.drawn, words); err != nil {
			return err
		}
	}
	b.drawn = make([]backend.SampleResult, len(p.scored))
	vocab := b.m.Vocab
	for i := range p.scored {
		row := p.row(step.size, i)
		b.drawn[i] = backend.ReadSampleResult(words[row*backend.SampleWords:])
		if b.drawn[i].Status != backend.SampleTooMany {
			continue
		}
		if need := len(p.scored) * vocab; len(b.logits) < need {
			b.logits = make([]float32, need)
		}
		if err := backend.GetF32(b.m.Backend, step.logits.Slice(-2, row, row+1), b.logits[i*vocab:(i+1)*vocab]); err != nil {
			return err
		}
	}
	return nil
}

// take gives an event the token that was drawn on the device.
func (e *Event) take(r backend.SampleResult) {
	e.Token, e.Err = e.Sequence.drawer.take(r)
	e.drew()
}
