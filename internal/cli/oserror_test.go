package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"caldera/internal/atomicfile"
)

// TestMessage expects what was to be done, with which file, and why it was not.
func TestMessage(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.WriteFile("file", nil, 0o666), os.Symlink("loop", "loop")); err != nil {
		t.Fatal(err)
	}
	failed := func(_ any, err error) error { return err }
	_, create := atomicfile.Create("none/deep/x.gguf")
	_, make := atomicfile.Mkdir("none/x")
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{failed(os.Open("none")), "cannot read none: no such file or directory"},
		{failed(os.Stat("none")), "cannot read none: no such file or directory"},
		{failed(os.Lstat("file/x")), "cannot read file/x: not a directory"},
		{failed(os.Open("loop")), "cannot read loop: too many levels of symbolic links"},
		{failed(os.ReadFile(".")), "cannot read .: is a directory"},
		{failed(fs.ReadFile(os.DirFS("."), "config.json")), "cannot read config.json: no such file or directory"},
		{create, "cannot write none/deep/x.gguf: no such file or directory (make the directory none/deep first)"},
		{make, "cannot make the directory none/x: no such file or directory (make the directory none first)"},
		{os.Rename("none", "x"), "cannot rename none to x: no such file or directory"},
		{os.Remove("none"), "cannot delete none: no such file or directory"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "cannot write x: no space left on device"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "cannot read x: permission denied"},
		{fmt.Errorf("--file: %w", failed(os.Open("none"))), "--file: cannot read none: no such file or directory"},
		{fmt.Errorf("none: %w", failed(os.Open("none"))), "cannot read none: no such file or directory"},
		{UsageError{fmt.Errorf("first: %w\nsecond: %w", failed(os.Stat("a")), os.Remove("b"))},
			"first: cannot read a: no such file or directory; second: cannot delete b: no such file or directory"},
		{errors.Join(failed(os.Open("a")), failed(os.Open("a"))), "cannot read a: no such file or directory; cannot read a: no such file or directory"},
		{errors.Join(failed(os.Open("a")), failed(os.Open("b"))), "cannot read a: no such file or directory; cannot read b: no such file or directory"},
		{fmt.Errorf("tensor \x1b[31m of caf\xe9: %w", failed(os.Open("\x1b]0;x\a"))),
			`tensor \x1b[31m of caf\xe9: cannot read \x1b]0;x\a: no such file or directory`},
		{fmt.Errorf("device %s", "\u009b2J\u202e"), `device \u009b2J\u202e`},
		{errors.New("naïve 世界 … “quoted”"), "naïve 世界 … “quoted”"},
	} {
		if got := Message(c.err); got != c.want {
			t.Errorf("%q is told as\n%s, expected\n%s", c.err, got, c.want)
		}
	}
	_, dir := atomicfile.Create(filepath.Join(".", "file", "x"))
	if got := Message(dir); got != "cannot write file/x: not a directory" {
		t.Errorf("a file for a directory: %s", got)
	}
}
