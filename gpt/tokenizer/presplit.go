package tokenizer

// This file cuts text into words as the pre-tokenizer of a tokenizer.json says, step
// by step: each step cuts the pieces that the one before left. GPT-2's own steps are
// those of split.go.

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A piece is a part of a text.
type piece struct {
	text string
	at   place
}

// A place is where in a text a piece is.
type place uint8

const (
	within place = iota
	start        // at the start of the text
	rest         // at the start of the rest of a text, which gets no space before it
)

// A splitter is one step. It calls yield with the pieces of p, none of which is empty,
// in order, and stops at the first error, which it returns.
type splitter interface {
	split(p piece, yield func(piece) error) error
}

func (f wordFunc) split(p piece, yield func(piece) error) error {
	for p.text != "" {
		n := f(p.text)
		if err := yield(piece{p.text[:n], p.at}); err != nil {
			return err
		}
		p = piece{text: p.text[n:]}
	}
	return nil
}

// A finder calls yield for each place in a text that a Split looks for, in order.
type finder func(text string, yield func(start, end int) error) error

// matches is a step that cuts at what it finds.
type matches struct {
	find     finder
	behavior string
	invert   bool
}

// A part is a part of a text that matches or does not.
type part struct {
	start, end int
	match      bool
}

func (m *matches) split(p piece, yield func(piece) error) error {
	from := 0
	s := &sections{behavior: m.behavior, yield: func(start, end int) error {
		if start == end {
			return nil
		}
		at := p.at
		if start > 0 {
			at = within
		}
		return yield(piece{p.text[start:end], at})
	}}
	add := func(start, end int, match bool) error { return s.add(part{start, end, match != m.invert}) }
	err := m.find(p.text, func(start, end int) error {
		if from < start {
			if err := add(from, start, false); err != nil {
				return err
			}
		}
		from = end
		return add(start, end, true)
	})
	if err == nil && from < len(p.text) {
		err = add(from, len(p.text), false)
	}
	if err != nil {
		return err
	}
	return s.flush()
}

// sections makes pieces of parts, as a behavior says.
type sections struct {
	behavior string
	yield    func(start, end int) error
	held     part // which the next part may join
	holds    bool
}

func (s *sections) add(p part) error {
	join := false
	switch s.behavior {
	case removed:
		if p.match {
			return nil
		}
	case contiguous:
		join = p.match == s.held.match
	case mergedWithPrevious:
		join = p.match && !s.held.match
	case mergedWithNext:
		join = !p.match && s.held.match
	}
	if s.holds && join {
		s.held.end, s.held.match = p.end, p.match
		return nil
	}
	err := s.flush()
	s.held, s.holds = p, true
	return err
}

func (s *sections) flush() error {
	if !s.holds {
		return nil
	}
	s.holds = false
	return s.yield(s.held.start, s.held.end)
}

// ofText finds a text.
func ofText(pattern string) finder {
	return func(text string, yield func(start, end int) error) error {
		for at := 0; ; {
			n := strings.Index(text[at:], pattern)
			if n < 0 {
				return nil
			}
			if err := yield(at+n, at+n+len(pattern)); err != nil {
				return err
			}
			at += n + len(pattern)
		}
	}
}

// ofKind finds characters of one of the kinds, one by one.
func ofKind(kinds kind) finder {
	return func(text string, yield func(start, end int) error) error {
		for at := 0; at < len(text); {
			k, n := firstKind(text[at:])
			if k&kinds != 0 {
				if err := yield(at, at+n); err != nil {
					return err
				}
			}
			at += n
		}
		return nil
	}
}

// metaspaces is a step that writes spaces as another character, puts one before a
// piece, and cuts before each.
type metaspaces struct {
	mark   string
	scheme string
	cut    splitter // nil: it does not cut
}

func (m *metaspaces) split(p piece, yield func(piece) error) error {
	p.text = strings.ReplaceAll(p.text, " ", m.mark)
	if !strings.HasPrefix(p.text, m.mark) && (m.scheme == always && p.at != rest || m.scheme == firstOnly && p.at == start) {
		p.text = m.mark + p.text
	}
	if m.cut == nil {
		return yield(p)
	}
	return m.cut.split(p, yield)
}

// leadingSpace is a step that puts a space before each piece without one.
type leadingSpace struct{}

func (leadingSpace) split(p piece, yield func(piece) error) error {
	if p.text[0] != ' ' && p.at != rest {
		p.text = " " + p.text
	}
	return yield(p)
}

// spelt is a step after ByteLevel, which sees the names of bytes: see byteOf.
type spelt struct{ step splitter }

func (s spelt) split(p piece, yield func(piece) error) error {
	at := 0
	return s.step.split(piece{tokenName(p.text), p.at}, func(part piece) error {
		n := utf8.RuneCountInString(part.text) // each is a byte of p
		at += n
		return yield(piece{p.text[at-n : at], part.at})
	})
}

// dropsText reports whether the steps of a pre-tokenizer may leave text out.
func dropsText(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return s.Behavior == removed && s.byHand() == nil || slices.Contains([]string{whitespace, whitespaceSplit, charDelimiter, bertPreTokenizer}, s.Type)
	})
}

