package tokenizer

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

// This file turns one word into tokens: first its bytes or characters, which are the
// symbols, then merges of neighbours.
// Of all pairs the one whose merge has the lowest rank is merged first, and of equal
// ranks the leftmost. For a short word all pairs are searched each time, which is
// quadratic but cheap; for a long one the pairs are in a heap.

// A merge makes one token of two neighbours.
type merge struct {
	left, right int32 // ids of the two
	rank        int32 // the lowest merges first; noMerge for neighbours that do not merge
	result      int32 // id of what they become
}

// noMerge is the rank of neighbours that do not merge.
const noMerge = math.MaxInt32

// A mergeTable finds merges by their left and right ids. It is a hash table
// with linear probing: a map takes two to three times as long, and nearly all
// of Encode's time is spent here.
type mergeTable struct {
	slots []merge // a power of two, at most half of them used; rank is noMerge where empty
	seed  [2]uint64
}

// newMergeTable returns a table for n merges. Its hash has a random seed, so that
// nobody can make a file whose merges all get the same slot.
func newMergeTable(n int) mergeTable {
	m := mergeTable{
		slots: make([]merge, 1<<bits.Len(uint(2*n))),
		seed:  [2]uint64{rand.Uint64(), rand.Uint64()},
	}
	for i := range m.slots {
		m.slots[i].rank = noMerge
	}
	return m
}

// larger returns a table with the same merges and twice the room.
func (m *mergeTable) larger() mergeTable {
	to := newMergeTable(len(m.slots) / 2)
	for _, s := range m.slots {
		if s.rank != noMerge {
			*to.slot(s.left, s.right) = s
		}
	}
	return to
}

// slot returns the slot of the merge of left and right, or a free one for it.
func (m *mergeTable) slot(left, right int32) *merge {
	hi, lo := bits.Mul64(uint64(left)^m.seed[0], uint64(right)^m.seed[1])
	for i := hi ^ lo; ; i++ {
		s := &m.slots[i&uint64(len(m.slots)-1)]
		if s.rank == noMerge || s.left == left && s.right == right {
			return s
		}
	}
}

// find returns the rank of the merge of left and right, or noMerge, and what it makes.
func (m *mergeTable) find(left, right int32) (rank, result int32) {
	s := m.slot(left, right)
	return s.rank, s.result
}

// shortWord is the length in bytes up to which searching is faster than a heap
// (BenchmarkWord).
const shortWord = 48

// word appends the tokens of w, which is at that offset of the text, in bytes.
func (e *encoder) word(w string, offset int) error {
	slot, key := e.cache.slot(w)
	if slot != nil && slot.key == key {
		for _, id := range slot.ids[:slot.n] {
			e.ids = append(e.ids, int(id))
		}
		return nil
	}
	if id, ok := e.t.whole[w]; ok {
		e.ids = append(e.ids, int(id))
		return nil
	}
	from := len(e.ids)
	var err error
	switch e.t.model {
	case ByteBPE:
		err = e.bytes(w, offset)
	case Unigram:
		err = e.unigram(w)
	default:
		err = e.text(w, offset)
	}
	if err != nil {
		return err
	}
	if ids := e.ids[from:]; slot != nil && len(ids) <= len(slot.ids) {
		slot.key, slot.n = key, int32(len(ids))
		for i, id := range ids {
			slot.ids[i] = int32(id)
		}
	}
	return nil
}

// bytes is word for byte-level BPE.
func (e *encoder) bytes(w string, offset int) error {
	for i := range len(w) {
		if e.t.bytes[w[i]] == noToken {
			if e.t.unknown != noToken {
				return e.partlyUnknown(w)
			}
			return e.t.noTokenFor(w, i, offset)
		}
	}
	return e.mergeBytes(w)
}

// noTokenFor is the error of a byte or character of w that has no token.
func (t *Tokenizer) noTokenFor(w string, i, offset int) error {
	return fmt.Errorf("tokenizer: byte 0x%02x at offset %d of the text, in %s: the vocabulary has no token for it, expected a text of the characters that it was made of", w[i], offset+i, quote(w))
}

