package tokenizer

// This file reads vocab.json (token to id) and merges.txt (pairs of tokens, in
// order of rank), and builds a Tokenizer of the two. Both write a byte of a
// token as a printable character: see byteOf. added_tokens.json is like
// vocab.json, but its tokens stand for themselves.

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// byteOf gives the byte that a character of a token's name stands for. Bytes
// that print in Latin-1 stand for themselves and the 68 others, in order, are
// U+0100 and on, so that names hold no space or control character: a space is
// written "Ġ" (bytes_to_unicode in OpenAI's GPT-2).
var byteOf = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range rune(256) {
		if '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b {
			m[b] = byte(b)
		} else {
			m[next] = byte(b)
			next++
		}
	}
	return m
}()

// tokenBytes returns the bytes that a token of this name stands for. It reports
// false for a name with any other character than byteOf's, which stands for
// itself, as in Hugging Face's tokenizers: no merge makes it.
func tokenBytes(name string) (string, bool) {
	b := make([]byte, 0, len(name))
	for _, r := range name {
		c, ok := byteOf[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// A vocab is the content of vocab.json or added_tokens.json: ids by name.
type vocab struct {
	ids   map[string]int
	names []string // in the order of the file
	size  int      // how many rows a model has for them: more than there are names where ids have holes
}

// add lists a name, which must not be listed yet.
func (v *vocab) add(name string, id int) error {
	if first, twice := v.ids[name]; twice {
		return fmt.Errorf("token %s is listed twice, with ids %d and %d, expected once", quote(name), first, id)
	}
	if len(v.names) == MaxTokens {
		return fmt.Errorf("there are more tokens than the %d that are read", MaxTokens)
	}
	v.ids[name] = id
	v.names = append(v.names, name)
	v.size = max(v.size, id+1)
	return nil
}

func newVocab() *vocab { return &vocab{ids: map[string]int{}} }

// parseVocab reads an object of token names and ids. It checks that names are
// distinct and not empty; checkIDs checks the ids.
func parseVocab(data []byte) (*vocab, error) {
	r, v := newJSONReader(data), newVocab()
	if err := r.end(v.read(r)); err != nil {
		return nil, err
	}
	return v, nil
}

// read lists the names and ids of the next JSON object.
func (v *vocab) read(r *jsonReader) error {
	return r.object("", "an object of tokens and ids", func(name string) error {
		value, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		if value.Kind() != '0' {
			return fmt.Errorf("the id of token %s is %s, expected an integer", quote(name), describe(value))
		}
		number := value.String()
		id, err := strconv.Atoi(number)
		switch {
		case err != nil || id < 0 || id >= MaxTokens:
			return fmt.Errorf("the id of token %s is %.40s, expected an integer from 0 to %d", quote(name), number, MaxTokens-1)
		case name == "":
			return fmt.Errorf("the token of id %d is empty, expected at least one byte", id)
		}
		return v.add(name, id)
	})
}

// checkIDs checks that there are tokens, and that each has an id of its own. Ids
// may have holes: rows of the model that stand for no token.
func (v *vocab) checkIDs() error {
	if len(v.names) == 0 {
		return errors.New("there are no tokens, expected at least one")
	}
	byID := make([]string, v.size)
	for _, name := range v.names {
		id := v.ids[name]
		if byID[id] != "" {
			return fmt.Errorf("tokens %s and %s have the same id %d, expected one token an id", quote(byID[id]), quote(name), id)
		}
		byID[id] = name
	}
	return nil
}

// A mergeList is the content of merges.txt: pairs of names, in order of rank.
type mergeList struct {
	pairs [][2]string
	where func(i int) string // where pairs[i] stands in the file
}

// add appends a pair, unless err says that there is none. Its error names the place
// in the file.
func (m *mergeList) add(pair [2]string, err error) error {
	if err == nil && len(m.pairs) == MaxTokens {
		err = fmt.Errorf("there are more merges than the %d that are read", MaxTokens)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.where(len(m.pairs)), err)
	}
	m.pairs = append(m.pairs, pair)
	return nil
}

// parseMerges reads one merge a line, "left right", after an optional first
// line "#version: …". Only the end of the file may have empty lines.
func parseMerges(data []byte) (mergeList, error) {
	text := string(data)
	firstLine := 1
	if strings.HasPrefix(text, "#version") {
		_, text, _ = strings.Cut(text, "\n")
		firstLine = 2
	}
	m := mergeList{where: func(i int) string { return fmt.Sprintf("line %d", firstLine+i) }}
	for line := range strings.Lines(strings.TrimRight(text, "\r\n")) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if err := m.add(splitMerge(line)); err != nil {
			return m, err
		}
	}
	return m, nil
}

// splitMerge reads a merge written "left right".
func splitMerge(s string) ([2]string, error) {
	left, right, _ := strings.Cut(s, " ")
	if left == "" || right == "" || strings.Contains(right, " ") {
		return [2]string{}, fmt.Errorf("found %s, expected two tokens with one space between", quote(s))
	}
	return [2]string{left, right}, nil
}
