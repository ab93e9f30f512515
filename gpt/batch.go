package gpt

// Many sequences that grow together. batch.go has the batch and how sequences come to
// be in it, sequence.go what one is, batchstep.go a step of all of them, blocks.go and
// batchmemory.go their memory, batchwindow.go that of layers with a window.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
)

// BatchOptions say how a batch keeps its sequences.
type BatchOptions struct {
	Sequences int           // how many there are at most at once, 1 to MaxChunk
	Context   int           // positions of each, 1 to the model's; 0: as many as the model has
	Cache     backend.DType // of keys and values: one of caches; None: F16, or F32 where the matrices are

	// Block is how many positions the blocks have in which a sequence takes memory for
	// keys and values, a power of two. 0: 64.
	Block int

	// Blocks is how many of them there are for all sequences together. 0: as many as
	// Sequences of Context positions can take, or as the device can use at once if that is
	// less. Layers with a window need fewer, and have as many as they need.
	Blocks int

	// Chunk is the most tokens of prompts that a step reads while other sequences wait for
	// their next token. A larger one reads long prompts sooner, and makes those wait
	// longer. 0: 128.
	Chunk int
}

// Defaults of BatchOptions.
const (
	defaultBlock      = 64
	defaultBatchChunk = 128
)

// Batch is sequences of tokens that grow together: in each step all of them read their
// next tokens, in one pass over the model's weights. That takes little longer than a
// step of one sequence, because most of the time goes into reading the weights.
//
// A sequence keeps its keys and values in blocks, of a pool that all share. When it is
// admitted it reserves as many blocks as it can ever need, so that no step runs out
// of memory. Sequences that were forked share the blocks of what they have in common.
//
// A batch is not for several goroutines at once. A [Session] is one sequence without
// blocks; it is what is fastest for one.
type Batch struct {
	steps
	o        BatchOptions // without zeros
	pool     *blocks
	entries  []int32 // [sequences, blocks of each]: what the device's is to hold
	windowed windowed
	stale    bool  // the device's tables are older
	free     []int // rows of the table that no sequence has

	live   []*Sequence            // in the order in which they were admitted
	turns  int                    // how many sequences came to read
	logits []float32              // [rows, vocab]
	drawn  []backend.SampleResult // of a step that draws; else nil
	ahead  *flight                // that was submitted before the tokens that it reads were known; or nil
	left   int                    // how often the device left tokens to the host of late, as in Session
	copies copies
	untold []Event // of a step, after a loop of Run that was left
	failed error   // of a device that left a sequence half written, or of a batch that is closed
}

var errClosed = errors.New("the batch is closed")

