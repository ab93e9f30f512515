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
	"math/bits"
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
// are ten steps at most, and all are kept.
var maxWatching = 64 << 20

// Session is one sequence of tokens that grows, and the keys and values of all
// its positions. It is not for several goroutines at once.
type Session struct {
	m       *model.Model
	cache   model.Cache
	history []int // all tokens since the start or Reset, also those that left the context
	cached  int   // how many of them, the latest, are in the cache
	size    int   // positions that the cache holds

	inputs backend.Tensor // i32, of a chunk: ids, sequences, positions, then the index of the last token
	steps  []*step        // those recorded, the latest used first
	last   *step          // that ran last, or nil
	watch  []string
	edit   nn.Edit
	logits []float32
}

// step is a recorded forward pass over a fixed number of tokens.
type step struct {
	*nn.Program
	time   int      // tokens read
	watch  []string // names of values that are kept
	named  map[string]backend.Tensor
	logits backend.Tensor // [1, 1, vocab], after the last token
}

// SessionOptions say how a session keeps its tokens.
type SessionOptions struct {
	Context int           // positions, 1 to the model's; 0: as many as the model has
	Cache   backend.DType // of keys and values: one of caches; None: F32

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
	s := &Session{m: m, size: size, watch: o.Watch, edit: o.Edit, logits: make([]float32, m.Vocab)}
	var err error
	if s.inputs, err = backend.New(m.Backend, backend.I32, 1+3*min(MaxChunk, ceilPow2(size))); err != nil {
		return nil, err
	}
	if s.cache, err = m.NewCache(1, size, cmp.Or(o.Cache, backend.F32)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Len is the number of tokens in the context, Size how many there is room for.
func (s *Session) Len() int  { return s.cached }
func (s *Session) Size() int { return s.size }

// Tokens are those in the context, the oldest first.
func (s *Session) Tokens() []int { return slices.Clone(s.history[len(s.history)-s.cached:]) }

// Reset forgets all tokens.
func (s *Session) Reset() { s.history, s.cached = s.history[:0], 0 }

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
	var last *step
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(ids), MaxChunk)
		var err error
		if last, err = s.step(ceilPow2(n)); err != nil {
			return nil, err
		}
		if err := s.read(last, ids[:n]); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	if err := backend.GetF32(s.m.Backend, last.logits, s.logits); err != nil {
		return nil, err
	}
	return s.logits, nil
}

// read runs a step over ids. Where it takes more tokens than there are, the rest is
// padding.
func (s *Session) read(p *step, ids []int) error {
	values := stepInputs(ids, 0, s.cached, p.time)
	if p.time > 1 {
		values = append(values, int32(len(ids)-1))
	}
	if err := backend.SetI32(s.m.Backend, s.inputs.Slice(-1, 0, len(values)), values); err != nil {
		return err
	}
	if err := p.Run(); err != nil {
		return err
	}
	s.last = p
	s.history = append(s.history, ids...)
	s.cached += len(ids)
	return nil
}

// step returns the program that reads time tokens, recorded at its first use.
func (s *Session) step(time int) (*step, error) {
	i := slices.IndexFunc(s.steps, func(p *step) bool { return p.time == time && slices.Equal(p.watch, s.watch) })
	if i >= 0 {
		p := s.steps[i]
		copy(s.steps[1:], s.steps[:i])
		s.steps[0] = p
		return p, nil
	}
	t := s.m.Tape()
	t.Edit(s.edit)
	t.Watch(s.watches)
	ids, at := stepTensors(s.inputs, time)
	x := s.m.Forward(t, ids, at, s.cache) // [1, time, width]
	if time > 1 {
		x = t.Pick(x, s.inputs.Slice(-1, 3*time, 3*time+1)) // [1, 1, width]: only what follows the last token is asked for
	}
	logits := t.Keep(model.Unembed(s.m, t, x))
	if err := s.forget(); err != nil { // before memory for another is asked for
		return nil, err
	}
	program, err := t.Record()
	if err != nil {
		return nil, err
	}
	p := &step{program, time, s.watch, program.Named(), program.Tensor(logits)}
	if err := p.complete(); err != nil {
		p.Close()
		return nil, err
	}
	s.steps = slices.Insert(s.steps, 0, p)
	return p, nil
}

// stepTensors are what [stepInputs] of so many tokens is for, where inputs begins with it.
func stepTensors(inputs backend.Tensor, time int) (ids backend.Tensor, at nn.Places) {
	return inputs.Slice(-1, 0, time), nn.Places{At: inputs.Slice(-1, time, 3*time).Reshape(2, time)}
}

// stepInputs are ids, sequences and positions of a step of so many tokens, in one list: of
// ids, which follow one another from a position of a sequence on, and of padding.
func stepInputs(ids []int, seq, pos, time int) []int32 {
	values := make([]int32, 3*time, 3*time+1)
	for i := range time {
		if i >= len(ids) {
			values[time+i] = -1
			continue
		}
		values[i], values[time+i], values[2*time+i] = int32(ids[i]), int32(seq), int32(pos+i)
	}
	return values
}

// known reports the first of ids, those of what, that a model with vocab tokens does not have.
func known(ids []int, what string, vocab int) error {
	i := slices.IndexFunc(ids, func(id int) bool { return id < 0 || id >= vocab })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("token %d of %s is %d: this model knows ids 0 to %d", i, what, ids[i], vocab-1)
}

// int32s are ids as devices have them.
func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

// Close frees the session's memory.
func (s *Session) Close() {
	for _, p := range s.steps {
		p.Close()
	}
	s.steps, s.last = nil, nil
	append(s.cache, s.inputs).Free()
}

// ceilPow2 is the least power of two that is at least n. Steps come in these
// sizes only, so that few programs serve every prompt.
func ceilPow2(n int) int {
	return 1 << bits.Len(uint(n-1))
}
