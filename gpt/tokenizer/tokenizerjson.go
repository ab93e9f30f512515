package tokenizer

// This file reads tokenizer.json, in which Hugging Face's tokenizers library has
// all of a tokenizer: a vocabulary and merges, added tokens, and the steps before
// and after the model, for which see steps.go. Files of 30 MB are usual, so it is read
// in one pass.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

type tokenizerJSON struct {
	AddedTokens   []addedJSON
	Normalizer    *stepJSON
	PreTokenizer  *stepJSON
	PostProcessor *stepJSON
	Decoder       *stepJSON
}

type addedJSON struct {
	ID      *int   `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
	Match

	textOnly bool // only Content is known
}

type modelJSON struct {
	Type                    string
	Dropout                 float64
	ContinuingSubwordPrefix string
	EndOfWordSuffix         string
	Unknown                 string
	UnknownID               *int
	FuseUnknown             bool
	ByteFallback            bool
	IgnoreMerges            bool

	vocab  *vocab
	scores []float64 // of Unigram, by id
	merges mergeList
	listed bool // there are merges
}

// readJSON reads a tokenizer.json.
func (d *draft) readJSON(data []byte) error {
	var file tokenizerJSON
	var model *modelJSON
	r := newJSONReader(data)
	err := r.object("", "an object", func(key string) error {
		switch key {
		case "model":
			model = &modelJSON{}
			return model.read(r)
		case "added_tokens":
			file.AddedTokens = nil
			return r.value(key, &file.AddedTokens)
		}
		if to, ok := map[string]**stepJSON{"normalizer": &file.Normalizer, "pre_tokenizer": &file.PreTokenizer, "post_processor": &file.PostProcessor, "decoder": &file.Decoder}[key]; ok {
			*to = nil
			return r.value(key, to)
		}
		return r.skip()
	})
	if err = r.end(err); err != nil {
		return err
	}
	d.steps = Vocabulary{}
	if err := file.readSteps(&d.steps); err != nil {
		return err
	}
	if model == nil {
		return errors.New("model: missing, expected a BPE or Unigram model")
	}
	if err := model.check(); err != nil {
		return err
	}
	if err := model.applyTo(d); err != nil {
		return err
	}
	for i, a := range file.AddedTokens {
		if err := d.list(a); err != nil {
			return fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
	}
	if err := d.vocab.checkIDs(); err != nil {
		return fmt.Errorf("model.vocab and added_tokens: %w", err)
	}
	return nil
}

// readSteps reads the steps before and after the model. It refuses steps whose ids
// would differ from those of this package.
func (f *tokenizerJSON) readSteps(v *Vocabulary) (err error) {
	if v.Normalizer, err = normalizerSteps(f.Normalizer); err != nil {
		return err
	}
	if v.PreTokenizer, v.PrefixSpace, err = preTokenizerSteps(f.PreTokenizer); err != nil {
		return err
	}
	if v.Prefix, v.Suffix, err = postProcessor(f.PostProcessor); err != nil {
		return err
	}
	v.Decoder, err = decoderSteps(f.Decoder)
	return err
}

// read reads a model.
func (m *modelJSON) read(r *jsonReader) error {
	return r.object("model: ", "an object", func(key string) error {
		switch key {
		case "vocab":
			return m.readVocab(r)
		case "merges":
			return m.readMerges(r)
		}
		if to, ok := map[string]any{
			"type": &m.Type, "dropout": &m.Dropout, "continuing_subword_prefix": &m.ContinuingSubwordPrefix, "end_of_word_suffix": &m.EndOfWordSuffix, "unk_token": &m.Unknown,
			"unk_id": &m.UnknownID, "fuse_unk": &m.FuseUnknown, "byte_fallback": &m.ByteFallback, "ignore_merges": &m.IgnoreMerges,
		}[key]; ok {
			return r.value("model."+key, to)
		}
		return r.skip()
	})
}

// readVocab reads an object of tokens and ids or, of Unigram, an array of tokens and
// scores.
func (m *modelJSON) readVocab(r *jsonReader) error {
	m.vocab, m.scores = newVocab(), nil
	if r.d.PeekKind() != '[' {
		if err := m.vocab.read(r); err != nil {
			return fmt.Errorf("model.vocab: %w", err)
		}
		return nil
	}
	return r.array(func(i int) error {
		name, score, err := r.scored()
		if err == nil && name != "" {
			err = m.vocab.add(name, i)
		}
		if err == nil && i == MaxTokens {
			err = fmt.Errorf("there are more tokens than the %d that are read", MaxTokens)
		}
		if err != nil {
			return fmt.Errorf("model.vocab[%d]: %w", i, err)
		}
		m.scores = append(m.scores, score)
		return nil
	})
}

// scored reads a token and its score.
func (r *jsonReader) scored() (name string, score float64, err error) {
	bad := func(tok jsontext.Token, err error) (string, float64, error) {
		if err == nil {
			err = fmt.Errorf("found %s, expected [\"token\", score]", describe(tok))
		}
		return "", 0, err
	}
	if tok, err := r.d.ReadToken(); err != nil || tok.Kind() != '[' {
		return bad(tok, err)
	}
	tok, err := r.d.ReadToken()
	if err != nil || tok.Kind() != '"' {
		return bad(tok, err)
	}
	name = tok.String()
	if tok, err = r.d.ReadToken(); err != nil || tok.Kind() != '0' {
		return bad(tok, err)
	}
	if err := json.Unmarshal([]byte(tok.String()), &score); err != nil {
		return bad(tok, nil)
	}
	if tok, err = r.d.ReadToken(); err != nil || tok.Kind() != ']' {
		return bad(tok, err)
	}
	return name, score, nil
}

// readMerges reads an array of merges, each "left right" or, in newer files,
// ["left", "right"].
func (m *modelJSON) readMerges(r *jsonReader) error {
	m.merges = mergeList{where: func(i int) string { return fmt.Sprintf("model.merges[%d]", i) }}
	m.listed = true
	if kind := r.d.PeekKind(); kind != '[' && kind != 0 {
		tok, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		return fmt.Errorf("model.merges: found %s, expected an array", describe(tok))
	}
	return r.array(func(int) error { return m.merges.add(r.merge()) })
}

// merge reads one merge.
func (r *jsonReader) merge() (p [2]string, err error) {
	open, err := r.d.ReadToken()
	switch {
	case err != nil:
		return p, err
	case open.Kind() == '"':
		return splitMerge(open.String())
	case open.Kind() != '[':
		return p, fmt.Errorf("found %s, expected \"left right\" or [\"left\", \"right\"]", describe(open))
	}
	for i := range p {
		name, err := r.d.ReadToken()
		if err != nil {
			return p, err
		}
		if name.Kind() == '"' {
			p[i] = name.String()
		}
		if p[i] == "" {
			return p, fmt.Errorf("entry %d is %s, expected a token", i, describe(name))
		}
	}
	end, err := r.d.ReadToken()
	if err != nil {
		return p, err
	}
	if end.Kind() != ']' {
		return p, fmt.Errorf("has more than two entries (%s), expected two tokens", describe(end))
	}
	return p, nil
}

func (m *modelJSON) check() error {
	if m.Type == "" && m.scores != nil { // early files have no type
		m.Type = "Unigram"
	}
	switch {
	case m.Type != "BPE" && m.Type != "Unigram" && m.Type != "":
		return fmt.Errorf("model.type: found %s, expected \"BPE\" or \"Unigram\"", quote(m.Type))
	case m.vocab == nil:
		return errors.New("model.vocab: missing, expected an object of tokens and ids or, of Unigram, an array of tokens and scores")
	case (m.Type == "Unigram") != (m.scores != nil):
		return fmt.Errorf("model.vocab: found it in another form than that of type %s, expected an object of tokens and ids or, of Unigram, an array of tokens and scores", quote(m.Type))
	case m.Type == "Unigram":
		if u := m.UnknownID; u != nil && (*u < 0 || *u >= len(m.scores)) {
			return fmt.Errorf("model.unk_id: found %d, expected 0 to %d", *u, len(m.scores)-1)
		}
		return nil
	case !m.listed:
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

// applyTo puts the model into d, whose steps are read. BPE is of bytes if the steps
// spell text in bytes.
func (m *modelJSON) applyTo(d *draft) error {
	isBytes := func(s Step) bool { return s.Type == byteLevel }
	v := &d.steps
	d.vocab, d.merges = m.vocab, m.merges
	v.IgnoreMerges, v.ByteFallback = m.IgnoreMerges, m.ByteFallback
	v.Unknown, v.FuseUnknown = m.Unknown, m.FuseUnknown
	switch {
	case m.Type == "Unigram":
		v.Model, v.Scores, v.IgnoreMerges, v.Unknown, v.FuseUnknown = Unigram, m.scores, false, "", false
		if m.UnknownID != nil {
			for name, id := range m.vocab.ids {
				if id == *m.UnknownID {
					v.Unknown = name
				}
			}
		}
	case slices.ContainsFunc(v.PreTokenizer, isBytes):
	case len(v.Decoder) > 0 && !slices.ContainsFunc(v.Decoder, isBytes):
		v.Model = TextBPE
	default:
		return errors.New("pre_tokenizer: missing, expected \"ByteLevel\", or a decoder for tokens that are texts")
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
