package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"caldera/gpt/chat"
	"caldera/internal/cli"
)

// Escape sequences of terminals (ECMA-48, select graphic rendition).
const faint, normal = "\x1b[2m", "\x1b[22m"

// answer has the model answer, and prints that as it comes. Ctrl-C stops it. A message that
// gets no answer is taken back.
func (t *talk) answer(ctx context.Context) error {
	answering, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := t.onInterrupt(cancel)
	defer stop()
	o := t.options
	o.Seed += t.answers
	t.answers++
	before := len(t.chat.Messages)
	p := &page{talk: t}
	start, first := time.Now(), time.Duration(0)
	var failed error
	for piece, err := range t.chat.Answer(answering, o) {
		if err == nil && first == 0 {
			first = time.Since(start)
		}
		if err == nil {
			err = p.write(piece)
		}
		if failed = err; err != nil {
			break
		}
	}
	total := time.Since(start)
	interrupted := errors.Is(failed, context.Canceled) && ctx.Err() == nil
	if err := p.end(); failed == nil {
		failed = err
	}
	if t.Verbose {
		s := t.chat.Stats
		fmt.Fprintf(os.Stderr, "prompt  %9.1f ms  %5d tokens, of which %d were read now\n", 1000*first.Seconds(), s.Prompt, s.Read)
		fmt.Fprintf(os.Stderr, "answer  %9.1f ms  %5d tokens  %9.1f tokens/s\n", 1000*(total-first).Seconds(), s.Generated, float64(max(0, s.Generated-1))/seconds(total-first))
	}
	if failed != nil && len(t.chat.Messages) == before {
		t.chat.Messages = t.chat.Messages[:before-1]
	}
	switch {
	case interrupted:
		fmt.Fprintf(os.Stderr, "%s: the answer was stopped\n", cli.Self())
		return nil
	case errors.Is(failed, chat.ErrFull):
		fmt.Fprintf(os.Stderr, "%s: the context is full: the answer ends here\n", cli.Self())
		return nil
	}
	return failed
}

// page prints an answer: reasoning apart from what is said.
type page struct {
	*talk
	reasoning bool // is open
	printed   bool // anything, on standard output
}

func (p *page) write(piece chat.Piece) error {
	if piece.Reasoning && p.Reasoning == "hide" {
		return nil
	}
	out := io.Writer(os.Stdout)
	if piece.Reasoning && !p.in.terminal() {
		out = os.Stderr
	}
	text := piece.Text
	if piece.Reasoning != p.reasoning {
		if err := p.turn(); err != nil {
			return err
		}
	}
	if p.reasoning && p.faint && out == os.Stdout {
		text = faint + text + normal
	}
	if out == os.Stdout {
		p.printed = true
	}
	_, err := io.WriteString(out, text)
	return err
}

// turn begins or ends reasoning.
func (p *page) turn() error {
	if p.reasoning = !p.reasoning; p.reasoning {
		return nil
	}
	out := io.Writer(os.Stderr)
	end := "\n"
	if p.in.terminal() {
		out, end = os.Stdout, "\n\n"
	}
	_, err := io.WriteString(out, end)
	return err
}

// end ends the last line.
func (p *page) end() error {
	if p.reasoning {
		if err := p.turn(); err != nil {
			return err
		}
	}
	if !p.printed && p.in.terminal() {
		return nil
	}
	_, err := io.WriteString(os.Stdout, "\n")
	return err
}
