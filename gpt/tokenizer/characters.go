package tokenizer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Characters makes a vocabulary in which every character of the texts is one
// token, so that an encoded text has as many tokens as characters.
//
// Ids follow the order of code points from 0 on, as in nanoGPT's recipe for
// characters. It is byte-level BPE too, so that programs which read GPT-2's files
// can read this vocabulary: merges make the characters of several bytes, and
// nothing else. After the characters come the bytes and the parts of characters
// that are merged, and then special tokens.
//
// Encode of a character that was in no text gives the tokens of its bytes, or an
// error if one of them has no token. The error of no text is ErrNoText.
func (c *Corpus) Characters() (Vocabulary, error) {
	seen := map[rune]bool{}
	for _, word := range c.words().words {
		for _, r := range word {
			seen[r] = true
		}
	}
	if len(seen) == 0 {
		return Vocabulary{}, ErrNoText
	}
	var tokens []string
	pieces := map[string]bool{}
	merges := map[string]int{} // by the text that it makes: the length of its left part
	for _, r := range slices.Sorted(maps.Keys(seen)) {
		s := string(r)
		tokens = append(tokens, s)
		for i := range len(s) {
			if len(s) > 1 {
				pieces[s[i:i+1]] = true
			}
			if i > 0 {
				merges[s[:i+1]] = i
			}
			if i > 1 {
				pieces[s[:i]] = true
			}
		}
	}
	tokens = append(tokens, slices.SortedFunc(maps.Keys(pieces), shorterFirst)...)
	v := Vocabulary{Merges: [][2]string{}}
	for _, text := range tokens {
		v.Tokens = append(v.Tokens, tokenName(text))
	}
	for _, text := range slices.SortedFunc(maps.Keys(merges), shorterFirst) {
		left := merges[text]
		v.Merges = append(v.Merges, [2]string{tokenName(text[:left]), tokenName(text[left:])})
	}
	return c.withSpecial(v)
}

// shorterFirst is the order of texts by length, and by their bytes if they are
// equally long.
func shorterFirst(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }
