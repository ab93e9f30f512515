package tokenizer

// This file reads tokenizer.model, SentencePiece's own file, which old checkpoints have in
// place of a tokenizer.json: a ModelProto in the encoding of protocol buffers
// (sentencepiece_model.proto at github.com/google/sentencepiece; numbers of fields are
// from there).

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Types of pieces.
const (
	normalPiece  = 1
	unknownPiece = 2
	controlPiece = 3
	userPiece    = 4 // found in text as a whole
	unusedPiece  = 5 // no text becomes it
	bytePiece    = 6
)

// Types of models.
const (
	unigramPieces = 1
	bpePieces     = 2
)

// A pieceModel is what is read of the file, with the values of what a file does not say.
type pieceModel struct {
	pieces []sentencePiece
	other  bool // there is a normalizer of decoded text

	kind         int64 // model_type
	byteFallback bool
	suffix       bool  // treat_whitespace_as_suffix
	bos, eos     int64 // ids; negative for none

	charsmap         string
	prefix, collapse bool // add_dummy_prefix, remove_extra_whitespaces
	escape           bool // escape_whitespaces
}

type sentencePiece struct {
	text  string
	score float32
	kind  int64
}

// fields calls each for the fields of a message: those that are numbers, and those that are
// bytes, for which value is nil otherwise.
func fields(message []byte, each func(number protowire.Number, n uint64, value []byte) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		var n uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var n32 uint32
			n32, size = protowire.ConsumeFixed32(message)
			n = uint64(n32)
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(message)
			value = value[:len(value):len(value)]
			if value == nil {
				value = []byte{}
			}
		default: // of no field here
			size = protowire.ConsumeFieldValue(number, kind, message)
			number = 0
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		if err := each(number, n, value); err != nil {
			return err
		}
	}
	return nil
}

// parsePieces reads the file.
func parsePieces(data []byte) (*pieceModel, error) {
	m := &pieceModel{kind: unigramPieces, bos: 1, eos: 2, prefix: true, collapse: true, escape: true}
	err := fields(data, func(number protowire.Number, n uint64, value []byte) error {
		switch {
		case number < 1 || number > 5 || value == nil: // all that are known are messages
			return nil
		case number == 1:
			return m.readPiece(value)
		case number == 2:
			return fields(value, m.trainerField)
		case number == 3:
			return fields(value, m.normalizerField)
		case number == 5:
			return fields(value, func(number protowire.Number, _ uint64, value []byte) error {
				m.other = m.other || number == 2 && len(value) > 0
				return nil
			})
		}
		return nil
	})
	if err == nil && len(m.pieces) == 0 {
		err = errors.New("found no pieces")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: expected a model of SentencePiece", err)
	}
	return m, m.check()
}

