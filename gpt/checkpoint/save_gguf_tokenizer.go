package checkpoint

// This file writes the tokenizer of a GGUF file, and tells what of it the format
// cannot say.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// lost reports what the format that is written cannot hold: to o.Warn or, without
// one, as an error.
func (o SaveOptions) lost(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if o.Warn == nil {
		return err
	}
	o.Warn(err.Error())
	return nil
}

// savedTokenizer is the tokenizer to be saved. It is nil if there is none, or if it
// cannot be read and o allows that.
func (c *Checkpoint) savedTokenizer(o SaveOptions) (*tokenizer.Tokenizer, error) {
	t, err := c.Tokenizer()
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, tokenizer.ErrNone):
		return nil, nil
	case o.Warn == nil:
		return nil, err
	}
	return nil, o.lost("the tokenizer cannot be read, and none is written: %w", err)
}

// ends reports what a GGUF file cannot hold of the tokenizer v. It returns config
// with the tokens that begin and end a text in the order of the file, which has one
// that begins it and two that end it: those that the tokenizer adds come first.
func (o SaveOptions) ends(config model.Config, v tokenizer.Vocabulary) (model.Config, error) {
	var lost []error
	say := func(format string, args ...any) {
		if err := o.lost("GGUF: "+format, args...); err != nil {
			lost = append(lost, err)
		}
	}
	add := func(what string, ids []int, added []int) []int {
		if len(added) == 0 {
			return ids
		}
		if len(added) > 1 {
			say("the tokenizer puts %d tokens %s a text, of which it can hold the first alone", len(added), what)
		}
		return append(added[:1:1], slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return id == added[0] })...)
	}
	config.BOS, config.EOS = add("before", config.BOS, v.Prefix), add("behind", config.EOS, v.Suffix)
	if len(config.BOS) > 1 {
		say("the tokens %d begin a text, of which it can hold the first alone", config.BOS)
	}
	if len(config.EOS) > 2 {
		say("the tokens %d end a text, of which it can hold the first two alone", config.EOS)
	}
	if v.Model == tokenizer.ByteBPE {
		if len(v.Normalizer) > 0 {
			say("text is normalized (%s), which it cannot say: normalize prompts yourself", typesOf(v.Normalizer))
		}
		if v.PrefixSpace {
			say("the tokenizer puts a space before a text, which it can say, but llama.cpp does not do: begin prompts for llama.cpp with a space")
		}
		if v.Unknown != "" {
			say("token %q stands for bytes that have none, which it cannot say", v.Unknown)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.Matches)) {
		if m := v.Matches[id]; m.LeftStrip || m.RightStrip || m.SingleWord {
			say("added tokens such as %q take white space with them, or stand for whole words alone (lstrip, rstrip, single_word), which it cannot say", v.Tokens[id])
			break
		}
	}
	return config, errors.Join(lost...)
}

// typesOf are the names of steps.
func typesOf(steps []tokenizer.Step) string {
	var names []string
	for _, s := range steps {
		names = append(names, s.Type)
	}
	return strings.Join(names, ", ")
}

// tokenizerMetadata are the entries for a tokenizer, of at most vocab tokens, of a
// model with vocab of them. llama.cpp wants a token for each of the model's ids:
// an id without one gets an unused token. The error says what the format cannot say.
func tokenizerMetadata(v tokenizer.Vocabulary, vocab int) ([]gguf.KeyValue, error) {
	var kind []gguf.KeyValue
	var err error
	switch v.Model {
	case tokenizer.ByteBPE:
		kind, err = byteMetadata(v)
	case tokenizer.Unigram:
		kind, err = pieceMetadata(v, unigramTokens)
	default:
		scored, notScored := v.Scored()
		if kind, err = pieceMetadata(scored, scoredTokens); notScored != nil {
			if kind, err = textMetadata(v); err != nil {
				err = fmt.Errorf("%w (%w)", notScored, err)
			}
		} else {
			v = scored
		}
	}
	if err != nil {
		return nil, err
	}
	types := make([]int32, vocab)
	tokens := append(slices.Clone(v.Tokens), make([]string, vocab-len(v.Tokens))...)
	for id := range types {
		switch special, added := v.Added[id]; {
		case tokens[id] == "":
			tokens[id] = fillName(id)
			types[id] = tokenUnused
		case v.Model != tokenizer.ByteBPE && tokens[id] == v.Unknown:
			types[id] = tokenUnknown
		case special:
			types[id] = tokenControl
		case added:
			types[id] = tokenAdded
		case v.Model != tokenizer.ByteBPE && isByteName(tokens[id]):
			types[id] = tokenByte
		default:
			types[id] = tokenNormal
		}
	}
	all := append(kind,
		gguf.KeyValue{Key: keyTokens, Value: gguf.OfTexts(tokens)},
		gguf.KeyValue{Key: keyTypes, Value: gguf.OfInt32s(types)},
		gguf.KeyValue{Key: keyAddBOS, Value: gguf.OfBool(len(v.Prefix) > 0)})
	if v.Scores != nil {
		scores := append(slices.Clone(v.Scores), make([]float64, vocab-len(v.Scores))...)
		all = append(all, gguf.KeyValue{Key: keyScores, Value: gguf.OfFloat32s(scores)})
	}
	if len(v.Suffix) > 0 || v.Model == tokenizer.Unigram {
		all = append(all, gguf.KeyValue{Key: keyAddEOS, Value: gguf.OfBool(len(v.Suffix) > 0)})
	}
	if v.Model != tokenizer.ByteBPE && v.Unknown != "" {
		all = append(all, gguf.KeyValue{Key: keyUnknown, Value: gguf.OfUint32(uint32(slices.Index(v.Tokens, v.Unknown)))})
	}
	return all, nil
}

