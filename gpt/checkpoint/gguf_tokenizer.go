package checkpoint

// This file reads the tokenizer of a GGUF file, and writes one.

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/strictjson"
)

// Values of token_type.
const (
	tokenNormal  = 1
	tokenUnknown = 2 // special too
	tokenControl = 3 // special
	tokenAdded   = 4 // found in text as a whole
	tokenUnused  = 5
)

// maxMerges is more than any tokenizer has.
const maxMerges = 1 << 22

// fillName is llama.cpp's name for a token that only fills a row of the model.
func fillName(id int) string { return fmt.Sprintf("[PAD%d]", id) }

// tokenizer reads the tokenizer of a model with vocab tokens.
func (m metadata) tokenizer(vocab int) (*tokenizer.Tokenizer, error) {
	kind, found, err := m.text(keyTokenizer)
	switch {
	case err != nil:
		return nil, err
	case !found || kind == "none" || kind == "no_vocab":
		return nil, fmt.Errorf("%w: found %s %q, expected \"gpt2\"", tokenizer.ErrNone, keyTokenizer, kind)
	case kind != "gpt2":
		return nil, fmt.Errorf("%s: found %q, expected \"gpt2\"", keyTokenizer, strictjson.Shorten(kind))
	}
	// Early files do not say how text is split into words; it is GPT-2's way.
	if split, found, err := m.text(keySplit); err != nil {
		return nil, err
	} else if found && split != "gpt-2" {
		return nil, fmt.Errorf("%s: found %q, expected \"gpt-2\": ids would be wrong", keySplit, strictjson.Shorten(split))
	}
	v := tokenizer.Vocabulary{}
	var merges []string
	var errs [6]error
	v.Tokens, errs[0] = m.texts(keyTokens, vocab)
	errs[1] = m.types(&v)
	v.PrefixSpace, errs[2] = m.flag(keyAddSpace)
	v.Prefix, errs[3] = m.around(keyAddBOS, keyBOS, len(v.Tokens))
	v.Suffix, errs[4] = m.around(keyAddEOS, keyEOS, len(v.Tokens))
	merges, errs[5] = m.texts(keyMerges, maxMerges)
	if err := cmp.Or(errs[:]...); err != nil { // the first one
		return nil, err
	}
	for i, s := range merges {
		left, right, ok := strings.Cut(s, " ")
		if !ok {
			return nil, fmt.Errorf("%s[%d]: found %q, expected two tokens with a space between", keyMerges, i, strictjson.Shorten(s))
		}
		v.Merges = append(v.Merges, [2]string{left, right})
	}
	return tokenizer.New(v)
}

// around reads the id that comes before a text, or after it, if the key add says
// that one does.
func (m metadata) around(add, key string, tokens int) ([]int, error) {
	id, found, err := m.integer(key)
	asked, flagErr := m.flag(add)
	switch {
	case flagErr != nil || !asked:
		return nil, flagErr
	case err != nil:
		return nil, err
	case !found || id >= tokens:
		return nil, fmt.Errorf("%s is true, but %s is missing or no token: found %d, expected 0 to %d", add, key, id, tokens-1)
	}
	return []int{id}, nil
}

// types reads which tokens are added ones. It drops tokens that only fill rows of the
// model: unused ones at the end, and unused ones before that have the name for it.
func (m metadata) types(v *tokenizer.Vocabulary) error {
	v.Added = map[int]bool{}
	value, found := m.Value(keyTypes)
	if !found {
		if id := slices.Index(v.Tokens, "<|endoftext|>"); id >= 0 {
			v.Added[id] = true
		}
		return nil
	}
	if _, n, ok := value.Elements(); !ok || n != len(v.Tokens) {
		return fmt.Errorf("%s: found %d entries, expected %d, one a token", keyTypes, n, len(v.Tokens))
	}
	types, ok := value.Ints()
	if !ok {
		return fmt.Errorf("%s: expected whole numbers", keyTypes)
	}
	for id, t := range types {
		switch {
		case t == tokenControl || t == tokenUnknown || t == tokenAdded:
			v.Added[id] = t != tokenAdded
		case t == tokenUnused && v.Tokens[id] == fillName(id):
			v.Tokens[id] = ""
		}
	}
	for n := len(types); n > 0 && types[n-1] == tokenUnused; n-- {
		v.Tokens = v.Tokens[:n-1]
	}
	return nil
}

