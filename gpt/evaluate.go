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

// Evaluator scores every position of texts, where a Session scores only the last one:
// what training does with a text, and what perplexity is made of. It reads several
// short texts in one pass over the weights.
type Evaluator struct {
	m      *model.Model
	o      EvaluatorOptions
	cache  model.Cache
	tail   tail           // where caches of layers with a window stand
	time   int            // tokens that a step reads of each text
	inputs backend.Tensor // i32: ids, sequences and positions of a step, then the rows to be scored, then the step's places in those caches
	step   *nn.Program    // reads tokens
	head   *nn.Program    // scores rows of what step made
	logits backend.Tensor // [1, o.Rows, vocab]
	values []float32
}

// EvaluatorOptions say what an Evaluator reads.
type EvaluatorOptions struct {
	Window int           // tokens that a text has at most, 1 to the model's context; 0: as many as that
	Texts  int           // that are read at once at most; 0, or more than have [MaxChunk] tokens together: as many as that
	Cache  backend.DType // of keys and values, as a Session has them: one of caches; None: F16, or F32 where the matrices are
	Rows   int           // positions whose scores are computed at once; 0: 64

	// Edit, if not nil, may replace the values that the model names: see [nn.Tape.Edit].
	// Text i is row i of their batch.
	Edit nn.Edit

	// Run, if not nil, runs a program in place of its Run, such as to measure it. The
	// programs name what they keep: the last hidden states, as package model does, and
	// "scores".
	Run func(p *nn.Program) error
}

// complete fills in what is 0, and checks the rest.
func (o EvaluatorOptions) complete(m *model.Model) (EvaluatorOptions, error) {
	o.Window = cmp.Or(o.Window, m.Context)
	if o.Window < 1 || o.Window > m.Context {
		return o, fmt.Errorf("a window of %d tokens: this model can have 1 to %d", o.Window, m.Context)
	}
	if o.Texts < 0 || o.Rows < 0 {
		return o, fmt.Errorf("%d texts at once and %d rows of scores: expected 1 or more, or 0 for as many as is usual", o.Texts, o.Rows)
	}
	most := max(1, MaxChunk/o.Window)
	o.Texts, o.Rows, o.Cache = min(cmp.Or(o.Texts, most), most), cmp.Or(o.Rows, headRows), m.CacheDType(o.Cache)
	if o.Run == nil {
		o.Run = (*nn.Program).Run
	}
	return o, nil
}

// tail is where caches of layers with a window stand. Texts that are read together are each read
// in one step, which needs all of their keys; and an Edit may look at columns that are positions.
func (o EvaluatorOptions) tail(m *model.Model) (t tail) {
	if o.Texts == 1 && o.Edit == nil {
		t = newTail(m, o.Window)
	}
	return t
}

// cacheBytes is the size of keys and values of so many texts of up to window tokens.
func (o EvaluatorOptions) cacheBytes(m *model.Model, window int) int64 {
	if o.Texts == 1 && o.Edit == nil {
		return cacheBytes(m, window, o.Cache)
	}
	return int64(m.Layers) * int64(o.Cache.Bytes(o.Texts*window*m.CacheWidth()))
}

// TextsAtOnce is how many of n texts of up to window tokens to read at once: at least one,
// at most as many as have so many tokens together, and so many that the last ones to be
// read are about as many as the others.
func TextsAtOnce(n, window, tokens int) int {
	n = max(n, 1)
	most := max(1, tokens/window)
	steps := (n + most - 1) / most
	return (n + steps - 1) / steps
}

// NewEvaluator returns one for texts of up to o.Window tokens.
func NewEvaluator(m *model.Model, o EvaluatorOptions) (*Evaluator, error) {
	return newEvaluator(m, o, MaxChunk)
}

