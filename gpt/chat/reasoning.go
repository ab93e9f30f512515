package chat

import (
	"slices"
	"strings"
)

// bracket is how a family marks what a model writes for itself before it answers.
type bracket struct{ open, close string }

var brackets = []bracket{
	{"<think>", "</think>"},
	{"<thinking>", "</thinking>"},
	{"[THINK]", "[/THINK]"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
	{"<seed:think>", "</seed:think>"},
	{"<|channel>thought", "<channel|>"},
	{"<|channel|>analysis<|message|>", "<|end|>"},
}

// frames are what stands around an answer in families that mark it, too, by a token that their
// templates have. Nobody is shown it.
var frames = map[string][]string{
	"<|channel|>":        {"<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>commentary<|message|>"},
	"<|START_RESPONSE|>": {"<|START_RESPONSE|>", "<|END_RESPONSE|>"},
}

// splitter cuts an answer, which comes in pieces, into reasoning and what it says.
type splitter struct {
	marks     []string // brackets and frames that the template knows
	brackets  []bracket
	close     string // of the bracket that is open; empty outside of one
	begun     bool   // something other than white space was said since the last mark
	held      string // which may begin a mark
	reasoning bool
}

// newSplitter returns one for answers to prompt, which the template has written.
func newSplitter(t Template, prompt string) *splitter {
	s := &splitter{}
	for _, b := range brackets {
		if strings.Contains(t.Source, b.close) || strings.Contains(t.Source, b.open) {
			s.brackets = append(s.brackets, b)
			s.marks = append(s.marks, b.open, b.close)
		}
	}
	for token, texts := range frames {
		if strings.Contains(t.Source, token) {
			s.marks = append(s.marks, texts...)
		}
	}
	prompt = strings.TrimRight(prompt, " \n")
	for _, b := range s.brackets {
		if strings.HasSuffix(prompt, b.open) {
			s.reasoning, s.close = true, b.close
		}
	}
	return s
}

// knows reports whether the text of a special token is part of a mark. Any other is not shown.
func (s *splitter) knows(text string) bool {
	return slices.ContainsFunc(s.marks, func(m string) bool { return strings.Contains(m, text) })
}

// next takes a piece, and calls yield with parts of the text so far. It returns false where
// yield does.
func (s *splitter) next(piece string, yield func(text string, reasoning bool) bool) bool {
	s.held += piece
	for {
		at, mark := s.mark()
		if mark == "" {
			n := len(s.held) - s.partial()
			text := s.held[:n]
			s.held = s.held[n:]
			return s.say(text, yield)
		}
		text := s.held[:at]
		s.held = s.held[at+len(mark):]
		if s.reasoning && mark == s.close {
			text = strings.TrimRight(text, "\n")
		}
		if !s.say(text, yield) {
			return false
		}
		s.begun = false
		for _, b := range s.brackets {
			switch mark {
			case b.open:
				s.reasoning, s.close = true, b.close
			case b.close:
				s.reasoning, s.close = false, ""
			}
		}
	}
}

// mark finds the first mark that counts now: of brackets, the one that ends what is open.
func (s *splitter) mark() (at int, first string) {
	at = len(s.held)
	for _, m := range s.marks {
		if s.close != "" && m != s.close {
			continue
		}
		if i := strings.Index(s.held, m); i >= 0 && (i < at || i == at && len(m) > len(first)) {
			at, first = i, m
		}
	}
	return at, first
}

// partial is the length of the end of what is held that may begin a mark.
func (s *splitter) partial() int {
	longest := 0
	for _, m := range s.marks {
		for n := min(len(m)-1, len(s.held)); n > longest; n-- {
			if strings.HasSuffix(s.held, m[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// say passes a text on, without the line breaks that follow a mark.
func (s *splitter) say(text string, yield func(string, bool) bool) bool {
	if !s.begun && (s.reasoning || len(s.brackets) > 0) {
		text = strings.TrimLeft(text, "\n")
	}
	if text == "" {
		return true
	}
	s.begun = true
	return yield(text, s.reasoning)
}

// end passes on what is held.
func (s *splitter) end(yield func(string, bool) bool) bool {
	text := s.held
	s.held = ""
	return s.say(text, yield)
}
