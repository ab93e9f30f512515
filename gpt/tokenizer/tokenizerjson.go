package tokenizer

// This file reads tokenizer.json, in which Hugging Face's tokenizers library has
// all of a tokenizer: a vocabulary and merges, added tokens, and the steps before
// and after the model, for which see steps.go.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

type tokenizerJSON struct {
	Version       string          `json:"version"`
	Model         json.RawMessage `json:"model"`
	AddedTokens   []addedJSON     `json:"added_tokens"`
	Normalizer    *stepJSON       `json:"normalizer"`
	PreTokenizer  *stepJSON       `json:"pre_tokenizer"`
	PostProcessor *stepJSON       `json:"post_processor"`
	Decoder       *stepJSON       `json:"decoder"`
}

type addedJSON struct {
	ID      *int   `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
	Match

	textOnly bool // only Content is known
}

type modelJSON struct {
	Type                    string          `json:"type"`
	Vocab                   json.RawMessage `json:"vocab"`
	Merges                  json.RawMessage `json:"merges"`
	Dropout                 float64         `json:"dropout,omitempty"`
	ContinuingSubwordPrefix string          `json:"continuing_subword_prefix,omitempty"`
	EndOfWordSuffix         string          `json:"end_of_word_suffix,omitempty"`
	Unknown                 string          `json:"unk_token,omitempty"`
	FuseUnknown             bool            `json:"fuse_unk,omitempty"`
	ByteFallback            bool            `json:"byte_fallback,omitempty"`
	IgnoreMerges            bool            `json:"ignore_merges,omitempty"`
}

// readJSON reads a tokenizer.json.
func (d *draft) readJSON(data []byte) error {
	var file tokenizerJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return jsonError(data, 0, err)
	}
	if err := file.readSteps(&d.steps); err != nil {
		return err
	}
	if len(file.Model) == 0 {
		return errors.New("model: missing, expected a BPE model")
	}
	var model modelJSON
	if err := json.Unmarshal(file.Model, &model); err != nil {
		return fmt.Errorf("model: %w", jsonError(file.Model, 0, err))
	}
	if err := model.check(); err != nil {
		return err
	}
	d.steps.IgnoreMerges, d.byteFallback = model.IgnoreMerges, model.ByteFallback
	d.steps.Unknown, d.steps.FuseUnknown = model.Unknown, model.FuseUnknown
	var err error
	if d.vocab, err = parseVocab(model.Vocab); err != nil {
		return fmt.Errorf("model.vocab: %w", err)
	}
	for i, a := range file.AddedTokens {
		if err := d.list(a); err != nil {
			return fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
	}
	if err := d.vocab.checkIDs(); err != nil {
		return fmt.Errorf("model.vocab and added_tokens: %w", err)
	}
	d.merges, err = parseMergesJSON(model.Merges)
	return err
}

// readSteps reads the steps before and after the model. It refuses steps whose ids
// would differ from those of this package.
func (f *tokenizerJSON) readSteps(v *Vocabulary) (err error) {
	if v.Normalizer, err = normalizerSteps(f.Normalizer); err != nil {
		return err
	}
	if v.PrefixSpace, err = preTokenizer(f.PreTokenizer); err != nil {
		return err
	}
	if v.Prefix, v.Suffix, err = postProcessor(f.PostProcessor); err != nil {
		return err
	}
	return checkDecoder(f.Decoder)
}

func (m *modelJSON) check() error {
	switch {
	case m.Type != "BPE" && m.Type != "": // early files have no type
		return fmt.Errorf("model.type: found %s, expected \"BPE\"", quote(m.Type))
	case m.Vocab == nil:
		return errors.New("model.vocab: missing, expected an object of tokens and ids")
	case m.Merges == nil:
		return errors.New("model.merges: missing, expected an array")
	case m.Dropout != 0:
		return fmt.Errorf("model.dropout: found %v, expected 0 or null: encoding would be random", m.Dropout)
	case m.ContinuingSubwordPrefix != "":
		return fmt.Errorf("model.continuing_subword_prefix: found %s, expected none", quote(m.ContinuingSubwordPrefix))
	case m.EndOfWordSuffix != "":
		return fmt.Errorf("model.end_of_word_suffix: found %s, expected none", quote(m.EndOfWordSuffix))
	}
	return nil
}

// check checks the content and the id of a, without looking at other tokens.
func (a *addedJSON) check() error {
	switch {
	case a.Content == "":
		return errors.New("content: found \"\", expected the text of a token")
	case len(a.Content) > maxAddedLen:
		return fmt.Errorf("content: found %s, expected at most %d bytes", quote(a.Content), maxAddedLen)
	case a.ID == nil:
		return fmt.Errorf("id: missing for token %s, expected an integer", quote(a.Content))
	case *a.ID < 0 || *a.ID >= MaxTokens:
		return fmt.Errorf("id: found %d for token %s, expected 0 to %d", *a.ID, quote(a.Content), MaxTokens-1)
	}
	return nil
}

// parseMergesJSON reads an array of merges, each "left right" or, in newer
// files, ["left", "right"]. data is valid JSON, so that no Token fails.
func parseMergesJSON(data []byte) (mergeList, error) {
	m := mergeList{where: func(i int) string { return fmt.Sprintf("model.merges[%d]", i) }}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if open, _ := d.Token(); open != json.Delim('[') {
		return m, fmt.Errorf("model.merges: found %s, expected an array", describe(open))
	}
	for d.More() {
		if err := m.add(mergeJSON(d)); err != nil {
			return m, err
		}
	}
	return m, nil
}

// mergeJSON reads one merge of parseMergesJSON.
func mergeJSON(d *json.Decoder) (p [2]string, err error) {
	open, _ := d.Token()
	if s, ok := open.(string); ok {
		return splitMerge(s)
	}
	if open != json.Delim('[') {
		return p, fmt.Errorf("found %s, expected \"left right\" or [\"left\", \"right\"]", describe(open))
	}
	for i := range p {
		name, _ := d.Token()
		if p[i], _ = name.(string); p[i] == "" {
			return p, fmt.Errorf("entry %d is %s, expected a token", i, describe(name))
		}
	}
	if end, _ := d.Token(); end != json.Delim(']') {
		return p, fmt.Errorf("has more than two entries (%s), expected two tokens", describe(end))
	}
	return p, nil
}
