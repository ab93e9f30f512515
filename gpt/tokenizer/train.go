package tokenizer

// This file learns merges from words and their counts: again and again the most
// frequent pair of neighbours becomes a token (Sennrich et al. 2016, algorithm 1).
// It learns the same merges as Hugging Face's BpeTrainer: of equally frequent pairs
// the one with the lower ids goes first.
//
// A merge updates the counts of pairs, and a heap has the most frequent pair on top,
// so that the time of a merge depends only on the words that have its pair.

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
)

// BPEOptions say how large a vocabulary is.
type BPEOptions struct {
	VocabSize    int // how many tokens at most: 256 bytes, those that merges make, special ones
	MinFrequency int // how often a pair must occur to be merged; 0 means 1

	// Progress, if it is not nil, is called now and then with the number of tokens
	// so far and of tokens that are asked for, both without special ones.
	Progress func(done, total int)
}

// TrainBPE makes a vocabulary of byte-level BPE. It has fewer tokens than o asks for
// if the words have no more pairs. As in GPT-2, the bytes come first, then the
// tokens that merges make, then special tokens. Equal counts of words make equal
// vocabularies, in whatever order the texts were read. It is an error if VocabSize
// is too small for bytes and special tokens, or more than MaxTokens; the error of
// no text is ErrNoText.
func (c *Corpus) TrainBPE(ctx context.Context, o BPEOptions) (Vocabulary, error) {
	if least := 256 + len(c.special); o.VocabSize < least || o.VocabSize > MaxTokens {
		return Vocabulary{}, fmt.Errorf("tokenizer: a vocabulary of %d tokens: expected %d, for the 256 bytes and the special tokens, to %d", o.VocabSize, least, MaxTokens)
	}
	words := c.words()
	if len(words.words) == 0 {
		return Vocabulary{}, ErrNoText
	}
	l, err := newLearner(ctx, words)
	if err != nil {
		return Vocabulary{}, err
	}
	if err := l.learn(ctx, o, o.VocabSize-len(c.special)); err != nil {
		return Vocabulary{}, err
	}
	v := Vocabulary{Merges: make([][2]string, len(l.merges))}
	for _, text := range l.tokens {
		v.Tokens = append(v.Tokens, tokenName(text))
	}
	for i, p := range l.merges {
		left, right := p.parts()
		v.Merges[i] = [2]string{v.Tokens[left], v.Tokens[right]}
	}
	return c.withSpecial(v)
}

// withSpecial appends the special tokens, and checks that v can be loaded.
func (c *Corpus) withSpecial(v Vocabulary) (Vocabulary, error) {
	v.Added = map[int]bool{}
	for _, s := range c.special {
		v.Added[len(v.Tokens)] = true
		v.Tokens = append(v.Tokens, s)
	}
	_, err := New(v)
	return v, err
}

// A pair is two neighbours, left<<32 | right: lower ones go first.
type pair uint64

func pairOf(left, right int32) pair { return pair(left)<<32 | pair(right) }

func (p pair) parts() (left, right int32) { return int32(p >> 32), int32(uint32(p)) }

// pairCount says how often a pair occurs, and in which words: all that have it, and
// perhaps some that had it before a merge.
type pairCount struct {
	count int64
	words []int32
}

// A learner is the state of TrainBPE.
type learner struct {
	tokens []string // by id: the bytes that it stands for
	merges []pair   // by rank; that of rank i makes token 256+i

	words []learnerWord
	pairs map[pair]*pairCount
	fresh []pair // pairs that are not in the queue yet
	queue pairQueue

	looked int // tokens since the context was last checked
}

// A learnerWord is a word, as the tokens that the merges so far make of it.
type learnerWord struct {
	tokens []int32
	count  int64
}

// pieceSize is how many tokens are read between two checks of the context.
const pieceSize = 1 << 16