// mergeBytes appends the tokens of w, whose bytes are all tokens.
func (e *encoder) mergeBytes(w string) error {
	if len(w) > shortWord {
		e.symbols = e.symbols[:0]
		for i := range len(w) {
			e.symbols = append(e.symbols, e.t.bytes[w[i]])
		}
		return e.mergeLong()
	}
	var tokens [shortWord]int32
	for i := range len(w) {
		tokens[i] = e.t.bytes[w[i]]
	}
	e.mergeShort(&tokens, len(w))
	return nil
}

// partlyUnknown appends the tokens of a word of which some bytes have no token.
func (e *encoder) partlyUnknown(w string) error {
	for at, unknown := 0, false; at < len(w); {
		n := 0
		for at+n < len(w) && e.t.bytes[w[at+n]] != noToken {
			n++
		}
		if n > 0 {
			if err := e.mergeBytes(w[at : at+n]); err != nil {
				return err
			}
			unknown = false
		} else {
			n = 1
			if !unknown || !e.t.fuseUnknown {
				e.ids = append(e.ids, int(e.t.unknown))
			}
			unknown = true
		}
		at += n
	}
	return nil
}

// text is word for BPE of characters.
func (e *encoder) text(w string, offset int) error {
	if err := e.readSymbols(w, offset); err != nil {
		return err
	}
	from := len(e.ids)
	if n := len(e.symbols); n > shortWord {
		if err := e.mergeLong(); err != nil {
			return err
		}
	} else {
		var tokens [shortWord]int32
		copy(tokens[:], e.symbols)
		e.mergeShort(&tokens, n)
	}
	if len(e.t.characters.extra) > 0 {
		e.spell(from)
	}
	return nil
}

// readSymbols makes symbols of the characters of w. One without token becomes the tokens
// of its bytes, if there are such, or else the unknown token.
func (e *encoder) readSymbols(w string, offset int) error {
	t, unknown := e.t, false
	e.symbols = e.symbols[:0]
	for i := 0; i < len(w); {
		r, n := utf8.DecodeRuneInString(w[i:])
		id := int32(noToken)
		if r != utf8.RuneError || n > 1 {
			id = t.characters.id(r)
		}
		switch {
		case id != noToken:
			e.symbols = append(e.symbols, id)
		case t.spelt(w[i : i+n]):
			for _, b := range []byte(w[i : i+n]) {
				e.symbols = append(e.symbols, t.bytes[b])
			}
		case t.unknown == noToken:
			return t.noTokenFor(w, i, offset)
		case !unknown || !t.fuseUnknown:
			e.symbols = append(e.symbols, t.unknown)
			fallthrough
		default:
			unknown = true
			i += n
			continue
		}
		unknown = false
		i += n
	}
	return nil
}

// spelt reports whether each byte of s has a token.
func (t *Tokenizer) spelt(s string) bool {
	for i := range len(s) {
		if t.bytes[s[i]] == noToken {
			return false
		}
	}
	return true
}

// spell puts the tokens of its bytes, or the unknown token, in the place of each
// character without a token that no merge took. The first of them is at ids[from:].
func (e *encoder) spell(from int) {
	t := e.t
	at := slices.IndexFunc(e.ids[from:], func(id int) bool { return id >= len(t.tokens) })
	if at < 0 {
		return
	}
	ids := slices.Clone(e.ids[from+at:])
	e.ids = e.ids[:from+at]
	for _, id := range ids {
		if id < len(t.tokens) {
			e.ids = append(e.ids, id)
			continue
		}
		s := string(t.characters.extra[id-len(t.tokens)])
		switch {
		case t.spelt(s):
			for _, b := range []byte(s) {
				e.ids = append(e.ids, int(t.bytes[b]))
			}
		case t.unknown != noToken:
			e.ids = append(e.ids, int(t.unknown))
		}
	}
}

