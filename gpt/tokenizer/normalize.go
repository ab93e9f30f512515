package tokenizer

// This file changes text before it is split into words, as the normalizer of a
// tokenizer.json says. GPT-2 has none.

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer is steps that change a text, in their order. Nil changes nothing.
type normalizer struct {
	steps []Step
	apply []change // of each step
	local bool     // each byte of the result comes from few bytes of the text, and no step looks at more
}

// A change is what a step makes of a text. It is an error if that has more bytes than
// limit, which it must not reach for.
type change func(text string, limit int) (string, error)

// A text may become so many times as long, and so much longer. U+FDFA becomes 11 times
// as long by NFKC.
const (
	mostTimes = 64
	mostMore  = 1 << 12
)

var errGrows = fmt.Errorf("a text becomes more than %d times as long: expected steps that keep it about as long", mostTimes)

// replaceAll is strings.ReplaceAll for a result of at most limit bytes.
func replaceAll(text, pattern, content string, limit int) (string, error) {
	if more := len(content) - len(pattern); more > 0 && strings.Count(text, pattern) > (limit-len(text))/more {
		return "", errGrows
	}
	return strings.ReplaceAll(text, pattern, content), nil
}

// normalForms are the steps that bring a text into one of Unicode's normal forms.
var normalForms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// knownForm reports whether a step of this name needs nothing but its name.
func knownForm(name string) bool {
	_, form := normalForms[name]
	return form || name == lowercase
}

// newNormalizer makes a normalizer of its steps.
func newNormalizer(steps []Step) (*normalizer, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	n := &normalizer{steps: steps, local: true}
	for _, s := range steps {
		apply, err := s.normalizer()
		if err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
		n.apply = append(n.apply, apply)
		oneCharacter := s.Type == replace && !s.Regex && utf8.RuneCountInString(s.Pattern) == 1 && len(s.Content) >= len(s.Pattern)
		n.local = n.local && (knownForm(s.Type) || s.Type == prepend || oneCharacter)
	}
	return n, nil
}

// normalizer is what the step does to a text.
func (s Step) normalizer() (change, error) {
	if form, ok := normalForms[s.Type]; ok {
		return func(text string, _ int) (string, error) { return normalForm(form, text), nil }, nil
	}
	always := func(f func(string) string) (change, error) {
		return func(text string, _ int) (string, error) { return f(text), nil }, nil
	}
	switch s.Type {
	case lowercase:
		return always(toLower)
	case stripAccents:
		return always(func(text string) string {
			return mapRunes(text, func(r rune) rune {
				if unicode.Is(unicode.M, r) {
					return -1
				}
				return r
			})
		})
	case prepend:
		return always(func(text string) string {
			if text == "" {
				return text
			}
			return s.Content + text
		})
	case strip:
		return always(func(text string) string {
			if s.Start > 0 {
				text = strings.TrimLeftFunc(text, unicode.IsSpace)
			}
			if s.Stop > 0 {
				text = strings.TrimRightFunc(text, unicode.IsSpace)
			}
			return text
		})
	case replace:
		if !s.Regex && s.Pattern != "" {
			return func(text string, limit int) (string, error) {
				return replaceAll(text, s.Pattern, s.Content, limit)
			}, nil
		}
		re, err := newRegex(s.Pattern)
		if err != nil {
			return nil, err
		}
		return func(text string, limit int) (string, error) { return re.replace(text, s.Content, limit) }, nil
	case precompiled:
		table, err := parseCharsmap(s.Charsmap)
		if err != nil {
			return nil, err
		}
		return table.apply, nil
	}
	return nil, fmt.Errorf("found %s, expected NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents or Precompiled", quote(s.Type))
}

// text returns what the steps make of s. The rest of a longer text, whose first part
// was normalized before, gets nothing put before it.
func (n *normalizer) text(s string, continued bool) (string, error) {
	if n == nil {
		return s, nil
	}
	limit := mostTimes*len(s) + mostMore
	for i, apply := range n.apply {
		if continued && n.steps[i].Type == prepend {
			continue
		}
		var err error
		if s, err = apply(s, limit); err == nil && len(s) > limit {
			err = errGrows
		}
		if err != nil {
			return "", fmt.Errorf("normalizer: %w", err)
		}
	}
	return s, nil
}

