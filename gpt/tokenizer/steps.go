package tokenizer

// This file reads the steps of a tokenizer.json before and after the model, and
// writes them. Steps that do nothing are left out. A step that is not known here is
// refused by name, because it would make other ids.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Step is one step of a tokenizer.json before or after the model: it changes text
// (a normalizer), cuts it into pieces (a pre-tokenizer), or changes the text of tokens
// (a decoder). Type is Hugging Face's name of the step, which says what fields count.
type Step struct {
	Type     string
	Pattern  string // Replace, Split: what is looked for
	Regex    bool   // Replace, Split: Pattern is a regular expression
	Content  string // Replace: what takes its place; Prepend; Strip (decoder); Metaspace: the character for a space; CharDelimiterSplit: the character
	Behavior string // Split, Punctuation: what becomes of what was found
	Invert   bool   // Split: what was found and what was not change their parts
	Start    int    // Strip: how many at the start; of a normalizer, 1 for all
	Stop     int    // Strip: how many at the end; of a normalizer, 1 for all
	Scheme   string // Metaspace: which pieces get a space before them: always, first or never
	Split    bool   // Metaspace: it cuts before each space; Digits: each digit is a piece; ByteLevel: it cuts into words as GPT-2 does
	Charsmap string // Precompiled: SentencePiece's table of characters, as bytes
}

// stepJSON is any step: a normalizer, pre-tokenizer, post-processor or decoder.
type stepJSON struct {
	Type string `json:"type"`

	// Sequence
	Normalizers   []stepJSON `json:"normalizers"`
	PreTokenizers []stepJSON `json:"pretokenizers"`
	Processors    []stepJSON `json:"processors"`
	Decoders      []stepJSON `json:"decoders"`

	// ByteLevel, whose trim_offsets changes no ids; Metaspace of early files
	AddPrefixSpace *bool `json:"add_prefix_space"`
	UseRegex       *bool `json:"use_regex"` // true when absent

	// BertNormalizer
	CleanText    bool  `json:"clean_text"`
	Chinese      bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"` // as lowercase when absent
	Lowercase    bool  `json:"lowercase"`

	// Replace, Prepend, Strip, Split, Metaspace, Punctuation, Digits, CharDelimiterSplit, Precompiled
	Pattern struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content     string  `json:"content"`
	Prepend     string  `json:"prepend"`
	StripLeft   bool    `json:"strip_left"`
	StripRight  bool    `json:"strip_right"`
	Start       int     `json:"start"`
	Stop        int     `json:"stop"`
	Behavior    string  `json:"behavior"`
	Invert      bool    `json:"invert"`
	Replacement string  `json:"replacement"`
	Scheme      *string `json:"prepend_scheme"`
	Split       *bool   `json:"split"` // true when absent
	Individual  bool    `json:"individual_digits"`
	Delimiter   string  `json:"delimiter"`
	Charsmap    []byte  `json:"precompiled_charsmap"` // base64

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

// pattern puts the pattern of a Replace or Split into to.
func (s *stepJSON) pattern(to *Step) error {
	switch {
	case s.Pattern.Regex != nil:
		to.Pattern, to.Regex = *s.Pattern.Regex, true
	case s.Pattern.String != nil && *s.Pattern.String != "":
		to.Pattern = *s.Pattern.String
	default:
		return fmt.Errorf("pattern of %s: missing, expected a String that is not empty, or a Regex", quote(s.Type))
	}
	return nil
}

// normalizerSteps are the steps of a normalizer that change texts.
func normalizerSteps(s *stepJSON) (steps []Step, err error) {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.Normalizers }) {
		step := Step{Type: s.Type}
		switch {
		case knownForm(s.Type), s.Type == stripAccents:
		case s.Type == prepend:
			step.Content = s.Prepend
		case s.Type == strip:
			step.Start, step.Stop = oneIf(s.StripLeft), oneIf(s.StripRight)
		case s.Type == replace:
			step.Content = s.Content
			if err := s.pattern(&step); err != nil {
				return nil, fmt.Errorf("normalizer: %w", err)
			}
		case s.Type == precompiled:
			step.Charsmap = string(s.Charsmap)
		case s.Type == "BertNormalizer" && !s.CleanText && !s.Chinese && !s.stripsAccents():
			if !s.Lowercase {
				continue
			}
			step.Type = lowercase
		default:
			return nil, fmt.Errorf("normalizer: found %s, which is not known here and would change ids, expected null, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents or Precompiled", quote(s.Type))
		}
		if step.Type == prepend && step.Content == "" || step.Type == strip && step.Start+step.Stop == 0 ||
			step.Type == replace && !step.Regex && step.Pattern == step.Content || step.Type == precompiled && step.Charsmap == "" {
			continue // it does not change text
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// stripsAccents reports whether a BertNormalizer takes accents off.
func (s *stepJSON) stripsAccents() bool {
	if s.StripAccents == nil {
		return s.Lowercase
	}
	return *s.StripAccents
}

// preTokenizerSteps are the steps of a pre-tokenizer. prefixSpace reports whether its
// ByteLevel puts a space before a text, which is not in the step.
func preTokenizerSteps(s *stepJSON) (steps []Step, prefixSpace bool, err error) {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.PreTokenizers }) {
		step := Step{Type: s.Type}
		switch s.Type {
		case byteLevel:
			step.Split = s.UseRegex == nil || *s.UseRegex
			prefixSpace = s.AddPrefixSpace != nil && *s.AddPrefixSpace
		case split:
			step.Behavior, step.Invert = s.Behavior, s.Invert
			err = s.pattern(&step)
		case metaspace:
			step.Content, step.Split, step.Scheme, err = s.metaspace()
		case digits:
			step.Split = s.Individual
		case punctuation:
			step.Behavior = s.Behavior
			if step.Behavior == "" {
				step.Behavior = isolated
			}
		case charDelimiter:
			if step.Content = s.Delimiter; utf8.RuneCountInString(s.Delimiter) != 1 {
				err = fmt.Errorf("delimiter of %s: found %s, expected one character", quote(s.Type), quote(s.Delimiter))
			}
		case whitespace, whitespaceSplit, bertPreTokenizer:
		default:
			err = fmt.Errorf("found %s, which is not known here and would change ids, expected ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit or BertPreTokenizer", quote(s.Type))
		}
		if err != nil {
			return nil, false, fmt.Errorf("pre_tokenizer: %w", err)
		}
		steps = append(steps, step)
	}
	return steps, prefixSpace, nil
}

