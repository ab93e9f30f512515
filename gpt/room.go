package gpt

import (
	"errors"
	"fmt"
)

// Room is a context in which a prompt is to fit. All three are numbers of positions.
type Room struct {
	Used  int // by tokens that are there already
	Size  int
	Model int // the most that the model can have: what to say where Size is too small
}

// Fits returns an error for a prompt that has no tokens, or more than fit in the
// rest of the context.
func (r Room) Fits(prompt []int) error {
	switch n := r.Used + len(prompt); {
	case len(prompt) == 0:
		return errors.New("the prompt has no tokens: begin with at least one, such as that which begins a text")
	case n > r.Size:
		return fmt.Errorf("the prompt has %d tokens and the context holds %d: shorten it%s", n, r.Size, r.hint())
	}
	return nil
}

// FitsText returns an error for a prompt of so many bytes that it cannot fit in the
// rest of the context, if no token has more than longest bytes. So a text that is
// too long is refused before it is encoded.
func (r Room) FitsText(bytes, longest int) error {
	if least := (bytes + longest - 1) / longest; r.Used+least > r.Size {
		return fmt.Errorf("the prompt has %d bytes, which are at least %d tokens, and the context holds %d: shorten it%s", bytes, least, r.Size, r.hint())
	}
	return nil
}

// hint says what to do about a context that is too small, or is "".
func (r Room) hint() string {
	if r.Size < r.Model {
		return fmt.Sprintf(", or enlarge the context: this model can hold %d", r.Model)
	}
	return ""
}
