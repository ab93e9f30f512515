package tokenizer

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// This file turns one word into tokens: first its bytes, then merges of neighbours.
// Of all pairs the one whose merge has the lowest rank is merged first, and of equal
// ranks the leftmost. For a short word all pairs are searched each time, which is
// quadratic but cheap; for a long one the pairs are in a heap.

// A merge makes one token of two neighbours.
type merge struct {
	left, right int32 // ids of the two
	rank        int32 // place in the order of merges, or noMerge
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

// rank returns the rank of the merge of left and right, or noMerge.
func (m *mergeTable) rank(left, right int32) int32 { return m.slot(left, right).rank }

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
	for i := range len(w) {
		if e.t.bytes[w[i]] == noToken {
			if e.t.unknown != noToken {
				return e.partlyUnknown(w)
			}
			return fmt.Errorf("tokenizer: byte 0x%02x at offset %d of the text, in %s: the vocabulary has no token for it, expected a text of the characters that it was made of", w[i], offset+i, quote(w))
		}
	}
	from := len(e.ids)
	if err := e.merge(w); err != nil {
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

// merge appends the tokens of w, whose bytes are all tokens.
func (e *encoder) merge(w string) error {
	if len(w) <= shortWord {
		e.mergeShort(w)
		return nil
	}
	return e.mergeLong(w)
}

// partlyUnknown appends the tokens of a word of which some bytes have no token.
func (e *encoder) partlyUnknown(w string) error {
	for at, unknown := 0, false; at < len(w); {
		n := 0
		for at+n < len(w) && e.t.bytes[w[at+n]] != noToken {
			n++
		}
		if n > 0 {
			if err := e.merge(w[at : at+n]); err != nil {
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

// mergeShort appends the tokens of w, which has at most shortWord bytes.
func (e *encoder) mergeShort(w string) {
	t := e.t
	var tokens, ranks [shortWord]int32 // ranks[i] is of the pair i, i+1
	n := len(w)
	tokens[0] = t.bytes[w[0]]
	for i := 1; i < n; i++ {
		tokens[i] = t.bytes[w[i]]
		ranks[i-1] = t.merges.rank(tokens[i-1], tokens[i])
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
		tokens[best] = t.merged[ranks[best]]
		copy(tokens[best+1:n-1], tokens[best+2:n])
		copy(ranks[best:n-2], ranks[best+1:n-1])
		n--
		if best > 0 {
			ranks[best-1] = t.merges.rank(tokens[best-1], tokens[best])
		}
		if best+1 < n {
			ranks[best] = t.merges.rank(tokens[best], tokens[best+1])
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
// node of a token sits at the offset of the token's first byte.
type node struct {
	token      int32
	rank       int32 // of the pair with next; noMerge if it was merged into the one before
	prev, next int32 // offsets; prev of the first is -1, next of the last is the end
}

// A candidate is a pair that may merge, rank<<32 | offset of its left node, so
// that the smallest is the next to merge. It is stale, and ignored, when the
// node's rank has changed since.
type candidate uint64

// mergeLong appends the tokens of w, of any length, in O(n log n).
func (e *encoder) mergeLong(w string) error {
	t, end := e.t, int32(len(w))
	nodes, heap := slices.Grow(e.heap.nodes[:0], len(w)), slices.Grow(e.heap.heap[:0], len(w))
	for i := range end {
		if err := e.ended(int(i)); err != nil {
			return err
		}
		nodes = append(nodes, node{token: t.bytes[w[i]], rank: noMerge, prev: i - 1, next: i + 1})
	}
	// update computes the rank of node i again and reports whether it can merge.
	update := func(i int32) (candidate, bool) {
		a := &nodes[i]
		a.rank = noMerge
		if a.next < end {
			a.rank = t.merges.rank(a.token, nodes[a.next].token)
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
		a.token = t.merged[rank]
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