func (m *pieceModel) readPiece(message []byte) error {
	if len(m.pieces) == MaxTokens {
		return fmt.Errorf("there are more pieces than the %d that are read", MaxTokens)
	}
	p := sentencePiece{kind: normalPiece}
	err := fields(message, func(number protowire.Number, n uint64, value []byte) error {
		switch number {
		case 1:
			p.text = string(value)
		case 2:
			p.score = math.Float32frombits(uint32(n))
		case 3:
			p.kind = int64(n)
		}
		return nil
	})
	switch id := len(m.pieces); {
	case err != nil:
		return fmt.Errorf("piece %d: %w", id, err)
	case p.text == "" || !utf8.ValidString(p.text):
		return fmt.Errorf("piece %d is %s, expected a text in UTF-8", id, quote(p.text))
	case p.kind < normalPiece || p.kind > bytePiece:
		return fmt.Errorf("piece %d, %s: found type %d, expected %d to %d", id, quote(p.text), p.kind, normalPiece, bytePiece)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

func (m *pieceModel) trainerField(number protowire.Number, n uint64, value []byte) error {
	switch number {
	case 3:
		m.kind = int64(n)
	case 24:
		m.suffix = n != 0
	case 35:
		m.byteFallback = n != 0
	case 41:
		m.bos = int64(int32(n))
	case 42:
		m.eos = int64(int32(n))
	}
	return nil
}

func (m *pieceModel) normalizerField(number protowire.Number, n uint64, value []byte) error {
	switch number {
	case 2:
		m.charsmap = string(value)
	case 3:
		m.prefix = n != 0
	case 4:
		m.collapse = n != 0
	case 5:
		m.escape = n != 0
	}
	return nil
}

// check refuses what is not known here, because ids would be wrong.
func (m *pieceModel) check() error {
	names := map[int64]string{3: " (words)", 4: " (characters)"}
	switch {
	case m.kind != unigramPieces && m.kind != bpePieces:
		return fmt.Errorf("trainer_spec.model_type: found %d%s, expected %d (unigram) or %d (BPE)", m.kind, names[m.kind], unigramPieces, bpePieces)
	case m.suffix:
		return errors.New("trainer_spec.treat_whitespace_as_suffix: found true, expected false")
	case !m.escape:
		return errors.New("normalizer_spec.escape_whitespaces: found false, expected true")
	case m.other:
		return errors.New("denormalizer_spec: found a table for decoded text, expected none")
	}
	for id, p := range m.pieces {
		if _, isByte := byteOfName(p.text); p.kind == bytePiece && !isByte {
			return fmt.Errorf("piece %d, %s, is of type %d, a byte: expected a name such as <0x0A>", id, quote(p.text), bytePiece)
		}
	}
	return nil
}

// readPieces reads a tokenizer.model.
func (d *draft) readPieces(data []byte) error {
	m, err := parsePieces(data)
	if err != nil {
		return err
	}
	d.vocab, d.named = newVocab(), map[string]string{}
	v := &d.steps
	*v = Vocabulary{Model: Unigram, ByteFallback: m.byteFallback}
	for id, p := range m.pieces {
		v.Scores = append(v.Scores, float64(p.score))
		if p.kind == unusedPiece {
			continue // a hole: another file may name a token there
		}
		if err := d.vocab.add(p.text, id); err != nil {
			return err
		}
		if p.kind == unknownPiece {
			v.Unknown = p.text
		}
		if p.kind == unknownPiece || p.kind == controlPiece || p.kind == userPiece {
			if err := d.list(addedJSON{ID: &id, Content: p.text, Special: p.kind != userPiece}); err != nil {
				return err
			}
		}
	}
	ends := func(key string, id int64) []int {
		if id < 0 || id >= int64(len(m.pieces)) || m.pieces[id].kind == unusedPiece {
			return nil
		}
		d.named[key] = m.pieces[id].text
		return []int{int(id)}
	}
	bos, eos := ends("bos_token", m.bos), ends("eos_token", m.eos)
	// As Transformers and llama.cpp have it, where no other file says it: Llama and its like
	// begin a text with a token, T5 ends it with one.
	if m.kind == bpePieces {
		v.Model, v.ByteFallback, v.FuseUnknown, v.Prefix = ScoredBPE, false, true, bos
	} else {
		v.Suffix = eos
	}
	v.PieceSteps(m.charsmap, m.collapse, m.prefix)
	return d.vocab.checkIDs()
}

// PieceSteps sets the steps of SentencePiece's tokenizers, whose spaces are marks: charsmap,
// if not empty, is the table by which text is changed; collapse takes away spaces around a text and
// all but one of several; prefix puts a mark before a text.
func (v *Vocabulary) PieceSteps(charsmap string, collapse, prefix bool) {
	v.Normalizer = nil
	if charsmap != "" {
		v.Normalizer = append(v.Normalizer, Step{Type: precompiled, Charsmap: charsmap})
	}
	if collapse {
		v.Normalizer = append(v.Normalizer, Step{Type: strip, Start: 1, Stop: 1}, Step{Type: replace, Pattern: " {2,}", Regex: true, Content: " "})
	}
	v.Decoder = []Step{{Type: replace, Pattern: spaceMark, Content: " "}, {Type: byteFallback}, {Type: fuse}}
	if prefix {
		v.Normalizer = append(v.Normalizer, Step{Type: prepend, Content: spaceMark})
		v.Decoder = append(v.Decoder, Step{Type: strip, Content: " ", Start: 1})
	}
	v.Normalizer = append(v.Normalizer, Step{Type: replace, Pattern: " ", Content: spaceMark})
}
