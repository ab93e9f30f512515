package gpt

// Layers of a batch whose queries see a window have a pool of blocks of their own. Of each
// sequence it has those of the latest positions: what no token will see is given back before
// each step. Such a layer reads its own table, in which earlier blocks are missing; positions
// are those of all layers, so that every kernel computes the same bits as over all blocks.
// A batch of one sequence has no table; its caches are those of a session (tail.go).

import (
	"slices"

	"caldera/gpt/model"
)

// windowed is that pool, and what the device's table of it is to hold.
type windowed struct {
	pool    *blocks // nil: these layers have the blocks that all layers have
	window  int     // positions that a query sees, its own included; of several kinds of layers the most
	entries []int32
}

// widest is the largest window of the layers; 0: none has one.
func widest(m *model.Model) (window int) {
	for i := range m.Layers {
		window = max(window, m.Window(i))
	}
	return window
}

// most is how many blocks a sequence has in the pool at most, but for those of the prompt that
// a step reads: its latest window positions, one more, for a token may be read again, and the
// next one may begin anywhere in a block; a part of a prompt may begin there too.
func (o BatchOptions) most(window int) int {
	return min(o.perSequence(), (window-1)/o.Block+3)
}

// windowBlocks is how many blocks the pool has; 0: there is none, for it would save nothing.
// A step reads up to MaxChunk tokens of prompts.
func (o BatchOptions) windowBlocks(m *model.Model) int {
	window := widest(m)
	n := o.Sequences*o.most(window) + (MaxChunk+o.Block-1)/o.Block
	if o.Sequences > 1 && window > 0 && (n < o.Blocks || windowAlways) && !windowNever {
		return n
	}
	return 0
}

// Tests have it so where it saves nothing, or not at all.
var windowAlways, windowNever bool

// caches are the blocks of each layer, and the positions of each of them.
func (o BatchOptions) caches(m *model.Model) func(layer int) (blocks, block int) {
	if o.Sequences == 1 {
		t := newTail(m, o.Context)
		return func(i int) (int, int) { return 1, t.rowsOf(m, i, o.Context) }
	}
	n := o.windowBlocks(m)
	return func(i int) (int, int) {
		if n > 0 && m.Window(i) > 0 {
			return n, o.Block
		}
		return o.Blocks, o.Block
	}
}

// enter writes an entry of the table: the number of the i-th block of a sequence.
func (w *windowed) enter(b *Batch, s *Sequence, i, number int) {
	w.entries[s.row*b.o.perSequence()+i] = int32(number)
	b.stale = true
}

// extend gives a sequence its next block.
func (w *windowed) extend(b *Batch, s *Sequence) {
	if w.pool != nil {
		n := w.pool.take()
		w.enter(b, s, len(s.near), n)
		s.near = append(s.near, n)
	}
}

// trim gives back the blocks of a sequence that no token will see. One position more than the
// next token sees stays: the last one may be read again.
func (w *windowed) trim(b *Batch, s *Sequence) {
	for ; w.pool != nil && (s.gone+1)*b.o.Block <= s.read-w.window && s.gone < len(s.near); s.gone++ {
		w.pool.release(s.near[s.gone])
		w.enter(b, s, s.gone, noBlock)
		s.near[s.gone] = noBlock
	}
}

// share gives f, a fork, the first n blocks of s.
func (w *windowed) share(b *Batch, f, s *Sequence, n int) {
	if w.pool == nil {
		return
	}
	f.near, f.gone = slices.Clone(s.near[:n]), min(s.gone, n)
	for i, number := range f.near[f.gone:] {
		w.pool.share(number)
		w.enter(b, f, f.gone+i, number)
	}
}

// pass gives an heir the blocks of s.
func (w *windowed) pass(b *Batch, heir, s *Sequence) {
	heir.near, heir.gone = s.near, s.gone
	for i := s.gone; i < len(s.near); i++ {
		w.enter(b, heir, i, s.near[i])
	}
}

// clear takes the blocks of s out of the table, and gives them back if nobody else has them now.
func (w *windowed) clear(b *Batch, s *Sequence, release bool) {
	for i := s.gone; i < len(s.near); i++ {
		w.enter(b, s, i, noBlock)
		if release {
			w.pool.release(s.near[i])
		}
	}
	s.near, s.gone = nil, 0
}

// writable reports whether a token of s may be stored in its i-th block.
func (w *windowed) writable(s *Sequence, i int) bool {
	return w.pool == nil || i >= s.gone && w.pool.users[s.near[i]] == 1
}

// makeWindowed makes the pool, if there is to be one, and the device's table of it.
func (b *Batch) makeWindowed() (err error) {
	n := b.o.windowBlocks(b.m)
	if n == 0 {
		return nil
	}
	b.windowed = windowed{pool: newBlocks(n), window: widest(b.m)}
	b.windowed.entries, b.nearTable, err = b.newTable()
	return err
}

// bytesIn is the size of a block in the layers for which with says so.
func (o BatchOptions) bytesIn(m *model.Model, with func(window bool) bool) (bytes int64) {
	for i := range m.Layers {
		if with(m.Window(i) > 0) {
			bytes += int64(o.Cache.Bytes(o.Block * m.CacheWidth()))
		}
	}
	return bytes
}

// Memory is what a batch has for keys and values.
type Memory struct {
	Block      int   // positions of a block
	BlockBytes int64 // of a block, in all layers but those that have a pool of their own
	Blocks     int   // in all
	Used       int   // that sequences have
	Reserved   int   // that they can come to have together

	// Layers with a window, where they keep the latest positions alone.
	WindowBlockBytes int64 // of a block in these layers; 0: there are none
	WindowBlocks     int   // in all
	WindowUsed       int   // that sequences have
	WindowMost       int   // that one of them has at most, but for the prompt that a step reads
}

// Memory tells of the blocks.
func (b *Batch) Memory() Memory {
	m := Memory{Block: b.o.Block, Blocks: b.o.Blocks, Used: b.pool.used(), Reserved: b.demand()}
	switch p := b.windowed.pool; {
	case b.o.Sequences == 1: // its only block is the whole cache
		m.BlockBytes = bytesOf(b.cache)
	case p == nil:
		m.BlockBytes = b.o.bytesIn(b.m, func(bool) bool { return true })
	default:
		m.BlockBytes = b.o.bytesIn(b.m, func(window bool) bool { return !window })
		m.WindowBlockBytes = b.o.bytesIn(b.m, func(window bool) bool { return window })
		m.WindowBlocks, m.WindowUsed, m.WindowMost = len(p.users), p.used(), b.o.most(b.windowed.window)
	}
	return m
}

// Bytes is the size of all blocks.
func (m Memory) Bytes() int64 {
	return int64(m.Blocks)*m.BlockBytes + int64(m.WindowBlocks)*m.WindowBlockBytes
}

// SequenceBytes is the size of the blocks of a sequence that has so many.
func (m Memory) SequenceBytes(blocks int) int64 {
	return int64(blocks)*m.BlockBytes + int64(min(blocks, m.WindowMost))*m.WindowBlockBytes
}