// metaspace returns the character that a Metaspace writes for a space, whether it
// cuts before each, and which pieces get one. Early files have add_prefix_space in
// place of prepend_scheme.
func (s *stepJSON) metaspace() (mark string, split bool, scheme string, err error) {
	mark, split, scheme = s.Replacement, s.Split == nil || *s.Split, always
	switch {
	case s.Scheme != nil:
		scheme = *s.Scheme
	case s.AddPrefixSpace != nil && !*s.AddPrefixSpace:
		scheme = never
	}
	if utf8.RuneCountInString(mark) != 1 {
		return "", false, "", fmt.Errorf("replacement of %s: found %s, expected one character", quote(s.Type), quote(mark))
	}
	if scheme != always && scheme != firstOnly && scheme != never {
		return "", false, "", fmt.Errorf("prepend_scheme of %s: found %s, expected always, first or never", quote(s.Type), quote(scheme))
	}
	return mark, split, scheme, nil
}

// decoderSteps are the steps of a decoder.
func decoderSteps(s *stepJSON) (steps []Step, err error) {
	for _, s := range leaves(s, func(s *stepJSON) []stepJSON { return s.Decoders }) {
		step := Step{Type: s.Type}
		switch s.Type {
		case byteLevel, byteFallback, fuse:
		case replace:
			step.Content = s.Content
			err = s.pattern(&step)
		case strip:
			if step.Content, step.Start, step.Stop = s.Content, s.Start, s.Stop; utf8.RuneCountInString(s.Content) != 1 || s.Start < 0 || s.Stop < 0 {
				err = fmt.Errorf("%s: found content %s, start %d and stop %d, expected one character, and how many of them", quote(s.Type), quote(s.Content), s.Start, s.Stop)
			}
		case metaspace:
			step.Content, _, step.Scheme, err = s.metaspace()
		default:
			err = fmt.Errorf("found %s, which is not known here and would change texts, expected ByteLevel, ByteFallback, Fuse, Replace, Strip or Metaspace", quote(s.Type))
		}
		if err != nil {
			return nil, fmt.Errorf("decoder: %w", err)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// maxSteps bounds how many steps a tokenizer has.
const maxSteps = 64

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
		case byteLevel: // changes offsets only
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

// sequence is a step of the steps, each written by one: nil for none.
func sequence(steps []Step, parts string, one func(Step) object) any {
	all := make([]object, len(steps))
	for i, s := range steps {
		all[i] = one(s)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return object{"type": "Sequence", parts: all}
}

// patternJSON is the pattern of a Replace or Split.
func (s Step) patternJSON() object {
	if s.Regex {
		return object{"Regex": s.Pattern}
	}
	return object{"String": s.Pattern}
}

func (s Step) normalizerJSON() object {
	o := object{"type": s.Type}
	switch s.Type {
	case prepend:
		o["prepend"] = s.Content
	case strip:
		o["strip_left"], o["strip_right"] = s.Start > 0, s.Stop > 0
	case replace:
		o["pattern"], o["content"] = s.patternJSON(), s.Content
	case precompiled:
		o["precompiled_charsmap"] = []byte(s.Charsmap)
	}
	return o
}

func (s Step) preTokenizerJSON(prefixSpace bool) object {
	o := object{"type": s.Type}
	switch s.Type {
	case byteLevel:
		o["add_prefix_space"], o["trim_offsets"], o["use_regex"] = prefixSpace, true, s.Split
	case split:
		o["pattern"], o["behavior"], o["invert"] = s.patternJSON(), s.Behavior, s.Invert
	case metaspace:
		o["replacement"], o["prepend_scheme"], o["split"] = s.Content, s.Scheme, s.Split
	case digits:
		o["individual_digits"] = s.Split
	case punctuation:
		o["behavior"] = s.Behavior
	case charDelimiter:
		o["delimiter"] = s.Content
	}
	return o
}

func (s Step) decoderJSON() object {
	o := object{"type": s.Type}
	switch s.Type {
	case byteLevel:
		o["add_prefix_space"], o["trim_offsets"], o["use_regex"] = false, true, true
	case replace:
		o["pattern"], o["content"] = s.patternJSON(), s.Content
	case strip:
		o["content"], o["start"], o["stop"] = s.Content, s.Start, s.Stop
	case metaspace:
		o["replacement"], o["prepend_scheme"], o["split"] = s.Content, s.Scheme, true
	}
	return o
}

// Names of steps, and of what their settings may be.
const (
	byteLevel        = "ByteLevel"
	split            = "Split"
	metaspace        = "Metaspace"
	digits           = "Digits"
	punctuation      = "Punctuation"
	whitespace       = "Whitespace"
	whitespaceSplit  = "WhitespaceSplit"
	charDelimiter    = "CharDelimiterSplit"
	bertPreTokenizer = "BertPreTokenizer"
	prepend          = "Prepend"
	replace          = "Replace"
	strip            = "Strip"
	stripAccents     = "StripAccents"
	precompiled      = "Precompiled"
	lowercase        = "Lowercase" // lower case of each character by itself
	byteFallback     = "ByteFallback"
	fuse             = "Fuse"

	isolated           = "Isolated"
	removed            = "Removed"
	contiguous         = "Contiguous"
	mergedWithPrevious = "MergedWithPrevious"
	mergedWithNext     = "MergedWithNext"

	always    = "always"
	firstOnly = "first"
	never     = "never"
)

// behaviors are what Split and Punctuation may make of what they find.
var behaviors = []string{isolated, removed, contiguous, mergedWithPrevious, mergedWithNext}

func knownBehavior(name string) error {
	if !slices.Contains(behaviors, name) {
		return fmt.Errorf("behavior: found %s, expected one of %q", quote(name), behaviors)
	}
	return nil
}
