package tokenizer

// This file takes a tokenizer apart into what files are made of, and puts one
// together from it: the way to and from formats that this package does not read.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Vocabulary is what a tokenizer is made of, as files spell it.
type Vocabulary struct {
	Tokens []string     // by id: the name, in which each byte is a printable character, a space "Ġ"
	Merges [][2]string  // names of neighbours that become one token, in order of rank
	Added  map[int]bool // ids of tokens found in text as a whole, whose name is that text; true for special ones

	Matches      map[int]Match // how added tokens are found, for those with a Match other than zero
	Normalizer   []string      // steps that change text first: NFC, NFD, NFKC, NFKD, Lowercase
	PrefixSpace  bool          // text between added tokens begins with a space, which is put there where it has none
	IgnoreMerges bool          // a word that is a token becomes that token, whatever merges would make of it
	Prefix       []int         // ids that stand before a prompt or a document
	Suffix       []int         // ids that stand behind a document
}

// New makes a tokenizer of v, of which nothing is believed.
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
	ids := make(map[string]int, len(v.Tokens))
	for id, name := range v.Tokens {
		if name == "" {
			return nil, fmt.Errorf("the token of id %d is empty, expected at least one byte", id)
		}
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("the token of id %d is %s, expected UTF-8", id, quote(name))
		}
		if first, ok := ids[name]; ok {
			return nil, fmt.Errorf("token %s is listed twice, with ids %d and %d, expected once", quote(name), first, id)
		}
		ids[name] = id
	}
	t, err := build(&vocab{ids, v.Tokens}, mergeList{v.Merges, func(i int) string { return fmt.Sprintf("merge %d", i) }})
	if err != nil {
		return nil, err
	}
	for _, step := range v.Normalizer {
		if !knownStep(step) {
			return nil, fmt.Errorf("normalizer: found %s, expected NFC, NFD, NFKC, NFKD or Lowercase", quote(step))
		}
	}
	t.normalizer, t.prefixSpace = v.Normalizer, v.PrefixSpace
	if v.IgnoreMerges {
		t.ignoreMerges(ids)
	}
	for id, special := range v.Added {
		if id < 0 || id >= len(v.Tokens) {
			return nil, fmt.Errorf("the id of an added token is %d, expected 0 to %d", id, len(v.Tokens)-1)
		}
		text := v.Tokens[id]
		if len(text) > maxAddedLen {
			return nil, fmt.Errorf("the added token %s is too long, expected at most %d bytes", quote(text), maxAddedLen)
		}
		if err := t.addToken(text, addedToken{id, special, v.Matches[id]}); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Concat(v.Prefix, v.Suffix) {
		if id < 0 || id >= len(v.Tokens) {
			return nil, fmt.Errorf("the id of a token that begins or ends a text is %d, expected 0 to %d", id, len(v.Tokens)-1)
		}
	}
	t.prefix, t.suffix = v.Prefix, v.Suffix
	return t, nil
}

// Vocabulary returns what t is made of. New makes an equal tokenizer of it.
func (t *Tokenizer) Vocabulary() Vocabulary {
	v := Vocabulary{
		Tokens: make([]string, len(t.tokens)), Merges: make([][2]string, len(t.merged)),
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
	for _, m := range t.merges.slots {
		if m.rank != noMerge {
			v.Merges[m.rank] = [2]string{v.Tokens[m.left], v.Tokens[m.right]}
		}
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

// Files returns the tokenizer as a model directory has it, by name of the file:
// vocab.json and merges.txt or, where these cannot tell which tokens are added,
// tokenizer.json. Load reads either.
func (v Vocabulary) Files() (map[string][]byte, error) {
	for id := range v.Added {
		if v.Tokens[id] != endOfText || !v.Added[id] {
			return v.tokenizerJSON()
		}
	}
	if id := slices.Index(v.Tokens, endOfText); id >= 0 && len(v.Added) == 0 { // which Load takes for special
		return v.tokenizerJSON()
	}
	for _, m := range v.Merges {
		if strings.ContainsAny(m[0]+m[1], " \r\n") {
			return v.tokenizerJSON() // a line of merges.txt cannot hold it
		}
	}
	return v.vocabAndMerges()
}

// BothFiles returns the tokenizer of a trained vocabulary as tokenizer.json, and
// as vocab.json and merges.txt beside it for tools that read only these.
func (v Vocabulary) BothFiles() (map[string][]byte, error) {
	files, err := v.vocabAndMerges()
	if err != nil {
		return nil, err
	}
	whole, err := v.tokenizerJSON()
	maps.Copy(files, whole)
	return files, err
}

func (v Vocabulary) vocabAndMerges() (map[string][]byte, error) {
	vocab, err := v.vocabJSON()
	if err != nil {
		return nil, err
	}
	merges := bytes.NewBufferString("#version: 0.2\n")
	for _, m := range v.Merges {
		merges.WriteString(m[0] + " " + m[1] + "\n")
	}
	return map[string][]byte{"vocab.json": vocab, "merges.txt": merges.Bytes()}, nil
}

// vocabJSON is the object of names and ids, in the order of ids.
func (v Vocabulary) vocabJSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	separator := "{"
	for id, name := range v.Tokens {
		out.WriteString(separator)
		if err := e.Encode(name); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the newline that Encode adds
		fmt.Fprintf(&out, ": %d", id)
		separator = ", "
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

func (v Vocabulary) tokenizerJSON() (map[string][]byte, error) {
	vocab, err := v.vocabJSON()
	if err != nil {
		return nil, err
	}
	added := []addedJSON{}
	for id, name := range v.Tokens {
		if special, ok := v.Added[id]; ok {
			added = append(added, addedJSON{ID: &id, Content: name, Special: special})
		}
	}
	step := &stepJSON{Type: "ByteLevel", TrimOffsets: true}
	merges, err := json.Marshal(v.Merges)
	if err != nil {
		return nil, err
	}
	model, err := json.Marshal(modelJSON{Type: "BPE", Vocab: vocab, Merges: merges})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(tokenizerJSON{Version: "1.0", Model: model, AddedTokens: added, PreTokenizer: step, Decoder: step})
	return map[string][]byte{"tokenizer.json": text}, err
}