// NewBatch returns a batch without sequences. It allocates the memory of all keys and
// values.
func NewBatch(m *model.Model, o BatchOptions) (_ *Batch, err error) {
	if o, err = o.complete(m); err != nil {
		return nil, err
	}
	b := &Batch{steps: steps{m: m, size: o.Context}, o: o, pool: newBlocks(o.Blocks)}
	for i := range o.Sequences {
		b.free = append(b.free, o.Sequences-1-i)
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	most := stepSize{single: ceilPow2(o.Sequences + MaxChunk), chunk: MaxChunk, scored: ceilPow2(o.Sequences) + 1, draws: true}
	if b.inputs, err = backend.New(m.Backend, backend.I32, most.inputs()); err != nil {
		return nil, err
	}
	if o.Sequences > 1 {
		if b.entries, b.table, err = b.newTable(); err != nil {
			return nil, err
		}
		if err = b.makeWindowed(); err != nil {
			return nil, err
		}
	} else {
		b.tail = newTail(m, o.Context)
	}
	if b.cache, err = m.NewCaches(o.Cache, o.caches(m)); err != nil {
		return nil, err
	}
	return b, nil
}

// newTable makes a table in which no sequence has blocks.
func (b *Batch) newTable() (values []int32, t backend.Tensor, err error) {
	values = slices.Repeat([]int32{noBlock}, b.o.Sequences*b.o.perSequence())
	b.stale = true
	t, err = backend.New(b.m.Backend, backend.I32, b.o.Sequences, b.o.perSequence())
	return values, t, err
}

// noBlock stands in the table where a sequence has no block. Reading there gives NaN.
const noBlock = -1

// Admit adds a sequence that begins with a prompt and goes on as o says. The error is a
// [FullError] if there is no room for it now, but will be when others have ended.
func (b *Batch) Admit(prompt []int, o Options) (*Sequence, error) {
	if err := (Room{Size: b.o.Context, Model: b.m.Context}).Fits(prompt); err != nil {
		return nil, err
	}
	if err := known(prompt, "the prompt", b.m.Vocab); err != nil {
		return nil, err
	}
	return b.admit(&Sequence{batch: b, history: slices.Clone(prompt)}, o)
}

// admit gives a sequence, whose tokens are known, its limits and its place.
func (b *Batch) admit(s *Sequence, o Options) (*Sequence, error) {
	if b.failed != nil {
		return nil, b.failed
	}
	if o.Drafter != nil {
		return nil, errors.New("a drafter for a sequence of a batch: expected none; a session takes one, and a batch reads the weights once for many sequences as it is")
	}
	length := s.length()
	var err error
	if s.drawer, err = newDrawer(b.m, o, b.o.Context-length); err != nil {
		return nil, err
	}
	s.most, s.slides = b.o.reserve(length, s.drawer.Predict)
	if s.most > b.o.Blocks {
		return nil, fmt.Errorf("the sequence takes %d blocks of %d positions, and there are %d: expected fewer tokens, or a batch of more blocks", s.most, b.o.Block, b.o.Blocks)
	}
	if len(b.free) == 0 {
		return nil, &FullError{Sequences: b.o.Sequences}
	}
	before := b.demand()
	if need := b.demand(s) - before; before+need > b.o.Blocks {
		return nil, &FullError{Sequences: b.o.Sequences, Need: need, Free: b.o.Blocks - before}
	}
	last := len(b.free) - 1
	s.row, b.free = b.free[last], b.free[:last]
	s.turn = b.nextTurn()
	b.live = append(b.live, s)
	if b.o.Sequences == 1 {
		b.tail.start = 0
	}
	return s, nil
}

// nextTurn is for a sequence that has tokens to read.
func (b *Batch) nextTurn() int {
	b.turns++
	return b.turns
}

// FullError reports that a batch has no room for a sequence until others have ended.
type FullError struct {
	Sequences  int // that the batch has at most; all of them are there if Need is 0
	Need, Free int // blocks that the sequence reserves, and those that none has reserved
}

func (e *FullError) Error() string {
	if e.Need == 0 {
		return fmt.Sprintf("the batch is full: it has %d sequences; wait until one has ended", e.Sequences)
	}
	return fmt.Sprintf("the batch is full: the sequence takes %d blocks of keys and values, and %d are free; wait until others have ended", e.Need, e.Free)
}

// Live are the sequences that have not ended, in the order in which they were admitted.
func (b *Batch) Live() []*Sequence { return slices.Clone(b.live) }

// Run makes steps until no sequence is left, and yields what they give. In the loop
// sequences may be admitted, forked and ended. It ends with an error if a step fails or
// ctx ends; sequences keep what they have, and another Run goes on.
func (b *Batch) Run(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for len(b.live) > 0 || len(b.untold) > 0 {
			events, err := b.Step(ctx)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for i, e := range events {
				if e.End == Running && e.Sequence.ended {
					continue // by the loop, since the step
				}
				if !yield(e, nil) {
					b.untold = events[i+1:]
					return
				}
			}
		}
	}
}

// Close frees the batch's memory, and ends its sequences.
func (b *Batch) Close() {
	for _, s := range b.live {
		s.ended = true
	}
	b.live, b.untold, b.ahead, b.failed = nil, nil, nil, errClosed
	b.copies.close()
	b.close()
}

// complete fills in what is left out, and checks the rest.
func (o BatchOptions) complete(m *model.Model) (BatchOptions, error) {
	o.Cache = m.CacheDType(o.Cache)
	o, err := o.sizes(m.Config)
	if err != nil || o.Sequences == 1 {
		return o, err
	}
	most := o.usable(m)
	switch {
	case most == 0:
		return o, fmt.Errorf("%s cannot read keys and values of type %v from blocks of %d positions: expected another type or size of blocks", m.Backend.Name(), o.Cache, o.Block)
	case o.Blocks == 0:
		o.Blocks = min(most, o.Sequences*o.perSequence())
	case o.Blocks > most:
		return o, fmt.Errorf("%d blocks of %d positions: %s can use %d of them at once; expected at most as many", o.Blocks, o.Block, m.Backend.Name(), most)
	}
	return o, nil
}

// sizes is complete without the number of blocks.
func (o BatchOptions) sizes(c model.Config) (BatchOptions, error) {
	o.Context, o.Chunk, o.Block = cmp.Or(o.Context, c.Context), cmp.Or(o.Chunk, defaultBatchChunk), cmp.Or(o.Block, defaultBlock)
	switch {
	case o.Sequences < 1 || o.Sequences > MaxChunk:
		return o, fmt.Errorf("a batch of %d sequences: expected 1 to %d", o.Sequences, MaxChunk)
	case o.Context < 1 || o.Context > c.Context:
		return o, fmt.Errorf("context size %d: this model can have 1 to %d positions", o.Context, c.Context)
	case o.Block < 1 || o.Block&(o.Block-1) != 0:
		return o, fmt.Errorf("blocks of %d positions: expected a power of two", o.Block)
	case o.Blocks < 0:
		return o, fmt.Errorf("%d blocks: expected 1 or more, or 0 for as many as the sequences can take", o.Blocks)
	case o.Chunk < 1 || o.Chunk > MaxChunk:
		return o, fmt.Errorf("chunks of %d tokens: expected 1 to %d", o.Chunk, MaxChunk)
	}
	if o.Sequences == 1 { // it has a cache of its own, as a session
		o.Block, o.Blocks = o.Context, 1
	}
	o.Block = min(o.Block, ceilPow2(o.Context))
	return o, nil
}
