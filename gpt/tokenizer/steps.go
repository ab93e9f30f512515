package tokenizer

// This file reads the steps of a tokenizer.json before and after the model. It
// accepts steps that do nothing, and steps that together do what GPT-2's do. It
// refuses other steps by name, because they would make other ids.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// stepJSON is any step: a normalizer, pre-tokenizer, post-processor or decoder.
type stepJSON struct {
	Type string `json:"type"`

	// Sequence
	Normalizers   []stepJSON `json:"normalizers"`
	PreTokenizers []stepJSON `json:"pretokenizers"`
	Processors    []stepJSON `json:"processors"`
	Decoders      []stepJSON `json:"decoders"`

	// ByteLevel; its trim_offsets changes no ids
	AddPrefixSpace bool  `json:"add_prefix_space"`
	UseRegex       *bool `json:"use_regex"` // true when absent

	// BertNormalizer
	CleanText    bool  `json:"clean_text"`
	Chinese      bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"` // as lowercase when absent
	Lowercase    bool  `json:"lowercase"`

	// Replace, Prepend, Strip, Split
	Pattern struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content    string `json:"content"`
	Prepend    string `json:"prepend"`
	StripLeft  bool   `json:"strip_left"`
	StripRight bool   `json:"strip_right"`
	Behavior   string `json:"behavior"`
	Invert     bool   `json:"invert"`

	// TemplateProcessing, RobertaProcessing, BertProcessing
	Single        []pieceJSON                    `json:"single"`
	SpecialTokens map[string]struct{ IDs []int } `json:"special_tokens"`
	First         [2]json.RawMessage             `json:"cls"` // a token and its id
	Last          [2]json.RawMessage             `json:"sep"`
}

// pieceJSON is a part of a template: the text, or tokens beside it.
type pieceJSON struct {
	Sequence     *struct{ ID string } `json:"Sequence"`
	SpecialToken *struct{ ID string } `json:"SpecialToken"`
}

// normalizerSteps are the steps of a normalizer that change texts.
func normalizerSteps(s *stepJSON) (steps []string, err error) {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.Normalizers }) {
		switch {
		case knownStep(s.Type):
			steps = append(steps, s.Type)
		case s.Type == "Prepend" && s.Prepend == "",
			s.Type == "Strip" && !s.StripLeft && !s.StripRight,
			s.Type == "Replace" && s.Pattern.String != nil && *s.Pattern.String == s.Content:
			// It does not change text.
		case s.Type == "BertNormalizer" && !s.CleanText && !s.Chinese && !s.stripsAccents():
			if s.Lowercase {
				steps = append(steps, lowercase)
			}
		default:
			return nil, fmt.Errorf("normalizer: found %s, which is not known here and would change ids, expected null, NFC, NFD, NFKC, NFKD or Lowercase", quote(s.Type))
		}
	}
	return steps, nil
}

// stripsAccents reports whether a BertNormalizer takes accents off.
func (s *stepJSON) stripsAccents() bool {
	if s.StripAccents == nil {
		return s.Lowercase
	}
	return *s.StripAccents
}

// patterns are spellings of the pattern that split.go follows.
var patterns = []string{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
}

