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
	added  []addedJSON       // a later file may change what a token is, but not its id
	index  map[string]int    // of added, by text
	named  map[string]string // texts of bos_token and eos_token, where the file with the vocabulary says them

	steps Vocabulary // all but its tokens, merges and added tokens
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
	v := &d.steps
	if len(v.Normalizer) > maxSteps || len(v.PreTokenizer) > maxSteps || len(v.Decoder) > maxSteps {
		return nil, fmt.Errorf("found %d steps of a normalizer, %d of a pre-tokenizer and %d of a decoder, expected at most %d each", len(v.Normalizer), len(v.PreTokenizer), len(v.Decoder), maxSteps)
	}
	for _, s := range slices.Concat(v.Normalizer, v.PreTokenizer, v.Decoder) {
		if len(s.Content) > maxContent || len(s.Pattern) > maxPattern {
			return nil, fmt.Errorf("step %s has a content of %d bytes and a pattern of %d, expected at most %d and %d", quote(s.Type), len(s.Content), len(s.Pattern), maxContent, maxPattern)
		}
	}
	t, err := d.build()
	if err != nil {
		return nil, err
	}
	if b := slices.Index(t.bytes[:], noToken); v.ByteFallback && t.model == ByteBPE && b >= 0 {
		return nil, fmt.Errorf("byte_fallback is true and the vocabulary has no token for byte 0x%02x: expected one for each byte, as byte-level BPE has", b)
	}
	if t.normalizer, err = newNormalizer(v.Normalizer); err != nil {
		return nil, err
	}
	if err := t.setSteps(v); err != nil {
		return nil, err
	}
	if v.IgnoreMerges {
		t.ignoreMerges(d.vocab.ids, d.specialIDs())
	}
	if id, ok := d.vocab.ids[v.Unknown]; ok {
		t.setUnknown(id, v.FuseUnknown)
	}
	// If no text is normalized and all tokens are found in the same pass, the first pass serves as well.
	onePass := t.normalizer == nil && !slices.ContainsFunc(d.added, func(a addedJSON) bool { return !a.Normalized })
	for _, a := range d.added {
		a.Normalized = a.Normalized && !onePass
		if err := t.addToken(a.Content, addedToken{*a.ID, a.Special, a.Match}); err != nil {
			return nil, err
		}
	}
	t.findSpaces()
	return t, t.surround(v.Prefix, v.Suffix)
}

// scores are those of n tokens. Tokens that other files have added behind those of the model
// have the best score; nothing becomes them but their own text.
func (d *draft) scores(n int) []float64 {
	scores := slices.Clone(d.steps.Scores[:min(n, len(d.steps.Scores))])
	if len(scores) == 0 {
		return nil
	}
	best := slices.Max(scores)
	for id := len(scores); id < n; id++ {
		if !slices.ContainsFunc(d.added, func(a addedJSON) bool { return *a.ID == id }) {
			break
		}
		scores = append(scores, best)
	}
	return scores
}

// specialIDs are the ids of special tokens.
func (d *draft) specialIDs() map[int]bool {
	ids := map[int]bool{}
	for _, a := range d.added {
		if a.Special {
			ids[*a.ID] = true
		}
	}
	return ids
}

// setSteps makes the pre-tokenizer and the decoder.
func (t *Tokenizer) setSteps(v *Vocabulary) (err error) {
	t.steps, t.prefixSpace = v.PreTokenizer, v.PrefixSpace && t.model == ByteBPE
	if t.model != ByteBPE {
		if t.splitters, err = newSplitters(t.steps, false, false); err != nil {
			return err
		}
		t.decoder, t.tokens, err = newDecoder(v.Decoder, t.names)
		return err
	}
	for _, s := range v.Decoder {
		if s.Type != byteLevel && s.Type != fuse { // Fuse joins what is joined anyway
			return fmt.Errorf("decoder: found %s, expected \"ByteLevel\", because the model's tokens are spelt in bytes", quote(s.Type))
		}
	}
	if t.steps == nil || gpt2Steps(t.steps, t.prefixSpace) {
		t.steps = nil
		return nil
	}
	t.splitters, err = newSplitters(t.steps, true, t.prefixSpace)
	return err
}

// gpt2Steps reports whether a pre-tokenizer does what GPT-2's does.
func gpt2Steps(steps []Step, prefixSpace bool) bool {
	last := len(steps) - 1
	if last < 0 || steps[last].Type != byteLevel {
		return false
	}
	for _, s := range steps[:last] {
		if s.Type != split || !slices.Contains(gpt2Patterns, s.Pattern) || s.byHand() == nil {
			return false
		}
	}
	return last == 0 && steps[0].Split || last > 0 && !prefixSpace
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
