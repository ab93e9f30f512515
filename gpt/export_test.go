package gpt

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// NewEvaluatorInChunks returns one that reads up to chunk tokens of a text at once.
func NewEvaluatorInChunks(m *model.Model, o EvaluatorOptions, chunk int) (*Evaluator, error) {
	return newEvaluator(m, o, chunk)
}

// DrawAnywhere lets software drivers draw tokens, as GPUs do, until the test ends.
func DrawAnywhere(t testing.TB) {
	drawAnywhere = true
	t.Cleanup(func() { drawAnywhere = false })
}

// SetTailStep has caches of layers with a window move by so many rows, of which a session then
// reads no more at once, until the test ends.
func SetTailStep(t testing.TB, rows int) {
	old := tailStep
	tailStep = rows
	t.Cleanup(func() { tailStep = old })
}

// TailStart is the position of the first row in caches of layers with a window, and how many
// rows they have; 0: as many as others.
func (s *Session) TailStart() (start, rows int) { return s.tail.start, s.tail.rows }

// BatchWindows says whether layers with a window have a pool of their own in batches, wherever there are
// such layers, until the test ends.
func BatchWindows(t testing.TB, always bool) {
	windowAlways, windowNever = always, !always
	t.Cleanup(func() { windowAlways, windowNever = false, false })
}

// TailStart is as that of a session.
func (b *Batch) TailStart() (start, rows int) { return b.tail.start, b.tail.rows }

// TailStart is as that of a session.
func (e *Evaluator) TailStart() (start, rows int) { return e.tail.start, e.tail.rows }

// PaceByRule has no clock decide how many guesses a step takes, until the test ends.
func PaceByRule(t testing.TB) {
	paceByRule = true
	t.Cleanup(func() { paceByRule = false })
}

// SetMaxWatching changes maxWatching until undo is called.
func SetMaxWatching(bytes int) (undo func()) {
	old := maxWatching
	maxWatching = bytes
	return func() { maxWatching = old }
}

// Parameters are what the trainer changes.
func (tr *Trainer) Parameters() []nn.Parameter { return tr.params.List }

// BlockNumbers are those of a sequence's blocks.
func (s *Sequence) BlockNumbers() []int { return slices.Clone(s.blocks) }

// What breaks a batch.

// ForgetUsers forgets that sequences share blocks.
func (b *Batch) ForgetUsers() {
	for n, users := range b.pool.users {
		b.pool.users[n] = min(users, 1)
	}
}

// ShiftTable moves the blocks of each sequence by one, in its row of the table.
func (b *Batch) ShiftTable() {
	n := b.o.perSequence()
	for _, s := range b.live {
		for i := range n {
			b.entries[s.row*n+i] = noBlock
			if i < len(s.blocks) {
				b.entries[s.row*n+i] = int32(s.blocks[(i+1)%len(s.blocks)])
			}
		}
	}
	b.stale = true
}

// TrimTooMuch gives back a block of layers with a window that the next token sees.
func (b *Batch) TrimTooMuch() {
	for _, s := range b.live {
		if s.read > b.windowed.window && s.gone+1 < len(s.near) {
			read := s.read
			s.read += b.o.Block
			b.windowed.trim(b, s)
			s.read = read
			return
		}
	}
}

// TrimNothing keeps all blocks of layers with a window.
func (b *Batch) TrimNothing() { b.windowed.window = 1 << 30 }

// SkipCopies makes forks share a block that is not full.
func (b *Batch) SkipCopies() {
	for _, s := range b.live {
		for _, f := range b.live {
			if i := len(f.blocks) - 1; f != s && i >= 0 && len(s.blocks) == i+1 && i > 0 && s.blocks[0] == f.blocks[0] {
				f.blocks[i] = s.blocks[i]
				b.enter(f, i, s.blocks[i])
			}
		}
	}
}

// ReleaseOne gives a block back that a sequence still uses.
func (b *Batch) ReleaseOne() {
	for _, s := range b.live {
		if len(s.blocks) > 1 && b.pool.users[s.blocks[0]] == 1 {
			b.pool.release(s.blocks[0])
			return
		}
	}
}

// Ahead reports whether a step was submitted whose tokens nobody has asked for yet.
func (b *Batch) Ahead() bool { return b.ahead != nil }

// UseThreads gives the sampler the threads of a backend, and does not ask what was drawn from, as a session does.
func (s *Sampler) UseThreads(b backend.Backend) {
	s.useThreads(b)
	s.forgets = true
}