// grows reports whether a text has at least the bytes that it had before.
func (n *normalizer) grows() bool {
	return !slices.ContainsFunc(n.steps, func(s Step) bool {
		return s.Type != prepend && (s.Type != replace || s.Regex || len(s.Content) < len(s.Pattern))
	})
}

// list returns a copy of the steps.
func (n *normalizer) list() []Step {
	if n == nil {
		return nil
	}
	return slices.Clone(n.steps)
}

// toLower is lower case by the rules without context of Unicode's SpecialCasing.txt,
// in which one capital becomes two characters. Bytes that are not UTF-8 stay.
func toLower(s string) string {
	return strings.ReplaceAll(mapRunes(s, func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}), "İ", "i\u0307")
}

// mapRunes is strings.Map, except that bytes that are not UTF-8 stay.
func mapRunes(s string, mapping func(rune) rune) string {
	if utf8.ValidString(s) {
		return strings.Map(mapping, s)
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			b.WriteByte(s[0])
		} else if r = mapping(r); r >= 0 {
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// normalForm is f of s. x/text puts U+034F after each 30 marks of a run, which is not
// Unicode's normal form: such runs are made by hand.
func normalForm(f norm.Form, s string) string {
	if f.IsNormalString(s) {
		return s // a run of more marks than 30 is not normal to x/text
	}
	var b strings.Builder
	for len(s) > 0 {
		start := longMarks(s)
		b.WriteString(f.String(s[:start]))
		if s = s[start:]; s == "" {
			break
		}
		end := 0
		for end < len(s) {
			r, n := utf8.DecodeRuneInString(s[end:])
			if end > 0 && !isMark(r) {
				break
			}
			end += n
		}
		b.WriteString(manyMarks(f, s[:end]))
		s = s[end:]
	}
	return b.String()
}

// mostMarks is a length of runs of marks that x/text normalizes for sure: one mark
// may become up to three.
const mostMarks = 9

// isMark reports whether a normal form may put r into another place among its
// neighbours.
func isMark(r rune) bool { return norm.NFKD.PropertiesString(string(r)).LeadCCC() != 0 }

// longMarks returns where a character with more than mostMarks marks after it begins
// in s, or len(s) if there is none.
func longMarks(s string) int {
	start, run := 0, 0
	for i, r := range s {
		if r >= 0x300 && isMark(r) {
			if run++; run > mostMarks {
				return start
			}
			continue
		}
		start, run = i, 0
	}
	return len(s)
}

// manyMarks is f of a character and its marks, by Unicode Standard Annex 15:
// decompose, order marks by their class, compose.
func manyMarks(f norm.Form, s string) string {
	decompose := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		decompose = norm.NFKD
	}
	var runes []rune
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			return s // it is not UTF-8
		}
		runes = append(runes, []rune(decompose.String(s[:n]))...)
		s = s[n:]
	}
	class := func(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }
	for from := 0; from < len(runes); {
		to := from
		for to < len(runes) && class(runes[to]) != 0 {
			to++
		}
		slices.SortStableFunc(runes[from:to], func(a, b rune) int { return int(class(a)) - int(class(b)) })
		from = to + 1
	}
	if f == norm.NFD || f == norm.NFKD || class(runes[0]) != 0 {
		return string(runes)
	}
	// A character joins the starter before it unless one between them has its class or more.
	out, starter, last := runes[:1:1], 0, uint8(0)
	for _, r := range runes[1:] {
		c := class(r)
		if len(out)-1 == starter || last < c {
			if joined := []rune(norm.NFC.String(string([]rune{out[starter], r}))); len(joined) == 1 {
				out[starter] = joined[0]
				continue
			}
		}
		if c == 0 {
			starter = len(out)
		}
		out, last = append(out, r), c
	}
	return string(out)
}
