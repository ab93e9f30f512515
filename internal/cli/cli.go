// Package cli is what the commands share: flags that choose the hardware and
// the model, and how a command ends.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// UsageError is a mistake in how a command was called, rather than a failure
// of what it does.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usagef is a UsageError with a message.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130 // as shells report a program that Ctrl-C ended
)

// Main parses the command line into flags, a pointer to a struct for kong, and
// runs the command. It prints one line where that fails and returns the exit
// code. Ctrl-C and SIGTERM end ctx; a second one ends the process at once.
func Main(flags any, description string, run func(ctx context.Context) error, options ...kong.Option) int {
	return start(flags, description, func(ctx context.Context, _ *kong.Context) error { return run(ctx) }, options)
}

// Commands is Main for a command that has others below it: it runs the method
// Run(context.Context) error of the one that was chosen.
func Commands(flags any, description string, options ...kong.Option) int {
	return start(flags, description, func(ctx context.Context, chosen *kong.Context) error {
		chosen.BindTo(ctx, (*context.Context)(nil))
		return chosen.Run()
	}, append(options, kong.Help(helpWithDefault)))
}

// helpWithDefault shows the flags of the command that is meant where none is
// named, too.
func helpWithDefault(o kong.HelpOptions, ctx *kong.Context) error {
	err := kong.DefaultHelpPrinter(o, ctx)
	if usual := ctx.Model.DefaultCmd; err == nil && ctx.Selected() == nil && usual != nil {
		fmt.Fprintf(ctx.Stdout, "\nWithout a command, %s is meant:\n\n", usual.Name)
		ctx.Path = append(ctx.Path, &kong.Path{Command: usual})
		err = kong.DefaultHelpPrinter(o, ctx)
	}
	return err
}

func start(flags any, description string, run func(context.Context, *kong.Context) error, options []kong.Option) int {
	name := filepath.Base(os.Args[0])
	parser, err := kong.New(flags, append(options, kong.Name(name), kong.Description(description))...)
	if err != nil {
		return report(name, fmt.Errorf("its flags are wrong: %w", err))
	}
	args, err := arguments(os.Args[1:])
	if err != nil {
		return report(name, err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return report(name, Usagef("%w; see %s --help", err, name))
	}
	// A reader that has seen enough, such as head, ends the output, not the
	// process: writes then fail with EPIPE.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return report(name, run(ctx, chosen))
}

// arguments makes of the command line what kong understands as meant. It takes
// -1 for a flag, so a negative number is joined to the flag before it; and it
// replaces bytes that are not UTF-8, so these are refused.
func arguments(args []string) ([]string, error) {
	var out []string
	for i, arg := range args {
		if at := InvalidUTF8(arg); at >= 0 {
			return nil, Usagef("argument %d, %q, is not valid UTF-8: byte %d is 0x%02x; convert it to UTF-8", i+1, arg, at, arg[at])
		}
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		if strings.HasPrefix(arg, "--") { // --batch_size, as Python's programs have it, is --batch-size
			name, value, given := strings.Cut(arg, "=")
			arg = strings.ReplaceAll(name, "_", "-")
			if given {
				arg += "=" + value
			}
		}
		_, err := strconv.ParseFloat(arg, 64)
		negative := strings.HasPrefix(arg, "-") && !errors.Is(err, strconv.ErrSyntax)
		switch last := len(out) - 1; {
		case !negative || last < 0:
			out = append(out, arg)
		case strings.HasPrefix(out[last], "--") && !strings.Contains(out[last], "="):
			out[last] += "=" + arg
		case len(out[last]) == 2 && out[last][0] == '-':
			out[last] += arg
		default:
			out = append(out, arg)
		}
	}
	return out, nil
}

// InvalidUTF8 is the index of the first byte of s that is not valid UTF-8, or -1.
func InvalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return i
		}
	}
	return -1
}

// report prints what went wrong, in one line, and returns the exit code.
func report(name string, err error) int {
	var usage UsageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return ExitOK
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(os.Stderr, "%s: interrupted\n", name)
		return ExitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, oneLine(err))
		return ExitUsage
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, oneLine(err))
	return ExitFailed
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// ReadInput reads a file, or standard input for "-", of at most limit bytes. It
// stops waiting for them when ctx ends, for the other end of a pipe may never write.
func ReadInput(ctx context.Context, path string, limit int64) (string, error) {
	type input struct {
		text string
		err  error
	}
	done := make(chan input, 1)
	go func() {
		text, err := readInput(path, limit)
		done <- input{text, err}
	}()
	select {
	case in := <-done:
		return in.text, in.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func readInput(path string, limit int64) (string, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return "", err
		}
		defer f.Close()
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(text)) > limit {
		return "", fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return string(text), nil
}
