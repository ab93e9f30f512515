package tokenizer

// This file makes a tokenizer of what its files say.

import (
	"fmt"
	"slices"
)

// A draft is what files say of a tokenizer.
type draft struct {
	file   string // the one with the merges, for errors about them
	vocab  *vocab
	merges mergeList
	added  []addedJSON    // a later file may change what a token is, but not its id
	index  map[string]int // of added, by text

	steps        Vocabulary // only its fields from Normalizer on
	byteFallback bool
}

// list adds an added token that has an id, also to the vocabulary. If its text is
// listed already, the first id counts, as in Hugging Face's tokenizers, and the
// second id has no token.
func (d *draft) list(a addedJSON) error {
	if err := a.check(); err != nil {
		return err
	}
	if i, ok := d.index[a.Content]; ok {
		a.ID = d.added[i].ID
		d.added[i] = a
		return nil
	}
	if id, ok := d.vocab.ids[a.Content]; !ok {
		if err := d.vocab.add(a.Content, *a.ID); err != nil {
			return err
		}
	} else if id != *a.ID {
		return fmt.Errorf("token %s has id %d, expected %d as listed before", quote(a.Content), *a.ID, id)
	}
	d.index[a.Content] = len(d.added)
	d.added = append(d.added, a)
	return nil
}

// make makes a tokenizer of d. Its errors are about the merges, or name the part of
// the file that they are about.
func (d *draft) make() (*Tokenizer, error) {
	t, err := build(d.vocab, d.merges)
	if err != nil {
		return nil, err
	}
	if b := slices.Index(t.bytes[:], noToken); d.byteFallback && b >= 0 {
		return nil, fmt.Errorf("byte_fallback is true and the vocabulary has no token for byte 0x%02x: expected one for each byte, as byte-level BPE has", b)
	}
	t.normalizer, t.prefixSpace = d.steps.Normalizer, d.steps.PrefixSpace
	if d.steps.IgnoreMerges {
		t.ignoreMerges(d.vocab.ids)
	}
	if id, ok := d.vocab.ids[d.steps.Unknown]; ok {
		t.setUnknown(id, d.steps.FuseUnknown)
	}
	// If no text is normalized and all tokens are found in the same pass, the first pass serves as well.
	onePass := len(t.normalizer) == 0 && !slices.ContainsFunc(d.added, func(a addedJSON) bool { return !a.Normalized })
	for _, a := range d.added {
		a.Normalized = a.Normalized && !onePass
		if err := t.addToken(a.Content, addedToken{*a.ID, a.Special, a.Match}); err != nil {
			return nil, err
		}
	}
	return t, t.surround(d.steps.Prefix, d.steps.Suffix)
}

// surround sets the ids that come before a text and after it.
func (t *Tokenizer) surround(prefix, suffix []int) error {
	for _, id := range slices.Concat(prefix, suffix) {
		if _, ok := t.Token(id); !ok {
			return fmt.Errorf("a token that begins or ends a text has id %d, which is of no token", id)
		}
	}
	t.prefix, t.suffix = prefix, suffix
	return nil
}