// mergeShort appends the tokens that n symbols become.
func (e *encoder) mergeShort(tokens *[shortWord]int32, n int) {
	t := e.t
	var ranks, results [shortWord]int32 // ranks[i] is of the pair i, i+1
	for i := 1; i < n; i++ {
		ranks[i-1], results[i-1] = t.merges.find(tokens[i-1], tokens[i])
	}
	for n > 1 {
		best := 0
		for i, r := range ranks[:n-1] {
			if r < ranks[best] {
				best = i
			}
		}
		if ranks[best] == noMerge {
			break
		}
		tokens[best] = results[best]
		copy(tokens[best+1:n-1], tokens[best+2:n])
		copy(ranks[best:n-2], ranks[best+1:n-1])
		copy(results[best:n-2], results[best+1:n-1])
		n--
		if best > 0 {
			ranks[best-1], results[best-1] = t.merges.find(tokens[best-1], tokens[best])
		}
		if best+1 < n {
			ranks[best], results[best] = t.merges.find(tokens[best], tokens[best+1])
		}
	}
	for _, id := range tokens[:n] {
		e.ids = append(e.ids, int(id))
	}
}

// A merger is the memory of mergeLong, used again for the next word.
type merger struct {
	nodes []node
	heap  []candidate
}

// A node is one token of the word, in a list in the order of the text. The
// node of a token sits at the index of the token's first symbol.
type node struct {
	token      int32
	rank       int32 // of the pair with next; noMerge if it was merged into the one before
	result     int32 // what the pair becomes
	prev, next int32 // indices; prev of the first is -1, next of the last is the end
}

// A candidate is a pair that may merge, rank<<32 | index of its left node, so
// that the smallest is the next to merge. It is stale, and ignored, when the
// node's rank has changed since.
type candidate uint64

// mergeLong appends the tokens that the symbols become, of any number, in O(n log n).
func (e *encoder) mergeLong() error {
	t, end := e.t, int32(len(e.symbols))
	nodes, heap := slices.Grow(e.heap.nodes[:0], len(e.symbols)), slices.Grow(e.heap.heap[:0], len(e.symbols))
	for i := range end {
		if err := e.ended(int(i)); err != nil {
			return err
		}
		nodes = append(nodes, node{token: e.symbols[i], rank: noMerge, prev: i - 1, next: i + 1})
	}
	// update computes the rank of node i again and reports whether it can merge.
	update := func(i int32) (candidate, bool) {
		a := &nodes[i]
		a.rank = noMerge
		if a.next < end {
			a.rank, a.result = t.merges.find(a.token, nodes[a.next].token)
		}
		return candidate(a.rank)<<32 | candidate(i), a.rank != noMerge
	}
	for i := range end {
		if err := e.ended(int(i)); err != nil {
			return err
		}
		if c, ok := update(i); ok {
			heap = append(heap, c)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		if err := e.ended(i); err != nil {
			return err
		}
		siftDown(heap, i)
	}
	for steps := 1; len(heap) > 0; steps++ {
		if err := e.ended(steps); err != nil {
			return err
		}
		top := heap[0]
		last := len(heap) - 1
		heap[0] = heap[last]
		heap = heap[:last]
		siftDown(heap, 0)

		rank, i := int32(top>>32), int32(uint32(top))
		a := &nodes[i]
		if a.rank != rank {
			continue
		}
		b := &nodes[a.next]
		a.token = a.result
		a.next = b.next
		b.rank = noMerge
		if a.next < end {
			nodes[a.next].prev = i
		}
		if c, ok := update(i); ok {
			heap = push(heap, c)
		}
		if a.prev >= 0 {
			if c, ok := update(a.prev); ok {
				heap = push(heap, c)
			}
		}
	}
	for i := int32(0); i < end; i = nodes[i].next {
		e.ids = append(e.ids, int(nodes[i].token))
	}
	e.heap = merger{nodes, heap}
	return nil
}

// ended is the error of the context, which is checked every 65,536 steps.
func (e *encoder) ended(step int) error {
	if step%(1<<16) == 0 {
		return e.ctx.Err()
	}
	return nil
}

// push and siftDown are a binary heap of plain numbers. container/heap would
// allocate for each push, and call an interface for each comparison.

func push(h []candidate, c candidate) []candidate {
	h = append(h, c)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > c {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = c
	return h
}

func siftDown(h []candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[i] <= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