// newEvaluator returns one that reads up to chunk tokens of a text at once.
func newEvaluator(m *model.Model, o EvaluatorOptions, chunk int) (_ *Evaluator, err error) {
	if o, err = o.complete(m); err != nil {
		return nil, err
	}
	e := &Evaluator{m: m, o: o, tail: o.tail(m), time: min(o.Window, chunk), values: make([]float32, o.Rows*m.Vocab)}
	if e.tail.rows > 0 {
		e.time = min(e.time, tailStep)
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	n := o.Texts * e.time
	if e.inputs, err = backend.New(m.Backend, backend.I32, 4*n+o.Rows); err != nil {
		return nil, err
	}
	caches := func(i int) (texts, positions int) { return o.Texts, e.tail.rowsOf(m, i, o.Window) }
	if e.cache, err = m.NewCaches(o.Cache, caches); err != nil {
		return nil, err
	}
	ids, at := stepTensors(e.inputs, n)
	at.Context = o.Window
	e.tail.places(&at, e.inputs, n, 3*n+o.Rows)
	rows := e.inputs.Slice(-1, 3*n, 3*n+o.Rows)
	last := fmt.Sprintf("hidden.%d", m.Layers)
	t := m.Tape()
	t.Edit(o.Edit)
	t.Watch(func(name string) bool { return name == last })
	x := t.Keep(m.Forward(t, ids.Reshape(o.Texts, e.time), at, e.cache)) // [texts, time, width]
	if e.step, err = t.Record(); err != nil {
		return nil, err
	}
	t = m.Tape()
	t.Watch(func(name string) bool { return name == "scores" })
	logits := t.Keep(t.Name(model.Unembed(m, t, t.Pick(e.step.Tensor(x), rows)), "scores")) // [1, rows, vocab]
	if e.head, err = t.Record(); err != nil {
		return nil, err
	}
	e.logits = e.head.Tensor(logits)
	return e, nil
}

// Texts is how many texts Scores takes at most.
func (e *Evaluator) Texts() int { return e.o.Texts }

// Scores reads up to Texts texts, each by itself, and calls visit with the scores of the
// token that follows each position, from position from on: those of the first text in the
// order of positions, then those of the next. In a step text i is sequence i. The scores,
// [vocab], are valid until visit returns.
func (e *Evaluator) Scores(ctx context.Context, texts [][]int, from int, visit func(text, position int, scores []float32) error) error {
	if len(texts) > e.o.Texts {
		return fmt.Errorf("%d texts at once: this evaluator reads up to %d", len(texts), e.o.Texts)
	}
	e.tail.start = 0
	longest := 0
	for i, ids := range texts {
		if len(ids) > e.o.Window {
			return fmt.Errorf("text %d: %d tokens do not fit a window of %d", i, len(ids), e.o.Window)
		}
		if err := known(ids, fmt.Sprintf("text %d", i), e.m.Vocab); err != nil {
			return err
		}
		longest = max(longest, len(ids))
	}
	for start := 0; start < longest; start += e.time { // more than once only where there is one text
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.read(texts, start); err != nil {
			return err
		}
		var places []place
		for i, ids := range texts {
			for p := max(start, from, 0); p < min(start+e.time, len(ids)); p++ {
				places = append(places, place{i, p})
			}
		}
		for ; len(places) > 0; places = places[min(e.o.Rows, len(places)):] {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.score(places[:min(e.o.Rows, len(places))], start, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is a position of a text.
type place struct{ text, position int }

// read runs a step over the tokens of each text that begin at position start.
func (e *Evaluator) read(texts [][]int, start int) error {
	values := make([]int32, 3*e.o.Texts*e.time)
	for i := range e.o.Texts {
		for j := range e.time {
			put(values, i*e.time+j, 0, padding, 0)
			if i < len(texts) && start+j < len(texts[i]) {
				put(values, i*e.time+j, texts[i][start+j], i, start+j)
			}
		}
	}
	if e.tail.rows > 0 { // of one text
		if err := e.tail.reach(e.m, e.cache, start, min(e.time, len(texts[0])-start)); err != nil {
			return err
		}
		if err := e.write(len(values)+e.o.Rows, e.tail.near(values[2*e.time:])); err != nil {
			return err
		}
	}
	if err := e.write(0, values); err != nil {
		return err
	}
	return e.o.Run(e.step)
}

// score visits places of the step that begins at position start, at most as many as the
// head has rows.
func (e *Evaluator) score(places []place, start int, visit func(text, position int, scores []float32) error) error {
	rows := make([]int32, e.o.Rows) // those past the end repeat the first one of the step
	for j, p := range places {
		rows[j] = int32(p.text*e.time + p.position - start)
	}
	if err := e.write(3*e.o.Texts*e.time, rows); err != nil {
		return err
	}
	if err := e.o.Run(e.head); err != nil {
		return err
	}
	vocab := e.m.Vocab
	values := e.values[:len(places)*vocab]
	if err := backend.GetF32(e.m.Backend, e.logits.Slice(-2, 0, len(places)), values); err != nil {
		return err
	}
	for j, p := range places {
		if err := visit(p.text, p.position, values[j*vocab:(j+1)*vocab]); err != nil {
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
	for _, p := range []*nn.Program{e.head, e.step} {
		p.Close()
	}
	e.tail.close()
	append(e.cache, e.inputs).Free()
}