// texts reads an array of at most limit strings.
func (m metadata) texts(key string, limit int) ([]string, error) {
	value, found := m.Value(key)
	if !found {
		return nil, fmt.Errorf("%s: missing, expected an array of strings", key)
	}
	if _, n, _ := value.Elements(); n > limit {
		return nil, fmt.Errorf("%s: found %d strings, expected at most %d", key, n, limit)
	}
	texts, ok := value.Texts()
	if !ok {
		return nil, fmt.Errorf("%s: expected an array of strings", key)
	}
	return texts, nil
}

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
	if len(v.Normalizer) > 0 {
		say("text is normalized (%s), which it cannot say: normalize prompts yourself", strings.Join(v.Normalizer, ", "))
	}
	if v.PrefixSpace {
		say("the tokenizer puts a space before a text, which it can say, but llama.cpp does not do: begin prompts for llama.cpp with a space")
	}
	if v.IgnoreMerges {
		say("words that are tokens become those whatever merges make of them (ignore_merges), which it cannot say")
	}
	if v.Unknown != "" {
		say("token %q stands for bytes that have none, which it cannot say", v.Unknown)
	}
	for _, id := range slices.Sorted(maps.Keys(v.Matches)) {
		if m := v.Matches[id]; m.LeftStrip || m.RightStrip || m.SingleWord {
			say("added tokens such as %q take white space with them, or stand for whole words alone (lstrip, rstrip, single_word), which it cannot say", v.Tokens[id])
			break
		}
	}
	return config, errors.Join(lost...)
}

// tokenizerMetadata are the entries for a tokenizer, of at most vocab tokens, of a
// model with vocab of them. llama.cpp wants a token for each of the model's ids:
// an id without one gets an unused token.
func tokenizerMetadata(v tokenizer.Vocabulary, vocab int) ([]gguf.KeyValue, error) {
	types := make([]int32, vocab)
	v.Tokens = append(v.Tokens, make([]string, vocab-len(v.Tokens))...)
	for id := range types {
		switch special, added := v.Added[id]; {
		case v.Tokens[id] == "":
			v.Tokens[id] = fillName(id)
			types[id] = tokenUnused
		case special:
			types[id] = tokenControl
		case added:
			types[id] = tokenAdded
		default:
			types[id] = tokenNormal
		}
	}
	merges := make([]string, len(v.Merges))
	for i, m := range v.Merges {
		if strings.Contains(m[0]+m[1], " ") {
			return nil, fmt.Errorf("merge %d is of %q and %q: GGUF has merges as two tokens with a space between, so it cannot hold a token with one", i, m[0], m[1])
		}
		merges[i] = m[0] + " " + m[1]
	}
	all := []gguf.KeyValue{
		{Key: keyTokenizer, Value: gguf.OfText("gpt2")},
		{Key: keySplit, Value: gguf.OfText("gpt-2")},
		{Key: keyTokens, Value: gguf.OfTexts(v.Tokens)},
		{Key: keyTypes, Value: gguf.OfInt32s(types)},
		{Key: keyMerges, Value: gguf.OfTexts(merges)},
		{Key: keyAddBOS, Value: gguf.OfBool(len(v.Prefix) > 0)},
	}
	if len(v.Suffix) > 0 {
		all = append(all, gguf.KeyValue{Key: keyAddEOS, Value: gguf.OfBool(true)})
	}
	if v.PrefixSpace {
		all = append(all, gguf.KeyValue{Key: keyAddSpace, Value: gguf.OfBool(true)})
	}
	return all, nil
}
