package gpt

// A step of a batch: which tokens it reads, and what is drawn from their scores.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"caldera/backend"
)

// Event is what a step gave to a sequence.
type Event struct {
	Sequence *Sequence
	Token    *Token // that was drawn; nil if the model ended the text, or drawing failed
	End      End    // why the sequence has ended, or Running
	Err      error  // of drawing its token, if End is Failed
}

// End is why a sequence is no longer part of its batch.
type End int

const (
	Running   End = iota // it goes on
	Limit                // Options.Predict tokens were drawn
	EndOfText            // the model ended the text
	Failed               // no token could be drawn: see Event.Err
)

// A prompt that ends before this position may be read as single tokens, beside the chunk of
// another. Each reads keys and values for itself, which is little as long as these are few.
const shortPrompt = 128

// cheapRows is how many rows a product may have and still take little longer than one row.
const cheapRows = 64

// leastChunk is the least number of tokens that a chunk is padded to, so that there are
// few sizes of steps.
const leastChunk = 16

// maxBatchSteps bounds the bytes of the recorded steps of a batch, apart from the one in
// use.
const maxBatchSteps = 256 << 20

// token is one that a step reads: that of a sequence at a position.
type token struct {
	*Sequence
	pos int
}

// plan is what a step reads.
type plan struct {
	single, chunk []token
	scored        []int // of single then chunk, those that are the last of their sequence
}

// Step reads, in one pass over the weights, the next token of each sequence that has
// read its prompt, and a part of the prompts of the others: the next MaxChunk tokens, or
// BatchOptions.Chunk if others wait. For each sequence that has then read all its tokens
// one is drawn. It returns these, and the ends of sequences, in the order of admission;
// or, without a step, those that a loop of [Batch.Run] left behind.
// Nothing has changed if the error is that of ctx.
//
// Where the device draws the tokens, and no prompt is left to read, the next step is
// submitted before this one's tokens are there: a sequence that is admitted then reads its
// prompt in the step after that.
func (b *Batch) Step(ctx context.Context) ([]Event, error) { return b.step(ctx, false) }

// Prefill is a Step of prompts alone: sequences that have read theirs wait. Where no
// prompt is left to read, it does nothing and returns nil.
func (b *Batch) Prefill(ctx context.Context) ([]Event, error) { return b.step(ctx, true) }

func (b *Batch) step(ctx context.Context, prompts bool) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if events := b.untold; len(events) > 0 {
		b.untold = nil
		return events, nil
	}
	if b.failed != nil || len(b.live) == 0 {
		return nil, b.failed
	}
	f := b.landing(prompts)
	if f == nil {
		p := b.plan(prompts)
		if len(p.single)+len(p.chunk) == 0 {
			return nil, nil
		}
		var err error
		if f, err = b.read(p); err != nil {
			return nil, err
		}
	}
	var ahead error // of reading ahead: the tokens that are drawn come first
	b.ahead, ahead = b.readAhead(f)
	if b.failed = b.fetch(f); b.failed != nil {
		return nil, b.failed
	}
	events, err := b.draw(f.p)
	b.failed = cmp.Or(err, ahead)
	return events, err
}

// plan chooses the tokens. Each sequence that waits for its next one gets it. Of the
// others those that came first go first. One of them gets the chunk; prompts that are
// short, and fit beside it, are read as single tokens. If it is to be prompts alone, the
// sequences that have drawn a token and read all others get none.
func (b *Batch) plan(prompts bool) (p plan) {
	budget := MaxChunk
	if b.tail.rows > 0 {
		budget = min(budget, tailStep)
	}
	var readers []*Sequence
	for _, s := range b.live {
		switch {
		case s.of != nil:
		case s.pending() > 1:
			readers = append(readers, s)
		case prompts && s.Generated() > 0:
		default:
			p.scored = append(p.scored, len(p.single))
			p.single = append(p.single, token{s, s.read})
			budget = min(budget, b.o.Chunk)
		}
	}
	slices.SortFunc(readers, func(x, y *Sequence) int { return x.turn - y.turn })
	var chunk *Sequence
	count, short := map[*Sequence]int{}, 0
	for _, s := range readers {
		n := min(s.pending(), budget)
		long := s.read+n > shortPrompt
		if n == 0 || long && chunk != nil {
			continue
		}
		if long {
			chunk = s
		} else {
			short += n
		}
		count[s] = n
		budget -= n
	}
	padding := ceilPow2(len(p.single)) - len(p.single) // that may be tokens as well
	if chunk == nil && short > padding {
		chunk = slices.MaxFunc(readers, func(x, y *Sequence) int { return count[x] - count[y] })
		short -= count[chunk]
	}
	room := max(padding, unpadded(len(p.single)+short)-len(p.single))
	if room == 0 && short > 0 {
		chunk = readers[0] // so that it does not wait for all those that come after it
	}
	for _, s := range readers {
		if n := min(count[s], room); s != chunk && n > 0 {
			room -= n
			p.add(s, n, &p.single)
		}
	}
	if chunk != nil {
		p.add(chunk, unpadded(count[chunk]), &p.chunk)
	}
	return p
}

