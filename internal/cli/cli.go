// Package cli has what the commands share: how they start and end, and flags that
// choose the hardware and the model.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"caldera/internal/printable"
)

// UsageError is the error of a command that was called wrongly.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usagef returns a UsageError with a message.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130 // what shells report for a program that was ended by Ctrl-C
)

// arguments changes a command line so that kong reads it as the user means it. kong
// reads -1 as a flag, so a negative number is joined to the flag before it. It reads
// the = of -n=5 as a part of the value, so the = is removed. It replaces bytes that
// are not UTF-8, so these are an error.
func arguments(args []string) ([]string, error) {
	var out []string
	for i, arg := range args {
		if at := printable.InvalidUTF8([]byte(arg)); at >= 0 {
			return nil, Usagef("argument %d, %q, is not valid UTF-8: byte %d is 0x%02x; convert it to UTF-8", i+1, arg, at, arg[at])
		}
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		if strings.HasPrefix(arg, "--") { // --batch_size, as in Python's programs, is --batch-size
			name, value, given := strings.Cut(arg, "=")
			arg = strings.ReplaceAll(name, "_", "-")
			if given {
				arg += "=" + value
			}
		}
		if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && arg[2] == '=' {
			if arg = arg[:2] + arg[3:]; len(arg) == 2 {
				out = append(out, arg, "")
				continue
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

// OutputDir reports whether the directory at path, where output is to be written,
// exists. It returns an error if there is something else.
func OutputDir(path string) (there bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return false, fmt.Errorf("%s is a link that leads nowhere: expected the name of a directory to write", path)
		}
		return false, nil
	case err != nil:
		return false, fmt.Errorf("cannot write %s: %w", path, errors.Unwrap(err)) // without the name of the call
	case !info.IsDir():
		return false, fmt.Errorf("%s is there and is no directory: expected the name of a directory to write", path)
	}
	return true, nil
}

// report prints an error in one line and returns the exit code.
func report(name string, err error) int {
	var usage UsageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return ExitOK
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(os.Stderr, "%s: interrupted\n", name)
		return ExitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, Message(err))
		return ExitUsage
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, Message(err))
	return ExitFailed
}

// ReadInput reads a file, or standard input if the name is "-". It returns an error if
// there are more than limit bytes. It stops when ctx ends, because the other end of a
// pipe may never write.
func ReadInput(ctx context.Context, path string, limit int64) (string, error) {
	return Until(ctx, func() (string, error) { return readInput(path, limit) })
}

// Until returns what f returns, or when ctx ends its error. f then goes on, and what it
// returns is lost: it is for what waits for the other end of a pipe.
func Until[T any](ctx context.Context, f func() (T, error)) (result T, err error) {
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := f()
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return result, ctx.Err()
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
		if path == "-" {
			path = "standard input"
		}
		return "", fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return string(text), nil
}
