package tokenizer

// This file cuts a word into the tokens whose scores have the highest sum (Kudo,
// "Subword Regularization", 2018, equation 4, by the Viterbi algorithm). Of equal sums
// the one whose last token is longest is taken, as in Hugging Face's tokenizers.

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// unknownPenalty is how much worse than the worst token an unknown character is.
const unknownPenalty = 10

// A unigram is the tokens of a Unigram model.
type unigram struct {
	trie    trie
	scores  []float64 // by id
	unknown float64   // score of a character without token
}

// newUnigram makes the tables of a model. No text becomes a special token.
func newUnigram(names []string, scores []float64, special map[int]bool) (*unigram, error) {
	u := &unigram{trie: newTrie(), scores: scores, unknown: math.Inf(1)}
	for id, name := range names {
		if name == "" {
			continue
		}
		u.unknown = min(u.unknown, scores[id]-unknownPenalty)
		if special[id] || len(name) > maxPieceLen {
			continue
		}
		if err := u.trie.add(name, int32(id)); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// A lattice says of each place in a word what is best before it.
type lattice []bestPath

type bestPath struct {
	score float64
	start int32 // of the last token; -1 where no token ends
	id    int32 // of the last token; noToken for an unknown character
}

// unigram is word for a Unigram model.
func (e *encoder) unigram(w string) error {
	t, u := e.t, e.t.unigram
	best := e.lattice[:0]
	for range len(w) + 1 {
		best = append(best, bestPath{start: -1})
	}
	e.lattice = best
	reach := func(end, start int, id int32, score float64) {
		if b := &best[end]; b.start < 0 || score > b.score {
			*b = bestPath{score, int32(start), id}
		}
	}
	for at := 0; at < len(w); {
		if err := e.ended(at); err != nil {
			return err
		}
		_, size := utf8.DecodeRuneInString(w[at:])
		single, till := false, best[at].score
		node := int32(0)
		for i := at; i < len(w); i++ {
			if node = u.trie.next(node, w[i]); node < 0 {
				break
			}
			if id := u.trie.ids[node]; id != noToken {
				reach(i+1, at, id, till+u.scores[id])
				single = single || i+1 == at+size
			}
		}
		if !single {
			reach(at+size, at, noToken, till+u.unknown)
		}
		at += size
	}
	// Backwards: a run of unknown characters is one token, or the tokens of its bytes.
	from := len(e.ids)
	for end := len(w); end > 0; {
		b := best[end]
		start := int(b.start)
		if b.id != noToken {
			e.ids = append(e.ids, int(b.id))
			end = start
			continue
		}
		for start > 0 && best[start].id == noToken {
			start = int(best[start].start)
		}
		switch part := w[start:end]; {
		case t.spelt(part):
			for i := len(part) - 1; i >= 0; i-- {
				e.ids = append(e.ids, int(t.bytes[part[i]]))
			}
		case t.unknown != noToken:
			e.ids = append(e.ids, int(t.unknown))
		default:
			return t.noTokenFor(w, start, 0)
		}
		end = start
	}
	for i, j := from, len(e.ids)-1; i < j; i, j = i+1, j-1 {
		e.ids[i], e.ids[j] = e.ids[j], e.ids[i]
	}
	return nil
}

// A trie finds the tokens that a text begins with. Its edges are in a hash table.
type trie struct {
	edges mergeTable // of a node and a byte: result is the next node
	ids   []int32    // by node: the token that ends there, or noToken
}

func newTrie() trie { return trie{newMergeTable(32), []int32{noToken}} }

// maxNodes is how many nodes a trie may have: real ones have some two million.
const maxNodes = 1 << 22

// add adds a text, which is not in t.
func (t *trie) add(text string, id int32) error {
	if t.ids == nil {
		*t = newTrie()
	}
	node := int32(0)
	for i := range len(text) {
		b := int32(text[i])
		s := t.edges.slot(node, b)
		if s.rank != noMerge {
			node = s.result
			continue
		}
		next := int32(len(t.ids))
		if next > maxNodes {
			return fmt.Errorf("the tokens have together more than %d beginnings, expected fewer", maxNodes)
		}
		*s = merge{left: node, right: b, result: next}
		t.ids = append(t.ids, noToken)
		if 2*len(t.ids) > len(t.edges.slots) {
			t.edges = t.edges.larger()
		}
		node = next
	}
	t.ids[node] = id
	return nil
}

// next returns the node after a byte, or -1.
func (t *trie) next(node int32, b byte) int32 {
	if rank, next := t.edges.find(node, int32(b)); rank != noMerge {
		return next
	}
	return -1
}

// find returns the id of a text, if it is in t.
func (t *trie) find(name string) (int32, bool) {
	if t.ids == nil {
		return 0, false
	}
	node := int32(0)
	for i := range len(name) {
		if node = t.next(node, name[i]); node < 0 {
			return 0, false
		}
	}
	return t.ids[node], t.ids[node] != noToken
}
