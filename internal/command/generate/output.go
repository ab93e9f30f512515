package generate

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"caldera/gpt"
	"caldera/gpt/chat"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// writer writes text as it comes, never half a character, and ends it at a stop
// text. Without a tokenizer it writes ids.
type writer struct {
	out       io.Writer
	tokenizer *tokenizer.Tokenizer // nil for none
	decoder   *tokenizer.Decoder   // nil without a tokenizer
	stopper   *gpt.Stopper
	stream    bool // a JSON object a token
	answer    *int // whose tokens these are, in the stream; nil where there is one answer
	quiet     bool // print no text
	faint     bool // the prompt
	reasons   *reasons
	template  *chat.Template // of a chat whose answer is printed; nil for none

	text    strings.Builder // what was generated, to be reported
	stopped bool            // at a stop text
	printed bool            // anything, on a line that is to be ended
	report  *generated
	prefix  []int // what the tokenizer puts before a prompt
}

// Escape sequences of terminals (ECMA-48, select graphic rendition).
const faint, normal = "\x1b[2m", "\x1b[22m"

// newWriter returns a writer of what r reports. Its text goes nowhere if it is quiet.
func (f *flags) newWriter(out io.Writer, t *tokenizer.Tokenizer, r *generated) (*writer, error) {
	w := &writer{out: out, stream: f.JSONStream, quiet: f.quiet(), faint: f.colored(), report: r, tokenizer: t}
	if t != nil {
		w.decoder, w.prefix = t.NewDecoder(), t.Prefix()
	} else if len(f.Stop) > 0 {
		return nil, cli.Usagef("--stop=%s: the checkpoint has no tokenizer, so there is no text to stop at", f.Stop[0])
	}
	if f.Prompt.Chat != nil && !w.quiet && t != nil {
		w.template = &f.Prompt.Chat.Template
	}
	var err error
	w.stopper, err = gpt.NewStopper(f.Stop...)
	return w, err
}

// quiet reports whether JSON is printed in place of text.
func (f *flags) quiet() bool { return f.JSON || f.JSONStream || f.Prompts != nil }

// colored follows no-color.org.
func (f *flags) colored() bool {
	if f.Color != "auto" {
		return f.Color == "always"
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
}

// prompt prints what is continued, unless it is hidden. In a text the tokens that begin
// it are not shown. A text that continues a hidden one keeps the space before its first
// token.
func (w *writer) prompt(ids []int, c model.Config, hidden bool) error {
	if n := len(w.prefix); n > 0 && n <= len(ids) && slices.Equal(ids[:n], w.prefix) {
		ids = ids[n:]
	} else if w.decoder != nil && len(c.BOS) > 0 && ids[0] == c.BOS[0] {
		ids = ids[1:]
	}
	if w.template != nil {
		before, err := w.tokenizer.DecodeBytes(ids)
		if err != nil {
			return err
		}
		w.reasons = newReasons(w, chat.NewSplitter(*w.template, string(before)))
	}
	if w.quiet || hidden {
		if w.decoder != nil && len(ids) > 0 {
			w.decoder = w.tokenizer.NewDecoder(tokenizer.Continued)
		}
		return nil
	}
	var text strings.Builder
	for i, id := range ids {
		piece, err := w.piece(id, i == 0)
		if err != nil {
			return err
		}
		text.WriteString(piece)
	}
	if w.faint && text.Len() > 0 {
		return w.print(faint + text.String() + normal)
	}
	return w.print(text.String())
}

// piece is what a token adds to the output.
func (w *writer) piece(id int, first bool) (string, error) {
	if w.decoder != nil {
		return w.decoder.Next(id)
	}
	if first {
		return strconv.Itoa(id), nil
	}
	return "," + strconv.Itoa(id), nil
}

// token writes a token that was generated.
func (w *writer) token(t gpt.Token) error {
	piece, err := w.piece(t.ID, !w.printed)
	if err != nil {
		return err
	}
	if w.decoder != nil {
		piece, w.stopped = w.stopper.Next(piece)
		w.text.WriteString(piece)
	}
	if !w.stream {
		return w.say(piece)
	}
	p := w.report.place(t)
	if w.decoder != nil {
		p.Text = &piece
	}
	return writeJSON(w.out, struct {
		Answer *int `json:"answer,omitempty"`
		place
	}{w.answer, p})
}

// end writes what is held back and ends the last line.
func (w *writer) end() error {
	rest := ""
	if w.decoder != nil && !w.stopped {
		rest, w.stopped = w.stopper.Next(w.decoder.Flush())
		rest += w.stopper.Flush()
		w.text.WriteString(rest)
	}
	if w.stream && rest != "" {
		return writeJSON(w.out, struct {
			Answer *int   `json:"answer,omitempty"`
			Text   string `json:"text"`
		}{w.answer, rest})
	}
	err := w.say(rest)
	if err == nil && w.reasons != nil {
		err = w.reasons.end()
	}
	if err != nil {
		return err
	}
	if w.quiet || !w.printed {
		return nil
	}
	_, err = io.WriteString(w.out, "\n")
	return err
}

// say prints a part of what was generated: of a chat what it answers, apart from its reasoning.
func (w *writer) say(piece string) error {
	if w.reasons != nil {
		return w.reasons.next(piece)
	}
	return w.print(piece)
}

func (w *writer) print(s string) error {
	if s == "" || w.quiet {
		return nil
	}
	w.printed = true
	_, err := io.WriteString(w.out, s)
	return err
}

// writeJSON writes a value on a line of its own.
func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
