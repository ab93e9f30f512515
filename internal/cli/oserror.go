package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"caldera/internal/printable"
	"caldera/internal/setting"
)

// Message returns an error's text in one line that a terminal can print. For an error
// of the operating system, which names a call such as lstat, it says what could not be
// done. Settings are spelled as flags.
func Message(err error) string {
	err = setting.Spell(err, func(name string) string { return "--" + name })
	text := err.Error()
	replaced := map[string]bool{} // what several errors say is in the text several times
	for _, e := range systemErrors(err) {
		if replaced[e.Error()] {
			continue
		}
		replaced[e.Error()] = true
		said, path := words(e)
		text = strings.ReplaceAll(text, e.Error(), said)
		text = strings.ReplaceAll(text, path+": "+said, said) // if the path is in the text twice
	}
	return printable.Text(strings.ReplaceAll(text, "\n", "; "))
}

// systemErrors returns the errors of the operating system that err wraps.
func systemErrors(err error) (all []error) {
	switch e := err.(type) {
	case *fs.PathError, *os.LinkError:
		return []error{e}
	case interface{ Unwrap() error }:
		return systemErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, systemErrors(one)...)
		}
	}
	return all
}

// verbs says for each call what the program wanted to do.
var verbs = map[string]string{
	"create": "write", "write": "write", "sync": "write", "truncate": "write", "close": "write", "fsync": "write",
	"mkdir": "make the directory", "mkdirat": "make the directory", "remove": "delete", "unlinkat": "delete", "unlink": "delete",
	"rename": "rename", "link": "link", "symlink": "link", "flock": "lock", "chdir": "change to", "fork/exec": "start",
}

// words says what could not be done with which path, and why.
func words(err error) (said, path string) {
	if e, ok := err.(*os.LinkError); ok {
		return fmt.Sprintf("cannot %s %s to %s: %v", verb(e.Op), e.Old, e.New, e.Err), e.Old
	}
	e := err.(*fs.PathError)
	said = fmt.Sprintf("cannot %s %s: %v", verb(e.Op), e.Path, e.Err)
	if parent := filepath.Dir(e.Path); errors.Is(e.Err, fs.ErrNotExist) && verbs[e.Op] != "" {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			said += fmt.Sprintf(" (make the directory %s first)", parent)
		}
	}
	return said, e.Path
}

func verb(op string) string {
	if v := verbs[op]; v != "" {
		return v
	}
	return "read"
}
