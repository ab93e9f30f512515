package checkpoint

// This file reads the tokenizer of a GGUF file. save_gguf_tokenizer.go writes one.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	tokenByte    = 6
)

// Values of keyTokenizer.
const (
	byteTokens    = "gpt2"   // byte-level BPE
	scoredTokens  = "llama"  // SentencePiece's BPE
	unigramTokens = "t5"     // SentencePiece's unigram
	textTokens    = "gemma4" // BPE of characters, by a list of merges
)

// textSplits are names of keySplit whose tokens are texts, though the model is byteTokens.
var textSplits = []string{"gemma4", "granite-embed-multi-311m", "sarvam-moe"}

// maxMerges is more than any tokenizer has.
const maxMerges = 1 << 22

// spaceMark is what SentencePiece writes for a space.
const spaceMark = "▁"

// fillName is llama.cpp's name for a token that only fills a row of the model.
func fillName(id int) string { return fmt.Sprintf("[PAD%d]", id) }

// tokenizer reads the tokenizer of a model with vocab tokens.
func (m metadata) tokenizer(vocab int) (*tokenizer.Tokenizer, error) {
	kind, found, err := m.text(keyTokenizer)
	if err != nil {
		return nil, err
	}
	if !found || kind == "none" || kind == "no_vocab" {
		return nil, fmt.Errorf("%w: found %s %q, expected one of %q", tokenizer.ErrNone, keyTokenizer, kind, []string{byteTokens, scoredTokens, unigramTokens, textTokens})
	}
	v := tokenizer.Vocabulary{}
	if v.Tokens, err = m.texts(keyTokens, vocab); err != nil {
		return nil, err
	}
	if err := m.types(&v); err != nil {
		return nil, err
	}
	switch kind {
	case byteTokens:
		err = m.byteTokenizer(&v)
	case scoredTokens:
		err = m.scoredTokenizer(&v)
	case unigramTokens:
		err = m.unigramTokenizer(&v)
	case textTokens:
		err = m.textTokenizer(&v)
	default:
		names := map[string]string{"bert": " (WordPiece)", "rwkv": " (RWKV)", "plamo2": " (PLaMo 2)"}
		err = fmt.Errorf("%s: found %q%s, expected one of %q", keyTokenizer, strictjson.Shorten(kind), names[kind], []string{byteTokens, scoredTokens, unigramTokens, textTokens})
	}
	if err != nil {
		return nil, err
	}
	return tokenizer.New(v)
}

// byteTokenizer reads byte-level BPE. Early files do not say how text is cut into
// words; it is GPT-2's way.
func (m metadata) byteTokenizer(v *tokenizer.Vocabulary) error {
	name, found, err := m.text(keySplit)
	if err != nil {
		return err
	}
	if !found {
		name = "gpt-2"
	}
	if slices.Contains(textSplits, name) {
		return m.textTokenizer(v)
	}
	p, ok := tokenizer.PreSplitOf(name)
	if !ok {
		return fmt.Errorf("%s: found %q, a way to cut text into words that is not known here: ids would be wrong", keySplit, strictjson.Shorten(name))
	}
	v.PreTokenizer, v.IgnoreMerges = p.Steps, p.IgnoreMerges
	var errs [4]error
	v.Merges, errs[0] = m.merges()
	v.PrefixSpace, errs[1] = m.flag(keyAddSpace)
	v.Prefix, errs[2] = m.around(keyAddBOS, keyBOS, len(v.Tokens), p.AddBOS)
	v.Suffix, errs[3] = m.around(keyAddEOS, keyEOS, len(v.Tokens), false)
	return cmp.Or(errs[:]...) // the first one
}

// scoredTokenizer reads SentencePiece's BPE.
func (m metadata) scoredTokenizer(v *tokenizer.Vocabulary) error {
	v.Model, v.FuseUnknown = tokenizer.ScoredBPE, true
	var prefix bool
	var errs [5]error
	v.Scores, errs[0] = m.scores(len(v.Tokens))
	v.Unknown, errs[1] = m.unknown(v, 0)
	prefix, errs[2] = m.flagOr(keyAddSpace, true)
	v.Prefix, errs[3] = m.around(keyAddBOS, keyBOS, len(v.Tokens), true)
	v.Suffix, errs[4] = m.around(keyAddEOS, keyEOS, len(v.Tokens), false)
	v.PieceSteps("", false, prefix)
	return cmp.Or(errs[:]...)
}

