// Package strictjson reads JSON objects out of files that nobody vouches for.
//
// encoding/json is lenient where a hostile file can profit: it takes the last of
// two equal keys, matches struct fields in any letter case, replaces invalid
// UTF-8 and nests 10,000 deep. Object does none of that; what it hands on is
// decoded with encoding/json as usual.
package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"caldera/internal/printable"
)

// Object calls field for each member of the one JSON object that data holds, in
// the order of the file. value is the member's JSON text; it is valid JSON, and
// may be handed to Object again.
//
// It is an error if data is not UTF-8, is not exactly one object (white space
// around it is allowed), nests objects and arrays deeper than maxDepth (the
// object itself is depth 1), or has one key twice. The first error of field ends
// the reading and is returned as it is. field has then seen the members before
// the error.
func Object(data []byte, maxDepth int, field func(key string, value json.RawMessage) error) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("not UTF-8: invalid byte at offset %d", invalidAt(data))
	}
	if at := tooDeep(data, maxDepth); at >= 0 {
		return fmt.Errorf("JSON nested deeper than %d levels at offset %d", maxDepth, at)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return invalid(dec, err)
	}
	if open != json.Delim('{') {
		return fmt.Errorf("found a JSON %s, expected an object", kind(open))
	}
	seen := make(map[string]struct{})
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return invalid(dec, err)
		}
		key := token.(string) // the decoder lets nothing else stand here
		if _, twice := seen[key]; twice {
			return fmt.Errorf("key %q stands there twice", Shorten(key))
		}
		seen[key] = struct{}{}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return invalid(dec, err)
		}
		if err := field(key, value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return invalid(dec, err)
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("found %q after the JSON object, expected its end", Shorten(string(rest)))
	}
	return nil
}

// Shorten cuts s to what an error message can bear.
func Shorten(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Text is the JSON text of a value as an error message shows it: short, and with
// characters that a terminal would not print, or would obey, escaped.
func Text(value []byte) string { return printable.Text(Shorten(string(value))) }

// invalid names the place of a syntax error, and what a truncated file looks like.
func invalid(dec *json.Decoder, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("invalid JSON: it ends at offset %d within an object", dec.InputOffset())
	}
	return fmt.Errorf("invalid JSON near offset %d: %w", dec.InputOffset(), err)
}

func kind(token json.Token) string {
	switch token.(type) {
	case json.Delim:
		return "array"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return "null"
}

// tooDeep returns the offset of the first bracket beyond maxDepth, or -1. It
// runs before the parser, so it need not be right about text that is no JSON.
func tooDeep(data []byte, maxDepth int) int {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(data)
}
