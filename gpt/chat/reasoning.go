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
	harmony,
}

// harmony is the bracket of gpt-oss, whose format has that name. What it opens with is a header: it may
// say more than the channel, such as which function is called.
var harmony = bracket{"<|channel|>analysis<|message|>", "<|end|>"}

// Tokens of headers: from one of the first two to the last.
const (
	harmonyStart   = "<|start|>"
	harmonyChannel = "<|channel|>"
	harmonyMessage = "<|message|>"
	longestHeader  = 512
)

// frames are what stands around an answer in families that mark it, too, by a token that their
// templates have. Nobody is shown it.
var frames = map[string][]string{
	harmonyChannel:       {harmonyMessage},
	"<|START_RESPONSE|>": {"<|START_RESPONSE|>", "<|END_RESPONSE|>"},
}

// Splitter cuts an answer, which comes in pieces, into reasoning and what it says.
type Splitter struct {
	marks     []string // brackets and frames that the template knows
	brackets  []bracket
	close     string // of the bracket that is open; empty outside of one
	begun     bool   // something other than white space was said since the last mark
	held      string // which may begin a mark, and line breaks that may be the last of reasoning
	reasoning bool
	reasoned  bool // reasoning was said, and ended
	headers   bool // harmony's count
}

// NewSplitter returns one for answers to prompt, which the template has written.
func NewSplitter(t Template, prompt string) *Splitter {
	s := &Splitter{}
	for _, b := range brackets {
		if strings.Contains(t.Source, b.close) || strings.Contains(t.Source, b.open) {
			s.brackets = append(s.brackets, b)
			s.marks = append(s.marks, b.open, b.close)
			s.headers = s.headers || b == harmony && strings.Contains(t.Source, harmonyChannel)
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
func (s *Splitter) knows(text string) bool {
	if s.headers && text == harmonyStart {
		return true
	}
	return slices.ContainsFunc(s.marks, func(m string) bool { return strings.Contains(m, text) })
}

// Next takes a piece, and calls yield with parts of the text so far. It returns false where
// yield does.
func (s *Splitter) Next(piece string, yield func(text string, reasoning bool) bool) bool {
	s.held += piece
	for {
		at, mark := s.mark()
		if mark == "" {
			n := len(s.held) - s.partial()
			if s.reasoning { // line breaks before the mark that ends it are not said
				n = len(strings.TrimRight(s.held[:n], "\n"))
			}
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
		s.reasoned = s.reasoned || s.reasoning && s.begun
		s.begun = false
		if s.headers && strings.HasSuffix(mark, harmonyMessage) && channel(mark) == "analysis" {
			mark = harmony.open
		}
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
func (s *Splitter) mark() (at int, first string) {
	at = len(s.held)
	if i, n, whole := s.header(); whole {
		at, first = i, s.held[i:i+n]
	}
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

// header finds the first of harmony's headers that counts now, and its length; whole is false where its end is
// not there yet.
func (s *Splitter) header() (at, n int, whole bool) {
	if !s.headers || s.close != "" {
		return 0, 0, false
	}
	for from := 0; ; {
		at = from
		start, channel := strings.Index(s.held[from:], harmonyStart), strings.Index(s.held[from:], harmonyChannel)
		switch {
		case start < 0 && channel < 0:
			return 0, 0, false
		case start < 0 || channel >= 0 && channel < start:
			at += channel
		default:
			at += start
		}
		head := s.held[at:]
		end := strings.Index(head, harmonyMessage)
		broken := strings.Index(head, harmony.close) // no header has that, and which of the two came first counts
		switch {
		case broken >= 0 && (end < 0 || broken < end):
		case 0 <= end && end <= longestHeader:
			return at, end + len(harmonyMessage), true
		case end < 0 && len(head) < longestHeader+len(harmonyMessage): // it may end yet
			return at, len(head), false
		}
		from = at + len(harmonyStart) // it is no header, but text
	}
}

// channel is that which a header names.
func channel(header string) string {
	_, rest, _ := strings.Cut(header, harmonyChannel)
	end := strings.IndexFunc(rest, func(r rune) bool { return r == ' ' || r == '<' })
	return rest[:max(0, end)]
}

// partial is the length of the end of what is held that may begin a mark.
func (s *Splitter) partial() int {
	longest := 0
	marks := s.marks
	if i, n, _ := s.header(); n > 0 {
		longest = len(s.held) - i
	} else if s.headers && s.close == "" {
		marks = append(slices.Clone(marks), harmonyStart, harmonyChannel)
	}
	for _, m := range marks {
		for n := min(len(m)-1, len(s.held)); n > longest; n-- {
			if strings.HasSuffix(s.held, m[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// say passes a text on, without the line breaks that follow a mark.
func (s *Splitter) say(text string, yield func(string, bool) bool) bool {
	if !s.begun && (s.reasoning || len(s.brackets) > 0) {
		text = strings.TrimLeft(text, "\n")
	}
	if text == "" {
		return true
	}
	if s.reasoning && s.reasoned && !s.begun {
		text = "\n" + text
	}
	s.begun = true
	return yield(text, s.reasoning)
}

// End passes on what is held.
func (s *Splitter) End(yield func(string, bool) bool) bool {
	text := s.held
	if i, n, whole := s.header(); n > 0 && !whole {
		text = text[:i] // nobody is shown the beginning of a header either
	}
	s.held = ""
	return s.say(text, yield)
}
