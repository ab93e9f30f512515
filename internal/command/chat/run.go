package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/term"

	"caldera/gpt"
	"caldera/gpt/chat"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
	"caldera/internal/printable"
)

// talk is a conversation on a terminal or through pipes.
type talk struct {
	*flags
	model    string
	template chat.Template
	chat     *chat.Chat
	options  gpt.Options
	in       input
	answers  uint64         // so far, of which each has a seed of its own
	signals  chan os.Signal // Ctrl-C
	faint    bool
	full     bool // the context was, which was told
}

// Run has the conversation.
func (f *flags) Run(ctx context.Context) (err error) {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	t := &talk{flags: f, model: f.ModelFlags.Name(), signals: make(chan os.Signal, 4), faint: f.colored()}
	if t.options, err = f.options(); err != nil {
		return err
	}
	before, err := f.before()
	if err != nil {
		return err
	}
	signal.Notify(t.signals, os.Interrupt)
	defer signal.Stop(t.signals)
	loading, done := context.WithCancel(ctx)
	defer done()
	stop := t.onInterrupt(done)
	b, _, err := f.Hardware.Open(os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	adopted := ""
	f.ModelFlags.Opened = func(c *checkpoint.Checkpoint) (err error) {
		if adopted, err = f.Sampling.Adopt(c, &t.options.Sampling); err != nil {
			return err
		}
		t.template, err = f.ChatTemplate.Read(loading, c, "give the text to caldera generate")
		return err
	}
	m, tok, err := f.ModelFlags.Load(loading, b, func(c model.Config, tok *tokenizer.Tokenizer) (*gpt.Use, error) {
		if err := cli.CheckContext(f.CtxSize, c); err != nil {
			return nil, err
		}
		if tok == nil {
			return nil, errors.New("the checkpoint has no tokenizer files (tokenizer.json, or vocab.json and merges.txt), and a chat is text")
		}
		return &gpt.Use{Context: f.CtxSize, Cache: f.cache(), Feeds: []int{1}, Compile: true}, nil
	})
	stop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if adopted != "" && f.Verbose {
		t.note("sampling as the model's files say: %s", adopted)
	}
	t.chat, err = chat.New(m, tok, t.template, chat.Options{Context: f.CtxSize, Cache: f.cache(), Thinking: f.Thinking.Setting(), Forgot: t.forgot})
	if err != nil {
		return err
	}
	defer t.chat.Close()
	t.chat.Messages = before
	if f.System != "" {
		t.system(f.System)
	}
	return t.run(ctx)
}

// before is the conversation to go on with.
func (f *flags) before() ([]chat.Message, error) {
	if f.Load == "" {
		return nil, nil
	}
	s, err := load(f.Load)
	return s.Messages, err
}

// colored follows no-color.org.
func (f *flags) colored() bool {
	if f.Color != "auto" {
		return f.Color == "always"
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
}

// run goes from turn to turn.
func (t *talk) run(ctx context.Context) error {
	t.in = newInput()
	defer func() { t.in.close() }()
	if t.in.terminal() {
		t.note("/help lists commands, Ctrl-C stops an answer, Ctrl-D ends")
	}
	text := strings.Join(t.Words, " ")
	for {
		if text == "" {
			var err error
			if text, err = t.message(ctx); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		again := false
		switch {
		case strings.TrimSpace(text) == "":
			text = ""
			continue
		case strings.HasPrefix(text, "//"):
			text = text[1:]
		case strings.HasPrefix(text, "/"):
			var quit bool
			var err error
			if again, quit, err = t.do(text); quit {
				return nil
			}
			if err := t.failed(err); err != nil {
				return err
			}
			if text = ""; !again {
				continue
			}
		}
		if !again {
			t.chat.Messages = append(t.chat.Messages, chat.Message{Role: chat.User, Content: text})
		}
		if err := t.failed(t.answer(ctx)); err != nil {
			return err
		}
		text = ""
	}
}

// failed reports an error on a terminal, where people may do something else. Otherwise it is
// the program's.
func (t *talk) failed(err error) error {
	if err == nil || !t.in.terminal() || errors.Is(err, context.Canceled) {
		return err
	}
	t.note("%s", cli.Message(err))
	return nil
}

// message reads a message: a line, or several of which all but the last end in a backslash.
func (t *talk) message(ctx context.Context) (string, error) {
	var text strings.Builder
	for prompt := ">>> "; ; prompt = "... " {
		type read struct {
			line string
			err  error
		}
		done := make(chan read, 1)
		go func() {
			line, err := t.in.line(prompt)
			done <- read{line, err}
		}()
		var r read
		select {
		case r = <-done:
		case <-t.signals:
			r.err = errInterrupted
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if errors.Is(r.err, errInterrupted) {
			if t.in.terminal() {
				fmt.Println()
			}
			return "", io.EOF
		}
		if r.err == io.EOF && text.Len() > 0 && !t.in.terminal() { // the last line ended in a backslash
			return strings.TrimSuffix(text.String(), "\n"), nil
		}
		if r.err != nil {
			return "", r.err
		}
		if at := printable.InvalidUTF8([]byte(r.line)); at >= 0 {
			return "", fmt.Errorf("a message is not valid UTF-8: byte %d is 0x%02x", at, r.line[at])
		}
		line, more := strings.CutSuffix(r.line, `\`)
		if text.WriteString(line); !more {
			return text.String(), nil
		}
		if text.WriteByte('\n'); text.Len() > maxMessage {
			return "", fmt.Errorf("a message has more than %d bytes", maxMessage)
		}
	}
}

// note tells something that is no part of the conversation.
func (t *talk) note(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintln(os.Stderr, printable.Text(line))
	}
}

// forgot tells, once, that the context is full.
func (t *talk) forgot(messages int) {
	if t.full {
		return
	}
	t.full = true
	fmt.Fprintf(os.Stderr, "%s: the context is full: the model no longer sees the first %d messages, and so on from here\n", cli.Self(), messages)
}

// onInterrupt calls first at a Ctrl-C, and ends the program at a second one. stop ends that.
func (t *talk) onInterrupt(first func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-t.signals:
			}
			if n == 0 {
				first()
				continue
			}
			if t.in != nil {
				t.in.close()
			}
			fmt.Fprintf(os.Stderr, "\n%s: interrupted\n", cli.Self())
			os.Exit(cli.ExitInterrupted)
		}
	}()
	return func() { close(done) }
}

// seconds is a time for a rate.
func seconds(d time.Duration) float64 { return max(d.Seconds(), 1e-9) }
