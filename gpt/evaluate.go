package gpt

import (
	"cmp"
	"context"
	"fmt"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// headRows is the number of positions whose scores are computed at once.
const headRows = 64

// Evaluator scores every position of a text, where a Session scores only the
// last one: what training does with a text, and what perplexity is made of.
type Evaluator struct {
	m      *model.Model
	cache  model.Cache
	size   int // positions of a window
	inputs backend.Tensor
	chunk  *nn.Program    // reads tokens
	head   *nn.Program    // scores rows of what chunk made
	time   int            // tokens that chunk reads
	logits backend.Tensor // [1, headRows, vocab]
	values []float32
}

// NewEvaluator returns one for texts of up to window tokens, 1 to m.Context. A
// text is read through a cache of keys and values, as a Session reads it, stored
// as cache says: one of caches, or None for F32.
func NewEvaluator(m *model.Model, window int, cache backend.DType) (*Evaluator, error) {
	return newEvaluator(m, window, MaxChunk, cache)
}

// newEvaluator returns one that reads up to chunk tokens at once.
func newEvaluator(m *model.Model, window, chunk int, cache backend.DType) (_ *Evaluator, err error) {
	if window < 1 || window > m.Context {
		return nil, fmt.Errorf("a window of %d tokens: this model can have 1 to %d", window, m.Context)
	}
	e := &Evaluator{m: m, size: window, time: min(window, chunk), values: make([]float32, headRows*m.Vocab)}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.inputs, err = backend.New(m.Backend, backend.I32, 3*e.time+headRows); err != nil {
		return nil, err
	}
	if e.cache, err = m.NewCache(1, window, cmp.Or(cache, backend.F32)); err != nil {
		return nil, err
	}
	ids, at := stepTensors(e.inputs, e.time)
	rows := e.inputs.Slice(-1, 3*e.time, 3*e.time+headRows)
	t := m.Tape()
	x := t.Keep(m.Forward(t, ids, at, e.cache)) // [1, time, width]
	if e.chunk, err = t.Record(); err != nil {
		return nil, err
	}
	t = m.Tape()
	logits := t.Keep(model.Unembed(m, t, t.Pick(e.chunk.Tensor(x), rows))) // [1, headRows, vocab]
	if e.head, err = t.Record(); err != nil {
		return nil, err
	}
	e.logits = e.head.Tensor(logits)
	return e, nil
}

// Scores reads ids as a text of its own and calls visit with the scores of the
// token that follows each position, from position from on. The scores, [vocab],
// are valid until visit returns.
func (e *Evaluator) Scores(ctx context.Context, ids []int, from int, visit func(position int, scores []float32) error) error {
	if len(ids) > e.size {
		return fmt.Errorf("%d tokens do not fit a window of %d", len(ids), e.size)
	}
	if err := known(ids, "the text", e.m.Vocab); err != nil {
		return err
	}
	for start := 0; start < len(ids); start += e.time {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(start+e.time, len(ids))
		if err := e.write(0, stepInputs(ids[start:end], 0, start, e.time)); err != nil {
			return err
		}
		if err := e.chunk.Run(); err != nil {
			return err
		}
		for i := max(start, from); i < end; i += headRows {
			if err := e.score(i, min(i+headRows, end), start, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// score visits positions [i, end), which lie in the chunk that begins at start.
func (e *Evaluator) score(i, end, start int, visit func(int, []float32) error) error {
	rows := make([]int32, headRows) // those past the end repeat the first one of the chunk
	for j := range end - i {
		rows[j] = int32(i + j - start)
	}
	if err := e.write(3*e.time, rows); err != nil {
		return err
	}
	if err := e.head.Run(); err != nil {
		return err
	}
	if err := backend.GetF32(e.m.Backend, e.logits, e.values); err != nil {
		return err
	}
	for j := range end - i {
		if err := visit(i+j, e.values[j*e.m.Vocab:(j+1)*e.m.Vocab]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Evaluator) write(at int, values []int32) error {
	return backend.SetI32(e.m.Backend, e.inputs.Slice(-1, at, at+len(values)), values)
}

// Close frees the evaluator's memory.
func (e *Evaluator) Close() {
	for _, p := range []*nn.Program{e.head, e.chunk} {
		p.Close()
	}
	append(e.cache, e.inputs).Free()
}
