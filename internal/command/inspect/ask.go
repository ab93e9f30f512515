package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/inspect"
	"caldera/internal/cli"
	"caldera/internal/printable"
	"caldera/internal/view"
)

// maxText bounds what is read from a file: far more than any context holds.
const maxText = 64 << 20

var stderr io.Writer = os.Stderr

// lookFlags are the flags of every view of a model that is loaded.
type lookFlags struct {
	deviceFlags
	cli.ModelFlags `group:"Model"`
}

// ask runs the view of p and writes the answer.
func (f *lookFlags) ask(ctx context.Context, p view.Params) error {
	return f.deviceFlags.ask(ctx, p, f.open)
}

// deviceFlags are the flags of every view that needs a device.
type deviceFlags struct {
	cli.Hardware `group:"Hardware"`
	outputFlags

	File    *string `short:"f" placeholder:"FILE" help:"A file with the text, - for standard input; a newline at its end is left out."`
	Made    bool    `help:"Tell which ops made the values, and how long each took on the device."`
	Compare string  `placeholder:"WHICH" help:"Look on another device too, such as cpu or vulkan:0, and tell how far its numbers are from these."`
}

// opener makes an Inspector on a device. done frees it.
type opener func(context.Context, cli.Hardware) (in *inspect.Inspector, done func() error, err error)

// ask runs the view of p, on an Inspector of open, and writes the answer.
func (f *deviceFlags) ask(ctx context.Context, p view.Params, open opener) (err error) {
	if f.ListDevices {
		return cli.List(os.Stdout, f.JSON)
	}
	if err := f.check(); err != nil {
		return err
	}
	if err := f.text(ctx, p); err != nil {
		return err
	}
	in, done, err := open(ctx, f.Hardware)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	o := view.Options{Made: f.Made}
	if f.Compare != "" {
		o.Other = func() (*inspect.Inspector, error) {
			other, closeOther, err := open(ctx, cli.Hardware{Backend: "auto", Device: spec(f.Compare)})
			if err != nil {
				return nil, fmt.Errorf("--compare=%s: %w", f.Compare, err)
			}
			before := done
			done = func() error { return errors.Join(closeOther(), before()) }
			return other, nil
		}
	}
	a, err := view.Ask(ctx, in, view.Of(p), p, o)
	if err != nil {
		return usage(err)
	}
	return f.write(a)
}

// spec is a device as --device takes it; the name of a backend is its first one.
func spec(which string) string {
	if which == "cpu" || which == "vulkan" {
		return which + ":0"
	}
	return which
}

// open loads the model on a device. done frees both.
func (f *lookFlags) open(ctx context.Context, h cli.Hardware) (_ *inspect.Inspector, done func() error, err error) {
	b, _, err := h.Open(stderr)
	if err != nil {
		return nil, nil, err
	}
	flags := f.ModelFlags
	flags.NoText, flags.Merge = true, true
	m, t, err := flags.Load(ctx, b, func(model.Config, *tokenizer.Tokenizer) (*gpt.Use, error) {
		return &gpt.Use{Context: 1, Feeds: []int{1}}, nil
	})
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	if m.Activations == backend.F16 && !m.RoundsNothing() { // else Load has told
		fmt.Fprintf(stderr, "%s: warning: --activations=f16 is as f32: inspect never rounds to f16, so that a text gives the same numbers on every device\n", cli.Self())
	}
	in := inspect.New(m, t, inspect.Options{Name: flags.Name()})
	return in, func() error {
		in.Close()
		return errors.Join(m.Close(), b.Close())
	}, nil
}

// text gives p the text of --file, or that of standard input if there is no other.
func (f *deviceFlags) text(ctx context.Context, p view.Params) error {
	source, ok := p.(interface{ Source() *view.Text })
	switch {
	case !ok && f.File != nil:
		return cli.Usagef("--file=%s: %s reads no text from a file; give its arguments on the command line", *f.File, view.Of(p).Name)
	case !ok:
		return nil
	}
	text := source.Source()
	given := len(text.Words) > 0 || text.Tokens != nil
	path := "-"
	switch {
	case f.File != nil && given:
		return cli.Usagef("--file=%s and another text: give one of them", *f.File)
	case f.File != nil:
		path = *f.File
	case given || term.IsTerminal(int(os.Stdin.Fd())):
		return nil
	}
	content, err := cli.ReadInput(ctx, path, maxText)
	if err != nil {
		return err
	}
	if at := printable.InvalidUTF8([]byte(content)); at >= 0 {
		if path == "-" {
			path = "standard input"
		}
		return cli.Usagef("%s is not valid UTF-8: byte %d is 0x%02x; convert it to UTF-8", path, at, content[at])
	}
	if end, found := strings.CutSuffix(content, "\r\n"); found {
		content = end
	}
	text.Words = []string{strings.TrimSuffix(content, "\n")}
	return nil
}

// usage makes errors that the user can mend errors of usage.
func usage(err error) error {
	var user inspect.UserError
	if errors.As(err, &user) {
		return cli.UsageError{Err: fmt.Errorf("%w", err)}
	}
	return err
}
