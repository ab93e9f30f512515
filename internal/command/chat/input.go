package chat

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/term"

	"caldera/internal/atomicfile"
)

// maxMessage bounds a message, in bytes: far more than any context holds.
const maxMessage = 16 << 20

// input reads messages.
type input interface {
	// line reads a line. The error is io.EOF at the end, and errInterrupted where Ctrl-C was
	// pressed in its place.
	line(prompt string) (string, error)
	terminal() bool
	close()
}

var errInterrupted = errors.New("interrupted")

// newInput reads a terminal with editing and history, or whatever standard input is.
func newInput() input {
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("TERM") != "dumb" {
		return newEditor()
	}
	return &pipe{r: bufio.NewReader(os.Stdin)}
}

// pipe reads lines.
type pipe struct{ r *bufio.Reader }

func (p *pipe) line(string) (string, error) {
	var text []byte
	for {
		part, err := p.r.ReadSlice('\n')
		if len(text)+len(part) > maxMessage {
			return "", fmt.Errorf("standard input has a line of more than %d bytes", maxMessage)
		}
		text = append(text, part...)
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(text) > 0:
			return strings.TrimRight(string(text), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

func (p *pipe) terminal() bool { return false }
func (p *pipe) close()         {}

// editor edits lines on a terminal, and keeps a history of them.
type editor struct {
	state   *liner.State
	history string // the file; empty for none
}

func newEditor() *editor {
	e := &editor{state: liner.NewLiner(), history: historyFile()}
	e.state.SetCtrlCAborts(true)
	e.state.SetMultiLineMode(true)
	e.state.SetCompleter(complete)
	if f, err := os.Open(e.history); err == nil {
		e.state.ReadHistory(io.LimitReader(f, maxMessage)) // an old history that is damaged is no reason not to talk
		f.Close()
	}
	return e
}

// historyFile is where lines are kept, as the XDG base directory specification says.
func historyFile() string {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "caldera", "chat_history")
}

func (e *editor) line(prompt string) (string, error) {
	text, err := e.state.Prompt(prompt)
	switch {
	case errors.Is(err, liner.ErrPromptAborted):
		return "", errInterrupted
	case err != nil:
		return "", err
	}
	if strings.TrimSpace(text) != "" {
		e.state.AppendHistory(text)
	}
	return text, nil
}

func (e *editor) terminal() bool { return true }

// close gives the terminal back, and keeps the history: only the user may read it.
func (e *editor) close() {
	e.state.Close()
	if e.history == "" || os.MkdirAll(filepath.Dir(e.history), 0o700) != nil {
		return
	}
	atomicfile.Write(e.history, func(w io.Writer) error { // what cannot be kept is not needed
		os.Chmod(filepath.Dir(e.history), 0o700)
		_, err := e.state.WriteHistory(w)
		return err
	})
}