// newSplitters makes the steps of a pre-tokenizer. bytes says that ByteLevel must be
// one of them, and prefixSpace that it puts a space before each piece.
func newSplitters(steps []Step, bytes, prefixSpace bool) ([]splitter, error) {
	var all []splitter
	seen := false
	for _, s := range steps {
		if s.Type == byteLevel {
			if seen || !bytes {
				return nil, errors.New("pre_tokenizer: found ByteLevel twice, or for a model whose tokens are not spelt in bytes")
			}
			seen = true
			if prefixSpace {
				all = append(all, leadingSpace{})
			}
			if s.Split {
				all = append(all, wordFunc(wordLen))
			}
			continue
		}
		step, err := s.splitter()
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer: %w", err)
		}
		if seen {
			if s.Type == metaspace || dropsText([]Step{s}) {
				return nil, fmt.Errorf("pre_tokenizer: found %s after \"ByteLevel\", expected a step that only cuts", quote(s.Type))
			}
			step = spelt{step}
		}
		all = append(all, step)
	}
	if bytes && !seen {
		return nil, errors.New("pre_tokenizer: missing, expected \"ByteLevel\"")
	}
	return all, nil
}

// splitter makes a step that is not ByteLevel.
func (s Step) splitter() (splitter, error) {
	switch s.Type {
	case split:
		if err := knownBehavior(s.Behavior); err != nil {
			return nil, fmt.Errorf("step Split: %w", err)
		}
		if !s.Regex {
			if s.Pattern == "" {
				return nil, errors.New("step Split: the pattern is empty, expected a text")
			}
			return &matches{ofText(s.Pattern), s.Behavior, s.Invert}, nil
		}
		if f := s.byHand(); f != nil {
			return f, nil
		}
		re, err := newRegex(s.Pattern)
		if err != nil {
			return nil, fmt.Errorf("step Split: %w", err)
		}
		return &matches{re.each, s.Behavior, s.Invert}, nil
	case metaspace:
		m := &metaspaces{mark: s.Content, scheme: s.Scheme}
		if utf8.RuneCountInString(s.Content) != 1 || s.Scheme != always && s.Scheme != firstOnly && s.Scheme != never {
			return nil, fmt.Errorf("step Metaspace: found replacement %s and prepend_scheme %s, expected one character, and always, first or never", quote(s.Content), quote(s.Scheme))
		}
		if s.Split {
			m.cut = &matches{ofText(s.Content), mergedWithNext, false}
		}
		return m, nil
	case digits:
		if s.Split {
			return runs(isNumber, 1), nil
		}
		return runs(isNumber, math.MaxInt), nil
	case punctuation:
		if err := knownBehavior(s.Behavior); err != nil {
			return nil, fmt.Errorf("step Punctuation: %w", err)
		}
		return &matches{ofKind(isPunct | isASCIISymbol), s.Behavior, false}, nil
	case whitespace: // \w+|[^\w\s]+
		return &matches{ofRuns, removed, true}, nil
	case whitespaceSplit:
		return &matches{ofKind(isSpace), removed, false}, nil
	case charDelimiter:
		if s.Content == "" {
			return nil, errors.New("step CharDelimiterSplit: the delimiter is empty, expected one character")
		}
		return &matches{ofText(s.Content), removed, false}, nil
	case bertPreTokenizer:
		return chain{&matches{ofKind(isSpace), removed, false}, &matches{ofKind(isPunct | isASCIISymbol), isolated, false}}, nil
	}
	return nil, fmt.Errorf("found %s, which is not known here", quote(s.Type))
}

// chain is two steps, one after the other.
type chain [2]splitter

func (c chain) split(p piece, yield func(piece) error) error {
	return c[0].split(p, func(p piece) error { return c[1].split(p, yield) })
}

// ofRuns finds what \w+|[^\w\s]+ matches.
func ofRuns(text string, yield func(start, end int) error) error {
	for at := 0; at < len(text); {
		k, n := firstKind(text[at:])
		if k&isWordKind != 0 {
			n = runOf(text[at:], isWordKind)
		} else if k&isSpace == 0 {
			for at+n < len(text) {
				k, size := firstKind(text[at+n:])
				if k&(isWordKind|isSpace) != 0 {
					break
				}
				n += size
			}
		}
		if k&isSpace == 0 {
			if err := yield(at, at+n); err != nil {
				return err
			}
		}
		at += n
	}
	return nil
}

// runs cuts runs of characters of one of the kinds, of at most so many each, from what
// is between them.
func runs(kinds kind, most int) wordFunc {
	return func(s string) int {
		if n := runUpTo(s, kinds, most); n > 0 {
			return n
		}
		n := 0
		for n < len(s) {
			k, size := firstKind(s[n:])
			if k&kinds != 0 {
				break
			}
			n += size
		}
		return n
	}
}

// digitGroups cuts runs of digits into groups of three from the right, as in 1 234 567.
type digitGroups struct {
	kinds   kind
	notWord bool // only if no character of a word follows the run
}

func (d digitGroups) split(p piece, yield func(piece) error) error {
	const group = 3
	text, from := p.text, 0 // what begins at from is no piece yet
	flush := func(to int) error {
		if from == to {
			return nil
		}
		at := p.at
		if from > 0 {
			at = within
		}
		part := text[from:to]
		from = to
		return yield(piece{part, at})
	}
	for at := 0; at < len(text); {
		end := at + runOf(text[at:], d.kinds)
		if end == at {
			_, n := firstKind(text[at:])
			at += n
			continue
		}
		if end < len(text) && d.notWord {
			if next, _ := utf8.DecodeRuneInString(text[end:]); isRegexWord(next) {
				at = end
				continue
			}
		}
		if err := flush(at); err != nil {
			return err
		}
		for left := utf8.RuneCountInString(text[at:end]); left > 0; {
			size := (left-1)%group + 1
			at += runUpTo(text[at:], d.kinds, size)
			left -= size
			if err := flush(at); err != nil {
				return err
			}
		}
	}
	return flush(len(text))
}
