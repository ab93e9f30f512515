package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
)

// batches run tests of sequences that go through a batch together. A batch of one
// sequence has no blocks and is faster for one, so there is one apart for that.
type batches struct{ one, many *gpt.Batch }

// newBatches makes those that the tests need.
func newBatches(m *model.Model, tests []Test, cache backend.DType) (x batches, err error) {
	for _, o := range batchOptions(tests, cache) {
		b := &x.many
		if o.Sequences == 1 {
			b = &x.one
		}
		if *b, err = gpt.NewBatch(m, o); err == nil {
			err = holds(*b, tests)
		}
		if err != nil {
			x.close()
			return batches{}, err
		}
	}
	return x, nil
}

// batchOptions are those of the batches that the tests need.
func batchOptions(tests []Test, cache backend.DType) (all []gpt.BatchOptions) {
	o := gpt.BatchOptions{Cache: cache, Chunk: gpt.MaxChunk}
	one := false
	for _, t := range tests {
		if t.Sequences > 0 {
			o.Sequences, o.Context = max(o.Sequences, t.Sequences), max(o.Context, t.Positions())
			one = one || t.Sequences == 1
		}
	}
	if o.Sequences > 1 {
		all = append(all, o)
	}
	if one {
		o.Sequences = 1
		all = append(all, o)
	}
	return all
}

// holds reports a batch whose device cannot use as many blocks as a test needs.
func holds(b *gpt.Batch, tests []Test) error {
	m := b.Memory()
	for _, t := range tests {
		if need := t.Sequences * ((t.Positions() + m.Block - 1) / m.Block); t.Sequences > 1 && m.Blocks > 1 && need > m.Blocks {
			return fmt.Errorf("%w: %v takes %d blocks of %d positions, and the device can use %d at once: expected fewer sequences or tokens", result.ErrUnsupported, t, need, m.Block, m.Blocks)
		}
	}
	return nil
}

func (x batches) close() {
	for _, b := range []*gpt.Batch{x.one, x.many} {
		if b != nil {
			b.Close()
		}
	}
}

// of is the batch that runs so many sequences.
func (x batches) of(sequences int) *gpt.Batch {
	if sequences == 1 {
		return x.one
	}
	return x.many
}

// prompts are what the sequences of a test begin with: the prompts that it reads, or
// those that fill the context to its depth. A sequence begins with a token at least.
func prompts(t Test, vocab int) (all [][]int) {
	random := rand.New(rand.NewPCG(uint64(t.Prompt), uint64(t.Gen)))
	for range t.Sequences {
		ids := make([]int, cmp.Or(t.Prompt, t.Depth, 1))
		for i := range ids {
			ids[i] = random.IntN(vocab)
		}
		all = append(all, ids)
	}
	return all
}

// run times one repetition of a test, and returns the memory that its sequences had and
// what was drawn for each. Of prompts that is until the token after each is drawn.
// Generation at a depth begins when all sequences have been filled to it, and have drawn
// the token that they read first; without a depth that is their whole prompt. So each of
// its steps reads a token of every sequence, and draws one.
func (x batches) run(ctx context.Context, t Test, prompts [][]int, now func() time.Time) (took time.Duration, held gpt.Memory, drawn [][]int, err error) {
	all, err := x.begin(ctx, t, prompts)
	defer end(all)
	if err != nil {
		return 0, held, nil, err
	}
	held = x.of(t.Sequences).Memory()
	start := now()
	for going(all) {
		if err := step(ctx, x.of(t.Sequences).Step); err != nil {
			return 0, held, nil, err
		}
	}
	took = now().Sub(start)
	for i, s := range all {
		drawn = append(drawn, s.Tokens()[len(prompts[i]):])
	}
	return took, held, drawn, nil
}

// begin admits the sequences of a test, and fills them to its depth. Those that it
// returns are to be ended even if there is an error.
func (x batches) begin(ctx context.Context, t Test, prompts [][]int) (all []*gpt.Sequence, err error) {
	b, o := x.of(t.Sequences), gpt.Options{Predict: max(1, t.Gen), IgnoreEOS: true}
	if t.Depth > 0 {
		o.Predict++ // the one that the depth ends with
	}
	for _, ids := range prompts {
		s, err := b.Admit(ids, o)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	for t.Depth > 0 && slices.ContainsFunc(all, func(s *gpt.Sequence) bool { return s.Generated() == 0 }) {
		if err := step(ctx, b.Prefill); err != nil {
			return all, err
		}
	}
	return all, nil
}

// step makes one, in which no sequence may fail.
func step(ctx context.Context, step func(context.Context) ([]gpt.Event, error)) error {
	events, err := step(ctx)
	for _, e := range events {
		err = cmp.Or(err, e.Err)
	}
	return err
}

// going reports whether there is a sequence that has not ended.
func going(all []*gpt.Sequence) bool {
	return slices.ContainsFunc(all, func(s *gpt.Sequence) bool { return !s.Ended() })
}

func end(all []*gpt.Sequence) {
	for _, s := range all {
		s.End()
	}
}

// batched describes the memory of a test's sequences.
func batched(t Test, m gpt.Memory) result.Batched {
	each := m.Reserved / t.Sequences
	return result.Batched{
		NSequences: t.Sequences, KVBlock: m.Block, KVBlocks: m.Reserved,
		KVSequenceBytes: m.SequenceBytes(each), KVPoolBytes: m.Bytes(),
	}
}
