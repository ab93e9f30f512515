// Package gpt runs generative pre-trained transformers, on any backend: it loads
// them, makes text, and trains.
//
// What a GPT computes stands in package model, whose forward.go is the page to read
// first. load.go checks that a model fits into memory (memory.go) and reads it from a
// checkpoint; session.go runs it step by step, generate.go makes text of that,
// train.go learns.
package gpt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// MaxChunk is the most tokens that one program reads: enough that matrices are
// used well, little enough that a GPU's watchdog never fires and Ctrl-C is heard.
const MaxChunk = 512

// maxWatching bounds the bytes of recorded steps that are kept for use again, apart
// from the one in use, where some of them watch values. Without watched values there
// are 24 steps at most, ten that draw, ten that do not and four that read guesses, and all are kept.
var maxWatching = 64 << 20

// Session is one sequence of tokens that grows, and the keys and values of all
// its positions. It is not for several goroutines at once.
type Session struct {
	steps
	history []int // all tokens since the start or Reset, also those that left the context
	head    []int // tokens at the beginning of the context, which stayed when it was full
	cached  int   // how many tokens are in the cache: head, and the latest ones
	watch   []string
	logits  []float32
	rows    []float32 // scores after guesses, [tokens, vocab]
	drafted Drafted
}

// SessionOptions say how a session keeps its tokens.
type SessionOptions struct {
	Context int           // positions, 1 to the model's; 0: as many as the model has
	Cache   backend.DType // of keys and values: one of caches; None: F16, or F32 where the matrices are

	// Whole: layers with a window keep the keys and values of all positions, as others do, and
	// not of those alone that queries can still see. Maps of their attention need that. It is so
	// too where Watch or Edit are set.
	Whole bool

	// Watch is as in [Session.Watch].
	Watch []string

	// Edit, if not nil, may replace the values that the model names: see [nn.Tape.Edit].
	Edit nn.Edit
}

// NewSession returns an empty session.
func NewSession(m *model.Model, o SessionOptions) (*Session, error) {
	size := cmp.Or(o.Context, m.Context)
	if size < 1 || size > m.Context {
		return nil, fmt.Errorf("context size %d: this model can have 1 to %d positions", size, m.Context)
	}
	s := &Session{steps: steps{m: m, edit: o.Edit, size: size}, watch: o.Watch, logits: make([]float32, m.Vocab)}
	if !o.Whole && len(o.Watch) == 0 && o.Edit == nil {
		s.tail = newTail(m, size)
	}
	var err error
	if s.inputs, err = backend.New(m.Backend, backend.I32, 2+4*min(MaxChunk, ceilPow2(size))); err != nil {
		return nil, err
	}
	rows := func(i int) (sequences, context int) { return 1, s.tail.rowsOf(m, i, size) }
	if s.cache, err = m.NewCaches(m.CacheDType(o.Cache), rows); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Len is the number of tokens in the context, Size how many there is room for.
func (s *Session) Len() int  { return s.cached }
func (s *Session) Size() int { return s.size }

// Tokens are those in the context, the oldest first.
func (s *Session) Tokens() []int {
	return slices.Concat(s.head, s.history[len(s.history)-s.cached+len(s.head):])
}

// Reset forgets all tokens.
func (s *Session) Reset() { s.history, s.head, s.cached, s.tail.start = s.history[:0], nil, 0, 0 }

// Resume keeps the tokens of the context that ids begin with, forgets the others, and returns
// the ids that are still to be fed. It forgets one more where none would be left: what follows
// ids is known only once the last of them is read; and all of them where more than [MaxChunk] are
// forgotten and layers with a window no longer have what is before these.
func (s *Session) Resume(ids []int) (rest []int) {
	same, read := 0, s.Tokens()
	for same < min(len(read), len(ids)-1) && read[same] == ids[same] {
		same++
	}
	if !s.tail.holds(same) {
		same = 0
	}
	s.rewind(same)
	return ids[same:]
}

// Feed appends tokens to the sequence and returns the score of every token
// that could come next, [vocab], valid until the next call. It stops between
// chunks when ctx ends.
func (s *Session) Feed(ctx context.Context, ids ...int) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("no tokens to feed")
	}
	if s.cached+len(ids) > s.size {
		return nil, fmt.Errorf("%d tokens after %d do not fit the context of %d", len(ids), s.cached, s.size)
	}
	if err := known(ids, "the input", s.m.Vocab); err != nil {
		return nil, err
	}
	last, err := s.feed(ctx, ids, false)
	if err != nil {
		return nil, err
	}
	if err := backend.GetF32(s.m.Backend, last.logits, s.logits); err != nil {
		return nil, err
	}
	return s.logits, nil
}

// feed runs steps over ids, of which the last one draws a token if asked to, and returns
// that.
func (s *Session) feed(ctx context.Context, ids []int, draws bool) (last *step, err error) {
	defer func() { s.head = s.head[:min(len(s.head), s.cached)] }() // where not all was read
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(ids), MaxChunk)
		if s.tail.rows > 0 {
			n = min(n, tailStep)
		}
		if last, err = s.step(ceilPow2(n), draws && n == len(ids)); err != nil {
			return nil, err
		}
		if err := s.read(last, ids[:n]); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return last, nil
}

// read runs a step over ids. Where it takes more tokens than there are, the rest is
// padding.
func (s *Session) read(p *step, ids []int) error {
	values := stepInputs(ids, 0, s.cached, p.size.tokens())
	if p.size.picks() {
		values = append(values, int32(len(ids)-1))
	}
	if p.size.draws {
		values = append(values, 0) // the only slot
	}
	if err := s.run(p, values); err != nil {
		return err
	}
	known := max(0, len(s.head)-s.cached) // of head, which stands in history already
	s.history = append(s.history, ids[min(len(ids), known):]...)
	s.cached += len(ids)
	return nil
}

// step returns the step that reads time tokens and scores the last: only what follows it
// is asked for.
func (s *Session) step(time int, draws bool) (*step, error) {
	return s.sized(stepSize{chunk: time, scored: 1, draws: draws})
}

// sized returns the step of a size.
func (s *Session) sized(size stepSize) (*step, error) {
	most := math.MaxInt
	if slices.ContainsFunc(s.recorded, func(p *step) bool { return len(p.watch) > 0 }) {
		most = maxWatching
	}
	return s.get(size, s.watch, most)
}

// known reports the first of ids, those of what, that a model with vocab tokens does not have.
func known(ids []int, what string, vocab int) error {
	i := slices.IndexFunc(ids, func(id int) bool { return id < 0 || id >= vocab })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("token %d of %s is %d: this model knows ids 0 to %d", i, what, ids[i], vocab-1)
}

// Close frees the session's memory.
func (s *Session) Close() { s.close() }