// isByteName reports whether a token is one for a byte, "<0x0A>".
func isByteName(name string) bool {
	var b byte
	_, err := fmt.Sscanf(name, "<0x%02X>", &b)
	return err == nil && len(name) == len("<0x0A>")
}

// byteMetadata are the entries of byte-level BPE alone.
func byteMetadata(v tokenizer.Vocabulary) ([]gguf.KeyValue, error) {
	name, ok := v.PreSplitName()
	if !ok {
		return nil, fmt.Errorf("the tokenizer cuts text into words in a way (%s) that has no name in GGUF, or none that says ignore_merges: %v", typesOf(v.PreTokenizer), v.IgnoreMerges)
	}
	merges, err := mergesMetadata(v)
	if err != nil {
		return nil, err
	}
	all := []gguf.KeyValue{{Key: keyTokenizer, Value: gguf.OfText(byteTokens)}, {Key: keySplit, Value: gguf.OfText(name)}, merges}
	if v.PrefixSpace {
		all = append(all, gguf.KeyValue{Key: keyAddSpace, Value: gguf.OfBool(true)})
	}
	return all, nil
}

// mergesMetadata is the entry of merges.
func mergesMetadata(v tokenizer.Vocabulary) (gguf.KeyValue, error) {
	merges := make([]string, len(v.Merges))
	for i, m := range v.Merges {
		if strings.Contains(m[0]+m[1], " ") {
			return gguf.KeyValue{}, fmt.Errorf("merge %d is of %q and %q: GGUF has merges as two tokens with a space between, so it cannot hold a token with one", i, m[0], m[1])
		}
		merges[i] = m[0] + " " + m[1]
	}
	return gguf.KeyValue{Key: keyMerges, Value: gguf.OfTexts(merges)}, nil
}

// pieceMetadata are the entries of a tokenizer of SentencePiece's alone.
func pieceMetadata(v tokenizer.Vocabulary, kind string) ([]gguf.KeyValue, error) {
	p, err := piecesOf(v)
	if err != nil {
		return nil, err
	}
	all := []gguf.KeyValue{
		{Key: keyTokenizer, Value: gguf.OfText(kind)}, {Key: keySplit, Value: gguf.OfText("default")},
		{Key: keyAddSpace, Value: gguf.OfBool(p.prefix)},
	}
	switch {
	case kind == unigramTokens:
		all = append(all, gguf.KeyValue{Key: keyCollapse, Value: gguf.OfBool(p.collapse)})
		if p.charsmap != "" {
			all = append(all, gguf.KeyValue{Key: keyCharsmap, Value: gguf.OfBytes([]byte(p.charsmap))})
		}
	case p.collapse || p.charsmap != "":
		return nil, fmt.Errorf("the tokenizer normalizes text (%s) in a way that GGUF cannot say of this model", typesOf(v.Normalizer))
	}
	return all, nil
}

// textMetadata are the entries of a BPE of characters alone.
func textMetadata(v tokenizer.Vocabulary) ([]gguf.KeyValue, error) {
	p, err := piecesOf(v)
	switch {
	case err != nil:
		return nil, err
	case p != pieces{} || !v.ByteFallback || v.IgnoreMerges || v.Unknown != "" && !v.FuseUnknown:
		return nil, errors.New("as a list of merges, GGUF can only say a tokenizer of Gemma's steps")
	}
	merges, err := mergesMetadata(v)
	return []gguf.KeyValue{{Key: keyTokenizer, Value: gguf.OfText(textTokens)}, merges}, err
}

// pieces are what GGUF says of a tokenizer of SentencePiece's.
type pieces struct {
	prefix   bool   // a space is put before a text
	collapse bool   // several spaces become one
	charsmap string // the table of characters
}

// piecesOf reads the steps of v as pieces. It is an error if they do something else.
func piecesOf(v tokenizer.Vocabulary) (p pieces, err error) {
	marked := false
	for _, s := range v.Normalizer {
		switch {
		case s.Type == "Prepend" && s.Content == spaceMark && !marked:
			p.prefix = true
		case s.Type == "Replace" && !s.Regex && s.Pattern == " " && s.Content == spaceMark && !marked:
			marked = true
		case s.Type == "Precompiled" && !marked && !p.prefix && p.charsmap == "":
			p.charsmap = s.Charsmap
		case s.Type == "Strip" && !marked && !p.prefix:
		case s.Type == "Replace" && s.Regex && s.Pattern == " {2,}" && (s.Content == " " || s.Content == spaceMark) && !marked && !p.prefix:
			p.collapse = true
		default:
			return p, fmt.Errorf("the tokenizer normalizes text (%s) in a way that GGUF cannot say", typesOf(v.Normalizer))
		}
	}
	for _, s := range v.PreTokenizer {
		switch {
		case s.Type == "Split" && !s.Regex && s.Pattern == " " && marked: // which finds none
		case s.Type == "Metaspace" && s.Content == spaceMark && !marked && (!s.Split || !inner(v.Tokens)):
			marked, p.prefix = true, s.Scheme != "never"
		case s.Type == "WhitespaceSplit" && p.collapse && !marked:
		default:
			return p, fmt.Errorf("the tokenizer cuts text into words (%s) in a way that GGUF cannot say", typesOf(v.PreTokenizer))
		}
	}
	if !marked {
		return p, errors.New("the tokenizer does not write spaces as " + spaceMark + ", which GGUF cannot say")
	}
	return p, nil
}

// inner reports whether a token has a mark for a space elsewhere than at its start.
func inner(tokens []string) bool {
	return slices.ContainsFunc(tokens, func(s string) bool { return strings.LastIndex(s, spaceMark) > 0 })
}
