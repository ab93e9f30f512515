package tokenizer

// This file puts a tokenizer together from what files say of it.

import (
	"fmt"
	"slices"
)

// A draft is what files say of a tokenizer.
type draft struct {
	file   string // that an error of merges is in
	vocab  *vocab
	merges mergeList
	added  []addedJSON    // those of a later file say what a token is, but not which id it has
	index  map[string]int // of added, by text

	normalizer   []string
	prefixSpace  bool
	ignoreMerges bool
	byteFallback bool
	unknown      string // the token for a byte that has none; "" for none
	fuseUnknown  bool   // one for several such bytes of a word
	prefix       []int
	suffix       []int
}

// A fileError is an error in one of several files.
type fileError struct {
	file string
	err  error
}

func (e *fileError) Error() string { return e.file + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// within says in which file err is.
func within(file string, err error) error {
	if err == nil {
		return nil
	}
	return &fileError{file, err}
}

// list lists an added token that has an id, in the vocabulary too. Where its text
// is listed already the first id holds, as in Hugging Face's tokenizers, and the
// second is of no token.
func (d *draft) list(a addedJSON) error {
	if err := a.check(); err != nil {
		return err
	}
	if i, ok := d.index[a.Content]; ok {
		a.ID = d.added[i].ID
		d.added[i] = a
		return nil
	}
	if err := a.addTo(d.vocab); err != nil {
		return err
	}
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[a.Content] = len(d.added)
	d.added = append(d.added, a)
	return nil
}

// make makes a tokenizer of d. Its errors are about the merges, or say in which
// part of the file they are.
func (d *draft) make() (*Tokenizer, error) {
	t, err := build(d.vocab, d.merges)
	if err != nil {
		return nil, err
	}
	if d.byteFallback {
		for b, id := range t.bytes {
			if id == noToken {
				return nil, fmt.Errorf("byte_fallback is true and the vocabulary has no token for byte 0x%02x: expected one for each byte, as byte-level BPE has", b)
			}
		}
	}
	t.normalizer, t.prefixSpace = d.normalizer, d.prefixSpace
	if d.ignoreMerges {
		t.ignoreMerges(d.vocab.ids)
	}
	if id, ok := d.vocab.ids[d.unknown]; ok {
		t.setUnknown(id, d.fuseUnknown)
	}
	// Where all are found in the same pass, and nothing changes texts, it does not matter in which.
	if len(d.normalizer) == 0 && !slices.ContainsFunc(d.added, func(a addedJSON) bool { return !a.Normalized }) {
		for i := range d.added {
			d.added[i].Normalized = false
		}
	}
	for _, a := range d.added {
		if err := t.addToken(a.Content, addedToken{*a.ID, a.Special, a.match()}); err != nil {
			return nil, err
		}
	}
	return t, t.surround(d.prefix, d.suffix)
}

// surround sets the ids that stand before a text and behind it.
func (t *Tokenizer) surround(prefix, suffix []int) error {
	for _, ids := range [][]int{prefix, suffix} {
		for _, id := range ids {
			if _, ok := t.Token(id); !ok {
				return fmt.Errorf("a token that begins or ends a text has id %d, which is of no token", id)
			}
		}
	}
	t.prefix, t.suffix = prefix, suffix
	return nil
}
