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
	Model  Model
	Tokens []string     // by id: the name; "" where there is no token. Of ByteBPE each byte is a printable character, a space "Ġ"
	Merges [][2]string  // of ByteBPE and TextBPE: names of neighbours that become one token, in order of rank
	Scores []float64    // of ScoredBPE and Unigram: by id, higher ones are better
	Added  map[int]bool // ids of tokens found in text as a whole, whose name is that text; true for special ones

	Matches      map[int]Match // how added tokens are found, for those with a Match other than zero
	Normalizer   []Step        // steps that change text first
	PreTokenizer []Step        // steps that cut text into words; nil for GPT-2's of ByteBPE, for none of others
	Decoder      []Step        // what becomes of the names of tokens in text; nil for ByteBPE
	PrefixSpace  bool          // of ByteBPE: a space is put before text between added tokens, if it does not begin with one
	IgnoreMerges bool          // a word that is a token becomes that token, whatever merges would make of it
	ByteFallback bool          // a character without token becomes tokens of its bytes, "<0x0A>"; always for ScoredBPE
	Unknown      string        // name of the token for what has none; "" for none
	FuseUnknown  bool          // one unknown token stands for several such bytes or characters of a word; always for Unigram
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
	if v.Model < ByteBPE || v.Model > Unigram {
		return nil, fmt.Errorf("found model %d, expected %d to %d", v.Model, ByteBPE, Unigram)
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
		Normalizer: t.normalizer.list(), PreTokenizer: slices.Clone(t.steps), Decoder: slices.Clone(t.decoder.steps),
		PrefixSpace: t.prefixSpace, IgnoreMerges: t.whole != nil, ByteFallback: t.fallback && t.model != ScoredBPE,
		Prefix: t.Prefix(), Suffix: t.Suffix(),
		Model: t.model, Scores: slices.Clone(t.scores),
	}
	for id := range t.tokens {
		v.Tokens[id] = t.name(id)
	}
	if t.unknown != noToken {
		v.Unknown, v.FuseUnknown = v.Tokens[t.unknown], t.fuseUnknown
	}
	if t.model == ScoredBPE || t.model == Unigram {
		v.Merges = nil
		v.FuseUnknown = v.FuseUnknown && t.model == ScoredBPE
	}
	for _, m := range t.sortedMerges() {
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

// name is the name of a token in files.
func (t *Tokenizer) name(id int) string {
	switch {
	case t.names != nil:
		return t.names[id]
	case t.literal[id]:
		return t.tokens[id]
	}
	return tokenName(t.tokens[id])
}

// sortedMerges are the merges that a list says, in order of rank.
func (t *Tokenizer) sortedMerges() []merge {
	if t.model == ScoredBPE || t.model == Unigram {
		return nil
	}
	merges := slices.DeleteFunc(slices.Clone(t.merges.slots), func(m merge) bool { return m.rank == noMerge })
	slices.SortFunc(merges, func(a, b merge) int { return int(a.rank - b.rank) })
	return merges
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
	if v.Scores != nil {
		v.Scores = v.Scores[:rows]
	}
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
