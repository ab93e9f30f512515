package tokenizer

// This file reads the JSON of tokenizer.json and of files like it, in one pass.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// A jsonReader reads JSON token by token. Of two equal keys of an object, both are read.
type jsonReader struct {
	d    *jsontext.Decoder
	data []byte
}

func newJSONReader(data []byte) *jsonReader {
	return &jsonReader{jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), data}
}

// object reads the next value, which must be an object: an error says where it is, and
// what is expected. member reads the value of each key.
func (r *jsonReader) object(where, expected string, member func(key string) error) error {
	open, err := r.d.ReadToken()
	if err != nil {
		return err
	}
	if open.Kind() != '{' {
		return fmt.Errorf("%sfound %s, expected %s", where, describe(open), expected)
	}
	for r.d.PeekKind() != '}' {
		key, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		if err := member(key.String()); err != nil {
			return err
		}
	}
	_, err = r.d.ReadToken() // the closing brace
	return err
}

// array reads the next value, which is an array. element reads each of its elements.
func (r *jsonReader) array(element func(i int) error) error {
	if _, err := r.d.ReadToken(); err != nil {
		return err
	}
	for i := 0; r.d.PeekKind() != ']'; i++ {
		if err := element(i); err != nil {
			return err
		}
	}
	_, err := r.d.ReadToken() // the closing bracket
	return err
}

// value reads the next value, which errors call key, into to. null leaves to as it is.
func (r *jsonReader) value(key string, to any) error {
	text, err := r.d.ReadValue()
	if err != nil {
		return err
	}
	var kind *json.UnmarshalTypeError
	if err = json.Unmarshal(text, to); errors.As(err, &kind) {
		at := r.d.InputOffset() - int64(len(text)) + kind.Offset
		if kind.Field != "" {
			key += "." + kind.Field
		}
		return fmt.Errorf("%s: %s is %s, expected %s", position(r.data, at), key, kind.Value, jsonKind(kind.Type))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// skip reads the next value.
func (r *jsonReader) skip() error { return r.d.SkipValue() }

// end makes the error of reading all, which may be nil: it adds the place in the file to
// an error about JSON. The file must end here.
func (r *jsonReader) end(err error) error {
	if err == nil {
		at := r.d.InputOffset()
		if more := bytes.TrimSpace(r.data[at:]); len(more) > 0 {
			return fmt.Errorf("%s: found %s after the object, expected the end of the file", position(r.data, at), quote(string(more)))
		}
		return nil
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the file ends within JSON: it is truncated", position(r.data, int64(len(r.data))))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: %w", position(r.data, syntax.ByteOffset), syntax.Err)
	}
	return err
}

// describe says what a JSON token is, for an error.
func describe(tok jsontext.Token) string {
	switch tok.Kind() {
	case '[', ']':
		return "an array"
	case '{', '}':
		return "an object"
	case '"':
		return "the string " + quote(tok.String())
	case '0':
		return fmt.Sprintf("the number %.40s", tok.String())
	}
	return tok.String()
}
