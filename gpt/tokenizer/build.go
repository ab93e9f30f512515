package tokenizer

// This file makes the tables of a Tokenizer, of a vocabulary and its merges or scores.

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// A Model is how words become tokens.
type Model int

// Models.
const (
	// ByteBPE merges the bytes of a word, by a list of merges, as GPT-2 does. In names of
	// tokens each byte is a printable character.
	ByteBPE Model = iota

	// TextBPE merges the characters of a word, by a list of merges (Gemma, and Llama 2 in
	// a tokenizer.json). Names of tokens are their text, in which a space is mostly "▁".
	TextBPE

	// ScoredBPE merges the characters of a word: always the pair whose token has the
	// highest score (SentencePiece's BPE: "llama" in a GGUF file).
	ScoredBPE

	// Unigram cuts a word into the tokens whose scores have the highest sum
	// (SentencePiece's unigram: "t5" in a GGUF file).
	Unigram
)

// String is the name of the model in an error.
func (m Model) String() string {
	return [...]string{"byte-level BPE", "BPE of characters", "SentencePiece's BPE", "Unigram"}[m]
}

// build makes a Tokenizer of a vocabulary whose ids were checked. Its errors are about
// the merges or scores.
func (d *draft) build() (*Tokenizer, error) {
	v := d.vocab
	t := &Tokenizer{
		model:   d.steps.Model,
		tokens:  make([]string, v.size),
		unknown: noToken,
		literal: map[int]bool{},
		added:   addedTokens{plain: true, byText: map[string]addedToken{}},
	}
	for b := range t.bytes {
		t.bytes[b] = noToken
	}
	if t.model == ByteBPE {
		for name, id := range v.ids {
			var ok bool
			if t.tokens[id], ok = tokenBytes(name); !ok {
				t.tokens[id], t.literal[id] = name, true
			}
		}
		for r, b := range byteOf {
			if id, ok := v.ids[string(r)]; ok {
				t.bytes[b] = int32(id)
			}
		}
		return t, t.addMerges(v, d.merges)
	}
	t.names = make([]string, v.size)
	for name, id := range v.ids {
		t.names[id] = name
	}
	if d.steps.ByteFallback || t.model == ScoredBPE {
		for b := range t.bytes {
			if id, ok := v.ids[byteName(b)]; ok {
				t.bytes[b] = int32(id)
			}
		}
		t.fallback = true
	}
	special := d.specialIDs()
	if t.model == Unigram || t.model == ScoredBPE {
		t.scores = d.scores(len(t.names))
		if err := checkScores(t.scores, len(t.names)); err != nil {
			return nil, err
		}
	}
	if t.model == Unigram {
		var err error
		for id := len(d.steps.Scores); id < len(t.names); id++ {
			special[id] = true // added behind the tokens of the model, of which no part of a word becomes one
		}
		t.unigram, err = newUnigram(t.names, t.scores, special)
		return t, err
	}
	t.characters = &characters{}
	for name, id := range v.ids {
		if r, n := utf8.DecodeRuneInString(name); n == len(name) {
			t.characters.set(r, int32(id))
		}
	}
	if t.model == ScoredBPE {
		t.addScores(v, special)
		return t, nil
	}
	return t, t.addMerges(v, d.merges)
}

// byteName is the name of the token for one byte where names are texts.
func byteName(b int) string { return fmt.Sprintf("<0x%02X>", b) }

