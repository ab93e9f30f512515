package generate

import (
	"io"
	"os"

	"golang.org/x/term"

	"caldera/gpt/chat"
)

// reasons prints the answer of a chat apart from what the model writes for itself before: that is faint on a
// terminal, else on standard error. Of several answers at once it is left out.
type reasons struct {
	*writer
	splitter *chat.Splitter
	aside    io.Writer // nil: nowhere
	faint    bool
	open     bool // reasoning
	err      error
}

func newReasons(w *writer, s *chat.Splitter) *reasons {
	r := &reasons{writer: w, splitter: s}
	if w.out == io.Writer(os.Stdout) {
		r.aside = os.Stderr
		if r.faint = w.faint && term.IsTerminal(int(os.Stdout.Fd())); r.faint {
			r.aside = os.Stdout
		}
	}
	return r
}

func (r *reasons) next(piece string) error {
	r.splitter.Next(piece, r.part)
	return r.err
}

// end prints what is held back, and ends the line of reasoning.
func (r *reasons) end() error {
	r.splitter.End(r.part)
	if r.err == nil {
		r.turn(false)
	}
	return r.err
}

func (r *reasons) part(text string, reasoning bool) bool {
	if r.turn(reasoning); r.err != nil {
		return false
	}
	switch {
	case !reasoning:
		r.err = r.print(text)
	case r.aside != nil:
		if r.faint {
			text = faint + text + normal
		}
		_, r.err = io.WriteString(r.aside, text)
	}
	return r.err == nil
}

// turn begins or ends reasoning.
func (r *reasons) turn(reasoning bool) {
	was := r.open
	r.open = reasoning
	if !was || reasoning || r.aside == nil {
		return
	}
	end := "\n"
	if r.faint {
		end = "\n\n"
	}
	_, r.err = io.WriteString(r.aside, end)
}
