package tokenizer

// This file is for formats that other packages read and write: it makes a
// Vocabulary of a tokenizer, and a tokenizer of a Vocabulary.

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Vocabulary is the content of a tokenizer, with the names of tokens that files have.
type Vocabulary struct {
	Tokens []string     // by id: the name, in which each byte is a printable character, a space "Ġ"; "" where there is no token
	Merges [][2]string  // names of neighbours that become one token, in order of rank
	Added  map[int]bool // ids of tokens found in text as a whole, whose name is that text; true for special ones

	Matches      map[int]Match // how added tokens are found, for those with a Match other than zero
	Normalizer   []string      // steps that change text first: NFC, NFD, NFKC, NFKD, Lowercase
	PrefixSpace  bool          // a space is put before text between added tokens, if it does not begin with one
	IgnoreMerges bool          // a word that is a token becomes that token, whatever merges would make of it
	Unknown      string        // name of the token for bytes that have none; "" for none
	FuseUnknown  bool          // one unknown token stands for several such bytes of a word
	Prefix       []int         // ids that come before a prompt or a document
	Suffix       []int         // ids that come after a document
}

// New makes a tokenizer of v. It checks all of v: the error says what is wrong.
func New(v Vocabulary) (*Tokenizer, error) {
	t, err := v.build()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func (v Vocabulary) build() (*Tokenizer, error) {
	if n := len(v.Tokens); n == 0 || n > MaxTokens {
		return nil, fmt.Errorf("found %d tokens, expected 1 to %d", n, MaxTokens)
	}
	if n := len(v.Merges); n > MaxTokens {
		return nil, fmt.Errorf("found %d merges, expected at most %d", n, MaxTokens)
	}
	for len(v.Tokens) > 0 && v.Tokens[len(v.Tokens)-1] == "" {
		v.Tokens = v.Tokens[:len(v.Tokens)-1]
	}
	names := &vocab{ids: make(map[string]int, len(v.Tokens))}
	for id, name := range v.Tokens {
		if name == "" {
			continue
		}
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("the token of id %d is %s, expected UTF-8", id, quote(name))
		}
		if err := names.add(name, id); err != nil {
			return nil, err
		}
	}
	if err := names.checkIDs(); err != nil {
		return nil, err
	}
	for _, step := range v.Normalizer {
		if !knownStep(step) {
			return nil, fmt.Errorf("normalizer: found %s, expected NFC, NFD, NFKC, NFKD or Lowercase", quote(step))
		}
	}
	merges := mergeList{v.Merges, func(i int) string { return fmt.Sprintf("merge %d", i) }}
	d := draft{vocab: names, merges: merges, steps: v}
	for id, special := range v.Added {
		switch {
		case id < 0 || id >= len(v.Tokens):
			return nil, fmt.Errorf("the id of an added token is %d, expected 0 to %d", id, len(v.Tokens)-1)
		case v.Tokens[id] == "":
			return nil, fmt.Errorf("the id of an added token is %d, which has no token", id)
		case len(v.Tokens[id]) > maxAddedLen:
			return nil, fmt.Errorf("the added token %s is too long, expected at most %d bytes", quote(v.Tokens[id]), maxAddedLen)
		}
		d.added = append(d.added, addedJSON{ID: &id, Content: v.Tokens[id], Special: special, Match: v.Matches[id]})
	}
	return d.make()
}

// Vocabulary returns the content of t. New makes an equal tokenizer of it.
func (t *Tokenizer) Vocabulary() Vocabulary {
	v := Vocabulary{
		Tokens: make([]string, len(t.tokens)), Merges: [][2]string{},
		Added:      map[int]bool{},
		Normalizer: slices.Clone(t.normalizer), PrefixSpace: t.prefixSpace, IgnoreMerges: t.whole != nil,
		Prefix: t.Prefix(), Suffix: t.Suffix(),
	}
	for id, text := range t.tokens {
		v.Tokens[id] = text
		if !t.literal[id] {
			v.Tokens[id] = tokenName(text)
		}
	}
	if t.unknown != noToken {
		v.Unknown, v.FuseUnknown = v.Tokens[t.unknown], t.fuseUnknown
	}
	merges := slices.DeleteFunc(slices.Clone(t.merges.slots), func(m merge) bool { return m.rank == noMerge })
	slices.SortFunc(merges, func(a, b merge) int { return int(a.rank - b.rank) })
	for _, m := range merges {
		v.Merges = append(v.Merges, [2]string{v.Tokens[m.left], v.Tokens[m.right]})
	}
	for _, a := range t.added.byText {
		v.Added[a.id] = a.special
		if a.Match != (Match{}) {
			if v.Matches == nil {
				v.Matches = map[int]Match{}
			}
			v.Matches[a.id] = a.Match
		}
	}
	return v
}

// Within returns t without the special tokens whose ids are rows or more, because a
// model with that many rows cannot read them. It returns t itself if other tokens,
// or Prefix or Suffix, have such ids.
func (t *Tokenizer) Within(rows int) *Tokenizer {
	if len(t.tokens) <= rows {
		return t
	}
	v := t.Vocabulary()
	for id := rows; id < len(v.Tokens); id++ {
		if special := v.Added[id]; !special && v.Tokens[id] != "" {
			return t
		}
		delete(v.Added, id)
		delete(v.Matches, id)
	}
	v.Tokens = v.Tokens[:rows]
	if less, err := New(v); err == nil {
		return less
	}
	return t
}

// runeOf is the inverse of byteOf.
var runeOf = func() (runes [256]rune) {
	for r, b := range byteOf {
		runes[b] = r
	}
	return runes
}()

// tokenName is the inverse of tokenBytes, for names of byteOf's characters.
func tokenName(text string) string {
	var name strings.Builder
	for i := range len(text) {
		name.WriteRune(runeOf[text[i]])
	}
	return name.String()
}