// add appends the next n tokens of a sequence. The last one's scores are asked for if the
// sequence has then read all.
func (p *plan) add(s *Sequence, n int, to *[]token) {
	for i := range n {
		*to = append(*to, token{s, s.read + i})
	}
	if n == s.pending() {
		p.scored = append(p.scored, len(p.single)+len(p.chunk)-1)
	}
}

// unpadded is how many of n tokens to read at once: those of a power of two, if padding the
// others to the next one would take longer than to read them in a step of their own. Few
// rows take as long as their weights.
func unpadded(n int) int {
	if up := ceilPow2(n); n > cheapRows && up > n+n/3 {
		return up / 2
	}
	return n
}

// all are the tokens that are read.
func (p *plan) all() []token { return slices.Concat(p.single, p.chunk) }

// size is that of the step to take.
func (p *plan) size() stepSize {
	n := stepSize{single: ceilPow2(len(p.single))}
	if len(p.chunk) > 0 {
		n.chunk = max(ceilPow2(len(p.chunk)), leastChunk)
	}
	singles := 0
	for _, i := range p.scored {
		if i < len(p.single) {
			singles++
		}
	}
	n.scored = ceilPow2(singles)
	if n.chunk > 0 {
		n.scored++ // whether the chunk ends its prompt or not, so that one step serves both
	}
	n.scored = max(n.scored, 1)
	return n
}

// read submits a step.
func (b *Batch) read(p plan) (*flight, error) {
	tokens := p.all()
	if err := b.extendAll(tokens); err != nil {
		return nil, err
	}
	size := p.size()
	var err error
	if size.draws, err = b.drawsOnDevice(p); err != nil {
		return nil, err
	}
	step, err := b.get(size, nil, maxBatchSteps)
	if errors.Is(err, backend.ErrOutOfMemory) && len(b.recorded) > 0 { // that the others take
		if err = b.forget(0); err == nil {
			step, err = b.get(size, nil, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := b.tell(); err != nil {
		return nil, err
	}
	if err := b.run(step, p.inputs(size)); err != nil {
		return nil, err
	}
	for _, t := range tokens {
		t.read++
		t.again = false
	}
	rows := make([]int, len(p.scored))
	for i := range rows {
		rows[i] = p.row(size, i)
	}
	f, err := b.fly(step, p, rows)
	b.failed = err
	return f, err
}

// extendAll makes room for tokens.
func (b *Batch) extendAll(tokens []token) error {
	for _, s := range b.live {
		b.windowed.trim(b, s)
	}
	for _, t := range tokens {
		b.extend(t.Sequence, t.pos+1)
	}
	return b.refuse(tokens)
}

// tell brings the tables to the device.
func (b *Batch) tell() error {
	if !b.stale {
		return nil
	}
	err := backend.SetI32(b.m.Backend, b.table, b.entries)
	if err == nil && b.windowed.pool != nil {
		err = backend.SetI32(b.m.Backend, b.nearTable, b.windowed.entries)
	}
	b.stale = err != nil
	return err
}

// index is where token i of a plan stands in a step: single tokens are padded to their
// number there.
func (n stepSize) index(i, singles int) int {
	if i < singles {
		return i
	}
	return n.single + i - singles
}

// inputs are those of the step.
func (p *plan) inputs(size stepSize) []int32 {
	n := size.tokens()
	values := stepInputs(nil, 0, 0, n)
	for i, t := range p.all() {
		put(values, size.index(i, len(p.single)), t.at(t.pos), t.row, t.pos)
	}
	if !size.picks() {
		return append(values, p.slots(size)...)
	}
	rows := make([]int32, size.scored) // those that nobody asks for repeat a row
	for i := range rows {
		if len(p.scored) > 0 {
			rows[i] = int32(size.index(p.scored[min(i, len(p.scored)-1)], len(p.single)))
		}
	}
	return append(append(values, rows...), p.slots(size)...)
}

// slots are those that the rows to score are drawn for, if the step draws: none for rows
// that nobody asks for.
func (p *plan) slots(size stepSize) []int32 {
	if !size.draws {
		return nil
	}
	slots := slices.Repeat([]int32{noSlot}, size.scored)
	all := p.all()
	for i, at := range p.scored {
		slots[p.row(size, i)] = int32(all[at].row)
	}
	return slots
}

// row is the row of a step's scores that p.scored[i] asks for.
func (p *plan) row(size stepSize, i int) int {
	if size.picks() {
		return i
	}
	return size.index(p.scored[i], len(p.single))
}

// fetch waits for a step. It leaves in b.drawn what that drew for each of p.scored, or in
// b.logits a row of scores.
func (b *Batch) fetch(f *flight) error {
	if f.size.draws {
		return b.fetchDrawn(f)
	}
	step, p, vocab := f.step, f.p, b.m.Vocab
	b.drawn = nil
	b.logits = slices.Grow(b.logits[:0], len(p.scored)*vocab)[:len(p.scored)*vocab]
	get := func(to, from, n int) error {
		return backend.GetF32(b.m.Backend, step.logits.Slice(-2, from, from+n), b.logits[to*vocab:(to+n)*vocab])
	}
	if step.size.picks() && len(p.scored) > 0 {
		return get(0, 0, len(p.scored))
	}
	for i := 0; i < len(p.scored); { // those that follow one another at once
		from, n := step.size.index(p.scored[i], len(p.single)), 1
		for i+n < len(p.scored) && step.size.index(p.scored[i+n], len(p.single)) == from+n {
			n++
		}
		if err := get(i, from, n); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// refuse returns an error for tokens that would spoil keys and values: two at one
// place, or one in a block that other sequences use too.
func (b *Batch) refuse(tokens []token) error {
	seen := make(map[int]bool, len(tokens))
	for _, t := range tokens {
		block := t.blocks[t.pos/b.o.Block]
		place := block*b.o.Block + t.pos%b.o.Block
		if seen[place] {
			return fmt.Errorf("two tokens at position %d of a sequence: expected one at each", t.pos)
		}
		seen[place] = true
		if users := b.pool.users[block]; users != 1 {
			return fmt.Errorf("a token at position %d, in a block that %d sequences use: expected it to be its own", t.pos, users)
		}
		if !b.windowed.writable(t.Sequence, t.pos/b.o.Block) {
			return fmt.Errorf("a token at position %d, in a block of layers with a window that is not its own", t.pos)
		}
	}
	return nil
}

// draw draws the next token of each sequence that has read all of its own, and of those
// that have waited for it.
func (b *Batch) draw(p plan) ([]Event, error) {
	tokens := p.all()
	events := map[*Sequence]*Event{}
	waiting := map[*Sequence][]*Event{}
	for _, s := range b.live {
		if s.of != nil {
			waiting[s.of] = append(waiting[s.of], &Event{Sequence: s})
		}
	}
	var all sync.WaitGroup
	for i, at := range p.scored {
		s := tokens[at].Sequence
		from := append([]*Event{{Sequence: s}}, waiting[s]...)
		for _, e := range from {
			events[e.Sequence] = e
		}
		if b.drawn != nil && b.drawn[i].Status != backend.SampleTooMany {
			from[0].take(b.drawn[i])
			continue
		}
		scores := b.logits[i*b.m.Vocab : (i+1)*b.m.Vocab]
		if len(p.scored) == 1 {
			drawAll(from, scores)
		} else {
			all.Go(func() { drawAll(from, scores) })
		}
	}
	all.Wait()
	var list []Event
	for _, s := range b.live {
		if e := events[s]; e != nil {
			list = append(list, *e)
		}
	}
	// Forks get their share before any sequence gives up its own.
	for _, e := range list {
		if s := e.Sequence; s.of != nil && e.End == Running {
			if err := b.give(s, s.of); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range list {
		s := e.Sequence
		if e.Token != nil {
			s.history, s.slid = append(s.history, e.Token.ID), false
		}
		switch {
		case e.End != Running:
			s.of = nil // its tokens are read, nobody has to go on with that
			s.End()
		case s.read == b.o.Context:
			s.slide()
		}
	}
	return list, nil
}

// drawAll draws a token for each of some sequences from the same scores, which change.
func drawAll(events []*Event, scores []float32) {
	for _, e := range events[1:] {
		e.draw(slices.Clone(scores))
	}
	events[0].draw(scores)
}

// draw draws the token of an event.
func (e *Event) draw(logits []float32) {
	s := e.Sequence
	s.slot = false
	e.Token, e.Err = s.drawer.draw(logits, s.history)
	e.drew()
}

// drew completes an event whose token is drawn, or is not.
func (e *Event) drew() {
	s := e.Sequence
	switch {
	case e.Err != nil:
		e.End = Failed
	case e.Token == nil:
		e.End = EndOfText
	case s.drawer.done():
		e.End = Limit
	}
	if e.Token != nil {
		e.Token.Slid = s.slid
	}
}
