package tokenizer

// This file says in merges what SentencePiece's BPE says in scores, and back.

import (
	"fmt"
	"slices"
)

// mergesOfScores returns the merges that make the tokens that the scores make: those of
// the token with the highest score come first, and of one token those of the lowest ids,
// as Hugging Face's converter has it. Of tokens with one score the lower id goes first;
// SentencePiece takes the left one of two in a text.
func (v Vocabulary) mergesOfScores() ([][2]string, error) {
	t, err := New(v)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(slices.Clone(t.merges.slots), func(m merge) bool { return m.rank == noMerge })
	slices.SortFunc(all, func(a, b merge) int {
		switch {
		case a.rank != b.rank:
			return int(a.rank - b.rank)
		case a.result != b.result:
			return int(a.result - b.result)
		case a.left != b.left:
			return int(a.left - b.left)
		}
		return int(a.right - b.right)
	})
	merges := make([][2]string, 0, len(all))
	for _, m := range all {
		if n := int32(len(v.Tokens)); m.left >= n || m.right >= n {
			return nil, fmt.Errorf("tokenizer: token %s has a character that is no token, which tokenizer.json cannot merge", quote(v.Tokens[m.result]))
		}
		merges = append(merges, [2]string{v.Tokens[m.left], v.Tokens[m.right]})
	}
	return merges, nil
}

// Scored returns the tokenizer as ScoredBPE, of TextBPE whose merges are those that
// scores can say: it is an error if they are not.
func (v Vocabulary) Scored() (Vocabulary, error) {
	if v.Model == ScoredBPE {
		return v, nil
	}
	if v.Model != TextBPE {
		return v, fmt.Errorf("tokenizer: found %v, expected a BPE of characters, which scores can say", v.Model)
	}
	if v.IgnoreMerges {
		return v, fmt.Errorf("tokenizer: words that are tokens become those whatever merges make of them (ignore_merges), which scores cannot say")
	}
	scores := make([]float64, len(v.Tokens))
	ids := make(map[string]int, len(v.Tokens))
	for id, name := range v.Tokens {
		scores[id] = -float64(len(v.Merges) + 1)
		if name != "" {
			ids[name] = id
		}
	}
	ranks := make(map[[2]string]int, len(v.Merges))
	last := -1
	for rank, m := range v.Merges {
		id := ids[m[0]+m[1]]
		if id != last && scores[id] > -float64(len(v.Merges)+1) {
			return v, fmt.Errorf("tokenizer: merges of token %s have other merges between them, which scores cannot say", quote(v.Tokens[id]))
		}
		if id != last {
			scores[id], last = -float64(rank), id
		}
		ranks[m] = rank
	}
	scored := v
	scored.Model, scored.Scores, scored.Merges, scored.ByteFallback = ScoredBPE, scores, nil, false
	t, err := New(scored)
	if err != nil {
		return v, err
	}
	// Scores allow every two parts of a token to merge: the list must have them all.
	for _, m := range t.merges.slots {
		if m.rank == noMerge {
			continue
		}
		if n := int32(len(v.Tokens)); m.left >= n || m.right >= n {
			continue
		}
		pair := [2]string{v.Tokens[m.left], v.Tokens[m.right]}
		if _, ok := ranks[pair]; !ok {
			return v, fmt.Errorf("tokenizer: there is no merge of %s and %s, though that is a token, which scores cannot say", quote(pair[0]), quote(pair[1]))
		}
	}
	return scored, nil
}
