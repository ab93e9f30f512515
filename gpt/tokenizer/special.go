package tokenizer

import (
	"slices"
	"strings"
)

// endOfText is the one special token of GPT-2. It stands between documents.
const endOfText = "<|endoftext|>"

// maxAddedLen bounds the bytes of an added token, and so the time to look for
// one: the search tries every length there is. Real ones have some 20 bytes.
const maxAddedLen = 512

// addedTokens are tokens that are found in text as a whole, not by merging
// bytes. Ordinary ones are always found, special ones only where the caller
// allows it. Where several start at the same place, the longest counts.
type addedTokens struct {
	byText  map[string]addedToken
	lengths [256][]int // by first byte: the lengths there are, longest first
	starts  string     // the first bytes there are
}

type addedToken struct {
	id      int
	special bool
}

// add makes text, which is not empty, an added token.
func (a *addedTokens) add(text string, id int, special bool) {
	if a.byText == nil {
		a.byText = map[string]addedToken{}
	}
	a.byText[text] = addedToken{id, special}
	l := &a.lengths[text[0]]
	if !slices.Contains(*l, len(text)) {
		*l = append(*l, len(text))
		slices.SortFunc(*l, func(x, y int) int { return y - x })
	}
	if strings.IndexByte(a.starts, text[0]) < 0 {
		a.starts += text[:1]
	}
}

// next returns where the first added token of s from offset at on starts and
// ends, and its id. Both are len(s) when there is none.
func (a *addedTokens) next(s string, at int, special bool) (start, end, id int) {
	for i := at; i < len(s); i++ {
		n := indexAnyByte(s[i:], a.starts)
		if n < 0 {
			break
		}
		i += n
		for _, l := range a.lengths[s[i]] {
			if l > len(s)-i {
				continue
			}
			if t, ok := a.byText[s[i:i+l]]; ok && (special || !t.special) {
				return i, i + l, t.id
			}
		}
	}
	return len(s), len(s), 0
}

// indexAnyByte is strings.IndexAny for bytes in place of characters.
func indexAnyByte(s, set string) int {
	switch len(set) {
	case 0:
		return -1
	case 1:
		return strings.IndexByte(s, set[0])
	}
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 {
			return i
		}
	}
	return -1
}
