package tokenizer

// This file changes text before it is split into words, as the normalizer of a
// tokenizer.json says. GPT-2 has none.

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A normalizer is steps that change a text, in their order. Nil changes nothing.
type normalizer []string

// normalForms are the steps that bring a text into one of Unicode's normal forms.
var normalForms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// lowercase is the step that makes lower case of each character by itself.
const lowercase = "Lowercase"

// knownStep reports whether a step of this name can be applied.
func knownStep(name string) bool {
	_, form := normalForms[name]
	return form || name == lowercase
}

// apply returns what the steps make of s.
func (n normalizer) apply(s string) (string, error) {
	for _, step := range n {
		if step == lowercase {
			s = toLower(s)
			continue
		}
		// x/text puts U+034F into a run of more than 30 marks, which is not Unicode's normal form.
		const joiner = "\u034f"
		before := strings.Count(s, joiner)
		s = normalForms[step].String(s)
		if strings.Count(s, joiner) > before {
			return "", fmt.Errorf("the text has more than 30 combining marks in a row: expected fewer, for a tokenizer whose normalizer is %s", step)
		}
	}
	return s, nil
}

// toLower is lower case by the rules without context of Unicode's SpecialCasing.txt,
// in which one capital becomes two characters. Bytes that are not UTF-8 stay.
func toLower(s string) string {
	lower := strings.Builder{}
	for i, r := range s {
		switch {
		case r == 'İ':
			lower.WriteString("i\u0307")
		case r == unicode.ReplacementChar:
			lower.WriteByte(s[i]) // perhaps the first of three, perhaps one that is not UTF-8
			if strings.HasPrefix(s[i:], "\ufffd") {
				lower.WriteString(s[i+1 : i+3])
			}
		default:
			lower.WriteRune(unicode.ToLower(r))
		}
	}
	return lower.String()
}