// preTokenizer reports whether a space is put before a text. It refuses steps that
// do not split text into words as GPT-2's pattern does.
func preTokenizer(s *stepJSON) (prefixSpace bool, err error) {
	split, bytes := false, false
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.PreTokenizers }) {
		switch {
		case bytes:
			return false, fmt.Errorf("pre_tokenizer: found %s after \"ByteLevel\", expected nothing", quote(s.Type))
		case s.Type == "Split":
			// "Removed" with invert leaves only what the pattern matches, which is the whole text.
			if p := s.Pattern.Regex; p == nil || !slices.Contains(patterns, *p) || s.Behavior != "Isolated" && !(s.Behavior == "Removed" && s.Invert) {
				return false, errors.New("pre_tokenizer: found \"Split\" by another pattern than GPT-2's, or another behavior than \"Isolated\": ids would be wrong")
			}
			split = true
		case s.Type != "ByteLevel":
			return false, fmt.Errorf("pre_tokenizer: found %s, expected \"ByteLevel\"", quote(s.Type))
		case !split && s.UseRegex != nil && !*s.UseRegex:
			return false, errors.New("pre_tokenizer: use_regex is false and no \"Split\" is before, expected true as in GPT-2")
		case split && s.AddPrefixSpace:
			return false, errors.New("pre_tokenizer: add_prefix_space is true after \"Split\", which puts a space before each word: expected false")
		default:
			bytes, prefixSpace = true, s.AddPrefixSpace
		}
	}
	if !bytes {
		return false, errors.New("pre_tokenizer: missing, expected \"ByteLevel\"")
	}
	return prefixSpace, nil
}

// leaves are the steps of a sequence, and of the sequences in it, in their order.
// Of another step it is that step alone.
func leaves(s *stepJSON, parts func(*stepJSON) []stepJSON) []*stepJSON {
	if s == nil {
		return nil
	}
	if s.Type != "Sequence" {
		return []*stepJSON{s}
	}
	var all []*stepJSON
	for _, s := range parts(s) {
		all = append(all, leaves(&s, parts)...)
	}
	return all
}

// postProcessor returns the ids that are put before a text and behind it.
func postProcessor(s *stepJSON) (prefix, suffix []int, err error) {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.Processors }) {
		var before, after []int
		switch s.Type {
		case "ByteLevel": // changes offsets only
		case "TemplateProcessing":
			before, after, err = s.template()
		case "RobertaProcessing", "BertProcessing":
			before, after, err = s.firstAndLast()
		default:
			err = fmt.Errorf("found %s, expected null, \"ByteLevel\" or \"TemplateProcessing\"", quote(s.Type))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("post_processor: %w", err)
		}
		if len(before)+len(after) == 0 {
			continue
		}
		if len(prefix)+len(suffix) > 0 {
			return nil, nil, errors.New("post_processor: found two steps that put tokens around a text, expected one")
		}
		prefix, suffix = before, after
	}
	return prefix, suffix, nil
}

// maxAround bounds the tokens that are put around a text.
const maxAround = 64

// template returns the tokens of a TemplateProcessing for a single text.
func (s *stepJSON) template() (before, after []int, err error) {
	to := &before
	for _, p := range s.Single {
		switch {
		case p.SpecialToken != nil:
			t, ok := s.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("the template has token %s, which special_tokens does not list", quote(p.SpecialToken.ID))
			}
			*to = append(*to, t.IDs...)
		case p.Sequence != nil && p.Sequence.ID == "A" && to == &before:
			to = &after
		default:
			return nil, nil, errors.New("the template for a single text has more than the text A, once, and special tokens")
		}
		if len(before)+len(after) > maxAround {
			return nil, nil, fmt.Errorf("the template puts more than %d tokens around a text", maxAround)
		}
	}
	if to == &before {
		return nil, nil, errors.New("the template for a single text leaves the text A out")
	}
	return before, after, nil
}

// firstAndLast returns the tokens of a RobertaProcessing or BertProcessing.
func (s *stepJSON) firstAndLast() (before, after []int, err error) {
	var first, last int
	if json.Unmarshal(s.First[1], &first) != nil || json.Unmarshal(s.Last[1], &last) != nil {
		return nil, nil, fmt.Errorf("cls or sep of %s: expected a token and its id", quote(s.Type))
	}
	return []int{first}, []int{last}, nil
}

// checkDecoder refuses decoders that would not give the bytes of tokens.
func checkDecoder(s *stepJSON) error {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.Decoders }) {
		if s.Type != "ByteLevel" && s.Type != "Fuse" { // Fuse joins what is joined anyway
			return fmt.Errorf("decoder: found %s, expected \"ByteLevel\"", quote(s.Type))
		}
	}
	return nil
}