// unigramTokenizer reads SentencePiece's unigram model.
func (m metadata) unigramTokenizer(v *tokenizer.Vocabulary) error {
	v.Model = tokenizer.Unigram
	var prefix, collapse bool
	var charsmap string
	var errs [7]error
	v.Scores, errs[0] = m.scores(len(v.Tokens))
	v.Unknown, errs[1] = m.unknown(v, 2)
	prefix, errs[2] = m.flagOr(keyAddSpace, true)
	collapse, errs[3] = m.flag(keyCollapse)
	v.Prefix, errs[4] = m.around(keyAddBOS, keyBOS, len(v.Tokens), false)
	v.Suffix, errs[5] = m.around(keyAddEOS, keyEOS, len(v.Tokens), true)
	charsmap, errs[6] = m.bytes(keyCharsmap)
	v.PieceSteps(charsmap, collapse, prefix)
	return cmp.Or(errs[:]...)
}

// textTokenizer reads BPE of characters, as Gemma 4 has it.
func (m metadata) textTokenizer(v *tokenizer.Vocabulary) error {
	v.Model, v.ByteFallback, v.FuseUnknown = tokenizer.TextBPE, true, true
	var errs [4]error
	v.Merges, errs[0] = m.merges()
	v.Unknown, errs[1] = m.unknown(v, -1)
	v.Prefix, errs[2] = m.around(keyAddBOS, keyBOS, len(v.Tokens), false)
	v.Suffix, errs[3] = m.around(keyAddEOS, keyEOS, len(v.Tokens), false)
	v.PieceSteps("", false, false)
	return cmp.Or(errs[:]...)
}

// merges reads pairs of tokens with a space between, which may begin with one.
func (m metadata) merges() ([][2]string, error) {
	merges, err := m.texts(keyMerges, maxMerges)
	if err != nil {
		return nil, err
	}
	pairs := make([][2]string, len(merges))
	for i, s := range merges {
		at := strings.Index(s[min(1, len(s)):], " ") + 1
		if at == 0 {
			return nil, fmt.Errorf("%s[%d]: found %q, expected two tokens with a space between", keyMerges, i, strictjson.Shorten(s))
		}
		pairs[i] = [2]string{s[:at], s[at+1:]}
	}
	return pairs, nil
}

// scores reads a score for each of n tokens.
func (m metadata) scores(n int) ([]float64, error) {
	value, _ := m.Value(keyScores)
	scores, ok := value.Floats()
	if !ok || len(scores) < n {
		return nil, fmt.Errorf("%s: found %d numbers, expected %d, one a token", keyScores, len(scores), n)
	}
	return scores[:n], nil
}

// unknown reads the name of the token for what has none. id is that of files that do
// not say; -1 for none.
func (m metadata) unknown(v *tokenizer.Vocabulary, id int) (string, error) {
	given, found, err := m.integer(keyUnknown)
	if found {
		id = given
	}
	if err != nil || id < 0 || id >= len(v.Tokens) {
		return "", err
	}
	return v.Tokens[id], nil
}

// bytes reads an array of bytes, which may be absent.
func (m metadata) bytes(key string) (string, error) {
	value, found := m.Value(key)
	if !found {
		return "", nil
	}
	ints, ok := value.Ints()
	if !ok {
		return "", fmt.Errorf("%s: expected an array of bytes", key)
	}
	p := make([]byte, len(ints))
	for i, n := range ints {
		p[i] = byte(n)
	}
	return string(p), nil
}

// around reads the id that comes before a text, or after it, if the key add says
// that one does, or does by default.
func (m metadata) around(add, key string, tokens int, byDefault bool) ([]int, error) {
	id, found, err := m.integer(key)
	asked, flagErr := m.flagOr(add, byDefault && found && id < tokens)
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
	return m.strips(v)
}

// strips says which added tokens take white space with them. Files do not say it:
// llama.cpp knows it of Phi-3 by the model's name.
func (m metadata) strips(v *tokenizer.Vocabulary) error {
	name, _, err := m.text(keyName)
	if err != nil {
		return err
	}
	if name = strings.ToLower(name); !strings.Contains(name, "phi-3") && !strings.Contains(name, "phi3") {
		return nil
	}
	v.Matches = map[int]tokenizer.Match{}
	for id := range v.Added {
		if id < len(v.Tokens) && !slices.Contains([]string{"<unk>", "<s>", "<|endoftext|>"}, v.Tokens[id]) {
			v.Matches[id] = tokenizer.Match{RightStrip: true}
		}
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
