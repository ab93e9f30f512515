package gpt

// What a model is loaded for, made on a backend that computes nothing: to know the memory
// that it takes (memory.go), and what the device has to compile for it.

import (
	"cmp"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/model"
)

// rehearse makes the session, evaluator or batch of u and its programs: those that will be
// made for certain, or those that will be made if all goes as usual, so that tokens are drawn
// on the device if it can. cache is how many bytes its keys and values take. An error is that
// of whoever makes them in earnest.
func (u Use) rehearse(m *model.Model, usual bool) (cache int64, err error) {
	switch {
	case u.Batch != nil:
		return u.rehearseBatch(m, usual)
	case u.Evaluate != nil:
		e, err := NewEvaluator(m, *u.Evaluate)
		if err != nil {
			return 0, err
		}
		return bytesOf(e.cache), nil
	}
	size := min(cmp.Or(u.Context, m.Context), m.Context)
	s, err := NewSession(m, SessionOptions{Context: size, Cache: u.Cache})
	if err != nil {
		return 0, err
	}
	draws := usual && u.Guesses == 0 && s.deviceDraws(1)
	for _, n := range u.Feeds {
		for n = min(n, size); n > 0; n -= MaxChunk {
			if _, err := s.step(ceilPow2(min(n, MaxChunk)), draws && n <= MaxChunk); err != nil {
				return bytesOf(s.cache), err
			}
		}
	}
	if usual {
		for n := 2; n < 2*(1+u.Guesses) && n < 2*size; n *= 2 {
			if _, err := s.sized(draftedStep(n)); err != nil {
				return bytesOf(s.cache), err
			}
		}
	}
	return bytesOf(s.cache), nil
}

// rehearseBatch makes the steps in which its sequences read their prompts, the one in which all
// of them read a token, and what forks are copied by.
func (u Use) rehearseBatch(m *model.Model, usual bool) (cache int64, err error) {
	b, err := NewBatch(m, *u.Batch)
	if err != nil {
		return 0, err
	}
	draws := usual && b.deviceDraws(b.o.Sequences)
	var sizes []stepSize
	for i, feed := range u.Feeds {
		most := b.o.Chunk
		if i == 0 || b.o.Sequences == 1 {
			most = MaxChunk // nobody waits then
		}
		alone := usual && i == 0 && feed > 1
		if feed > shortPrompt || alone { // shorter ones that are not alone may be read as single tokens
			sizes = append(sizes, stepSize{chunk: max(ceilPow2(unpadded(min(feed, most))), leastChunk), scored: 1, draws: draws})
		}
	}
	n := ceilPow2(b.o.Sequences)
	for _, size := range append(sizes, stepSize{single: n, scored: n, draws: draws}) {
		if _, err := b.get(size, nil, maxBatchSteps); err != nil {
			break
		}
	}
	if u.Forks {
		err = b.copies.record(b)
	}
	return bytesOf(b.cache), err
}

func bytesOf(c model.Cache) (bytes int64) {
	for _, t := range c {
		bytes += int64(t.Size())
	}
	return bytes
}

// compile has b begin to compile what a model is loaded for, while its weights are copied.
// paper is the model without memory.
func (u Use) compile(b backend.Backend, paper *model.Model) {
	if _, ok := backend.As[backend.Compiler](b); !ok {
		return
	}
	dry, listens := *paper, &rehearsal{Backend: &null.Backend{As: b}}
	dry.Backend = listens
	_, _ = u.rehearse(&dry, true)
	for _, ops := range listens.programs {
		backend.Compile(b, ops...)
	}
}

// rehearsal is a null backend that keeps what it is told to record.
type rehearsal struct {
	*null.Backend
	programs [][]backend.Op
}

// Record implements [backend.Recorder].
func (r *rehearsal) Record(ops ...backend.Op) (backend.Program, error) {
	r.programs = append(r.programs, ops)
	return silence{}, nil
}

// Beside implements [backend.Fetcher] as the backend does for which it stands.
func (r *rehearsal) Beside() bool {
	f, ok := backend.As[backend.Fetcher](r.As)
	return ok && f.Beside()
}

// silence is a program that does nothing.
type silence struct{}

func (silence) Run() error   { return nil }
func (silence) Close() error { return nil }