// byteOfName is the inverse of byteName.
func byteOfName(name string) (byte, bool) {
	if len(name) != 6 || name[:3] != "<0x" || name[5] != '>' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(name[3:5]) {
		switch {
		case '0' <= c && c <= '9':
			b = b<<4 | (c - '0')
		case 'A' <= c && c <= 'F':
			b = b<<4 | (c - 'A' + 10)
		case 'a' <= c && c <= 'f':
			b = b<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

// addMerges makes the table of merges. Of a merge that is listed twice the last
// counts, as in Hugging Face's tokenizers.
func (t *Tokenizer) addMerges(v *vocab, m mergeList) error {
	t.merges = newMergeTable(len(m.pairs))
	var both []byte
	for rank, p := range m.pairs {
		both = append(append(both[:0], p[0]...), p[1]...)
		left, ok1 := v.ids[p[0]]
		right, ok2 := v.ids[p[1]]
		result, ok3 := v.ids[string(both)]
		if !ok1 || !ok2 || !ok3 {
			what := "merges " + quote(p[0])
			switch {
			case !ok1:
			case !ok2:
				what = "merges " + quote(p[1])
			default:
				what = fmt.Sprintf("merges %s and %s into %s", quote(p[0]), quote(p[1]), quote(string(both)))
			}
			return fmt.Errorf("%s: %s, which is not in the vocabulary", m.where(rank), what)
		}
		*t.merges.slot(int32(left), int32(right)) = merge{int32(left), int32(right), int32(rank), int32(result)}
		if t.model == ByteBPE {
			left, right := t.tokens[left], t.tokens[right]
			t.joins.add(left[len(left)-1], right[0])
		}
	}
	return nil
}

// addScores makes the table of merges: whatever two parts make a token, either of
// which is a token or one character. Equal scores have equal ranks. No text becomes a
// special token.
func (t *Tokenizer) addScores(v *vocab, special map[int]bool) {
	sorted := slices.Clone(t.scores)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	sorted = slices.Compact(sorted)
	rankOf := make(map[float64]int32, len(sorted))
	for rank, score := range sorted {
		rankOf[score] = int32(rank)
	}
	var all []merge
	part := func(s string, size int) (int32, bool) { // size is of its first character
		if id, ok := v.ids[s]; ok {
			return int32(id), true
		}
		if size < len(s) {
			return 0, false
		}
		r, _ := utf8.DecodeRuneInString(s)
		return t.piece(r), true
	}
	for id, name := range t.names {
		if name == "" || len(name) > maxPieceLen || special[id] {
			continue
		}
		_, first := utf8.DecodeRuneInString(name)
		for at := first; at < len(name); {
			_, size := utf8.DecodeRuneInString(name[at:])
			if left, ok := part(name[:at], first); ok {
				if right, ok := part(name[at:], size); ok {
					all = append(all, merge{left, right, rankOf[t.scores[id]], int32(id)})
				}
			}
			at += size
		}
	}
	t.merges = newMergeTable(len(all))
	for _, m := range all {
		*t.merges.slot(m.left, m.right) = m
	}
}

// maxPieceLen is how long a token that merges make may be, in bytes. Others are never
// made. It bounds the work of addScores.
const maxPieceLen = 128

// checkScores checks that there is a finite score for each of n tokens.
func checkScores(scores []float64, n int) error {
	if len(scores) < n {
		return fmt.Errorf("found %d scores, expected %d, one a token", len(scores), n)
	}
	for id, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("the score of token %d is %v, expected a number", id, s)
		}
	}
	return nil
}

// characters are the ids of characters, in pages of 256.
type characters struct {
	pages [(utf8.MaxRune + 1) >> 8]*[256]int32
	extra []rune // those that are no token, but part of one: their ids follow the tokens'
}

func (c *characters) set(r rune, id int32) {
	page := &c.pages[r>>8]
	if *page == nil {
		*page = new([256]int32)
		for i := range *page {
			(*page)[i] = noToken
		}
	}
	(*page)[r&0xff] = id
}

// id returns the id of r, or noToken.
func (c *characters) id(r rune) int32 {
	if page := c.pages[r>>8]; page != nil {
		return page[r&0xff]
	}
	return noToken
}

// piece returns the id of a character. One that is no token gets an id after theirs.
func (t *Tokenizer) piece(r rune) int32 {
	id := t.characters.id(r)
	if id == noToken {
		id = int32(len(t.tokens) + len(t.characters.extra))
		t.characters.set(r, id)
		t.characters.extra = append(t.characters.extra, r)
	}
	return id
}

// setUnknown makes the token id stand for what has no token.
func (t *Tokenizer) setUnknown(id int, fuse bool) {
	if t.model != ByteBPE || slices.Contains(t.bytes[:], noToken) {
		t.unknown, t.fuseUnknown = int32(id), fuse
	}
}

// ignoreMerges makes each word that is the name of a token that token, unless it is
// special.
func (t *Tokenizer) ignoreMerges(ids map[string]int, special map[int]bool) {
	t.whole = make(map[string]int32, len(ids))
	for name, id := range ids {
		if special[id] {
			continue
		}
		text, ok := name, true
		if t.model == ByteBPE {
			text, ok = tokenBytes(name)
		}
		if ok {
			t.whole[text] = int32(id)
		}
	}
}

// addToken makes the token a.id an added one, whose text stands for itself.
func (t *Tokenizer) addToken(text string, a addedToken) error {
	normalized := text
	if a.Normalized {
		var err error
		if normalized, err = t.normalizer.text(text, false); err != nil {
			return err
		}
	}
	if t.model == ByteBPE {
		t.tokens[a.id], t.literal[a.id] = text, true
	}
	return t.added.add(text, normalized, a)
}

// findSpaces finds where a word may be cut before a spaceMark, whatever the merges:
// behind characters that no token has before one. So a text that nothing else cuts is
// not one word.
func (t *Tokenizer) findSpaces() {
	if t.model == ByteBPE {
		t.cutBeforeSpaces = endsBeforeSpace(t.steps)
		return
	}
	known := t.whole == nil
	if t.model == Unigram {
		_, isToken := t.unigram.trie.find(spaceMark)
		known = known && isToken
	} else {
		known = known && t.characters.id(spaceRune) != noToken
	}
	if !known {
		return
	}
	t.cutSpaces, t.cutBeforeSpaces = true, t.spacesAreMarks()
	for _, name := range t.names {
		for i := 1; i+len(spaceMark) <= len(name); i++ {
			if name[i:i+len(spaceMark)] == spaceMark {
				t.beforeSpace.add(name[i-1])
			}
		}
	}
}

// spaceMark stands for a space in the names of SentencePiece's tokens.
const (
	spaceMark = "▁"
	spaceRune = '▁'
)

// A byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *byteSet) has(b byte) bool { return s[b>>6]>>(b&63)&1 != 0 }