func newLearner(ctx context.Context, from *wordCounts) (*learner, error) {
	l := &learner{pairs: map[pair]*pairCount{}}
	for b := range 256 {
		l.tokens = append(l.tokens, string([]byte{byte(b)}))
	}
	slices.SortFunc(l.tokens, func(a, b string) int { return int(runeOf[a[0]] - runeOf[b[0]]) })
	var byteIDs [256]int32
	for id, text := range l.tokens {
		byteIDs[text[0]] = int32(id)
	}
	size := 0
	for _, text := range from.words {
		size += len(text)
	}
	room := make([]int32, 0, size)
	for i, text := range from.words {
		if len(text) == 1 {
			continue // it has no pair
		}
		start := len(room)
		for j := range len(text) {
			room = append(room, byteIDs[text[j]])
		}
		l.words = append(l.words, learnerWord{room[start:], from.counts[i]})
	}
	counted := 0
	for i, w := range l.words {
		for j := 1; j < len(w.tokens); j++ {
			if counted++; counted%pieceSize == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			l.count(pairOf(w.tokens[j-1], w.tokens[j]), int32(i), w.count)
		}
	}
	return l, nil
}

// count adds n to the count of p, for one word.
func (l *learner) count(p pair, word int32, n int64) {
	c := l.pairs[p]
	if c == nil {
		if n < 0 {
			return // it was too rare, and is not counted any more
		}
		c = &pairCount{}
		l.pairs[p] = c
		l.fresh = append(l.fresh, p)
	}
	c.count += n
	if last := len(c.words) - 1; n > 0 && (last < 0 || c.words[last] != word) {
		c.words = append(c.words, word)
	}
}

// learn merges pairs until there are size tokens.
func (l *learner) learn(ctx context.Context, o BPEOptions, size int) error {
	least := int64(max(o.MinFrequency, 1))
	for len(l.tokens) < size {
		// Only pairs with the newest token are fresh. So no pair becomes more
		// frequent after it is put in the queue, or is found too rare for it.
		for _, p := range l.fresh {
			if n := l.pairs[p].count; n >= least {
				heap.Push(&l.queue, queued{n, p})
			} else {
				delete(l.pairs, p)
			}
		}
		l.fresh = l.fresh[:0]
		p, ok := l.next(least)
		if !ok {
			return nil
		}
		if err := l.merge(ctx, p); err != nil {
			return err
		}
		if len(l.merges)%64 == 0 && o.Progress != nil {
			o.Progress(len(l.tokens), size)
		}
	}
	return nil
}

// next takes the most frequent pair off the queue.
func (l *learner) next(least int64) (pair, bool) {
	for len(l.queue) > 0 {
		top := &l.queue[0]
		switch n := l.pairs[top.pair].count; {
		case n < least:
			delete(l.pairs, top.pair)
			heap.Pop(&l.queue)
		case n < top.count:
			top.count = n
			heap.Fix(&l.queue, 0)
		default:
			return heap.Pop(&l.queue).(queued).pair, true
		}
	}
	return 0, false
}

// merge makes p one token in every word.
//
// No other pair has made the same text before: how a part of a word is merged does
// not depend on the text around it, as long as no merge crosses its ends. So the
// same text would already be that token here.
func (l *learner) merge(ctx context.Context, p pair) error {
	left, right := p.parts()
	id := int32(len(l.tokens))
	l.tokens = append(l.tokens, l.tokens[left]+l.tokens[right])
	l.merges = append(l.merges, p)
	for _, word := range l.pairs[p].words {
		if l.looked += len(l.words[word].tokens); l.looked >= pieceSize {
			l.looked = 0
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		l.mergeWord(word, left, right, id)
	}
	delete(l.pairs, p)
	return nil
}

// mergeWord makes left and right the token id in one word, from its start on.
func (l *learner) mergeWord(word, left, right, id int32) {
	w := &l.words[word]
	t := w.tokens
	n := 0
	for i := 0; i < len(t); i, n = i+1, n+1 {
		if t[i] != left || i+1 == len(t) || t[i+1] != right {
			t[n] = t[i]
			continue
		}
		if n > 0 {
			l.count(pairOf(t[n-1], left), word, -w.count)
			l.count(pairOf(t[n-1], id), word, w.count)
		}
		i++
		if i+1 < len(t) {
			l.count(pairOf(right, t[i+1]), word, -w.count)
			l.count(pairOf(id, t[i+1]), word, w.count)
		}
		t[n] = id
	}
	w.tokens = t[:n]
}

// queued is a pair in the queue, with its count when it was put there or last
// updated. The count may be smaller now.
type queued struct {
	count int64
	pair  pair
}

type pairQueue []queued

func (q pairQueue) Len() int      { return len(q) }
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q pairQueue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	return q[i].pair < q[j].pair
}
func (q *pairQueue) Push(x any) { *q = append(*q, x.(queued)) }
func (q *pairQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
