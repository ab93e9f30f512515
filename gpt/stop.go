package gpt

import (
	"errors"
	"slices"
	"strings"
)

// A Stopper ends a text before the first of some stop texts. The text comes in
// pieces, such as that of one token, and a stop text may begin in one piece and end
// in a later one. So the Stopper holds back text that may be the beginning of a
// stop text.
type Stopper struct {
	stops []string
	held  string // text that was not returned yet
}

// NewStopper returns a Stopper at the start of a text. Without stop texts it
// returns each piece as it comes. An empty stop text is an error.
func NewStopper(stops ...string) (*Stopper, error) {
	if slices.Contains(stops, "") {
		return nil, errors.New("a stop text is empty: expected at least one character")
	}
	return &Stopper{stops: slices.Clone(stops)}, nil
}

// Next returns the text that piece adds, which may be empty, and whether a stop text
// is complete: then the text that Next returned is the end of the whole text.
func (s *Stopper) Next(piece string) (text string, stopped bool) {
	all := s.held + piece
	end := len(all)
	for _, stop := range s.stops {
		if at := strings.Index(all, stop); at >= 0 && at < end {
			end, stopped = at, true
		}
	}
	s.held = ""
	if !stopped {
		end -= s.begun(all)
		s.held = all[end:]
	}
	return all[:end], stopped
}

// Flush ends the text: it returns the text that is held back and did not become a
// stop text. The Stopper is then at the start of a new text.
func (s *Stopper) Flush() string {
	held := s.held
	s.held = ""
	return held
}

// begun is the length in bytes of the longest end of text that begins a stop text.
func (s *Stopper) begun(text string) int {
	longest := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				longest = n
			}
		}
	}
	return longest
}
