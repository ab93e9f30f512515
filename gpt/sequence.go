package gpt

import (
	"cmp"
	"fmt"
	"slices"
)

// Sequence is one of a [Batch]: a text that grows.
type Sequence struct {
	batch  *Batch
	drawer *drawer
	row    int // of the table

	history []int // all tokens, also those that left the context
	head    []int // tokens at the beginning of the context, which stayed when it was full
	start   int   // the place in history of those after head
	read    int   // how many tokens of the context have keys and values
	blocks  []int // that these are in
	near    []int // likewise, of layers with a window, where these have others
	gone    int   // how many of near, the first ones, it no longer has

	most   int       // blocks that it can come to have
	slides bool      // its context can become full
	slid   bool      // it has, since the last token was drawn
	of     *Sequence // that reads the tokens for it, which are the same; or nil
	turn   int       // when it came to read: those that came first read first
	ended  bool
	slot   bool // the device knows its settings and recent tokens
	again  bool // its last token is read again, so that the host can draw the next one
}

// Tokens are the prompt and what was drawn, also those that have left the context.
func (s *Sequence) Tokens() []int { return slices.Clone(s.history) }

// Generated is how many tokens were drawn for it.
func (s *Sequence) Generated() int { return s.drawer.count }

// Ended reports whether the sequence is no longer part of its batch.
func (s *Sequence) Ended() bool { return s.ended }

// Blocks is how many blocks have its keys and values, and how many of these only it uses.
func (s *Sequence) Blocks() (all, own int) {
	for _, n := range s.blocks {
		if s.batch.pool.users[n] == 1 {
			own++
		}
	}
	return len(s.blocks), own
}

// Fork adds a sequence to the batch that has the same tokens, and goes on as o says:
// o.Predict counts from here. It shares the full blocks; of the last one, if that is
// not full, it gets a copy. While s is still to read more than one token, the fork
// waits for that, so that what they have in common is read once. Errors are as in Admit.
func (s *Sequence) Fork(o Options) (*Sequence, error) {
	if s.ended {
		return nil, fmt.Errorf("a fork of a sequence that has ended: expected one that is in its batch")
	}
	b, f := s.batch, &Sequence{batch: s.batch, history: slices.Clone(s.history), head: s.head, start: s.start, slid: s.slid}
	waits := s.waits()
	if waits {
		f.of = cmp.Or(s.of, s)
	} else {
		f.blocks = s.full() // which are to be counted once
	}
	if err := b.copies.record(b); err != nil {
		return nil, err
	}
	if _, err := b.admit(f, o); err != nil {
		return nil, err
	}
	if waits {
		return f, nil
	}
	if err := b.give(f, s); err != nil {
		f.End()
		return nil, err
	}
	return f, nil
}

// End takes the sequence out of its batch and frees the blocks that only it uses. If
// others wait for what it reads, one of them goes on with that. It may be called again.
func (s *Sequence) End() {
	b := s.batch
	if s.ended {
		return
	}
	s.ended = true
	b.live = slices.DeleteFunc(b.live, func(x *Sequence) bool { return x == s })
	var heir *Sequence
	for _, f := range b.live {
		switch {
		case f.of != s:
		case heir == nil:
			heir, f.of = f, nil
		default:
			f.of = heir
		}
	}
	if heir != nil {
		heir.read, heir.blocks, heir.turn = s.read, s.blocks, s.turn
		for i, n := range heir.blocks {
			b.enter(heir, i, n)
		}
		b.windowed.pass(b, heir, s)
	} else {
		for _, n := range s.blocks {
			b.pool.release(n)
		}
	}
	for i := range s.blocks {
		b.enter(s, i, noBlock)
	}
	b.windowed.clear(b, s, heir == nil)
	s.blocks, s.of = nil, nil
	b.free = append(b.free, s.row)
}

// length is how many tokens the context has, and at which one stands at a position.
func (s *Sequence) length() int { return len(s.head) + len(s.history) - s.start }
func (s *Sequence) at(pos int) int {
	if pos < len(s.head) {
		return s.head[pos]
	}
	return s.history[s.start+pos-len(s.head)]
}

// pending is how many tokens are still to be read.
func (s *Sequence) pending() int { return s.length() - s.read }

// waits reports whether it has to read more than the token that it drew last, or another
// one does for it.
func (s *Sequence) waits() bool { return s.of != nil || s.pending() > 1 }

// slide makes room in a full context: its beginning, and the newer half of the rest, are to be
// read again, with the token that was drawn last.
func (s *Sequence) slide() {
	b := s.batch
	head, newer := stays(slices.Concat(s.head, s.history[s.start:len(s.history)-1]), s.drawer.Keep)
	s.head, s.start = head, len(s.history)-1-len(newer)
	for i, n := range s.blocks {
		b.pool.release(n)
		b.enter(s, i, noBlock)
	}
	b.windowed.clear(b, s, true)
	b.tail.start = 0
	s.read, s.blocks, s.slid, s.turn = 0, nil, true, b.nextTurn()
}
