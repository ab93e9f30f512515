package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-n -1 hello", "-n-1 hello"},
		{"--predict -1 --temp -0.5e3 x", "--predict=-1 --temp=-0.5e3 x"},
		{"--temp -Inf", "--temp=-Inf"},
		{"--predict 5 -1", "--predict 5 -1"}, // 5 is the value
		{"--predict=5 -1", "--predict=5 -1"},
		{"-v -n 3", "-v -n 3"},
		{"-n --verbose", "-n --verbose"},
		{"word -x", "word -x"},
		{"-1", "-1"},
		{"-n 1 -- -2 --x -3", "-n 1 -- -2 --x -3"},
		{"-", "-"},
		{"-f - -n -1", "-f - -n-1"},
		{"--batch_size=a_b --min_lr -1 c_d -- --e_f", "--batch-size=a_b --min-lr=-1 c_d -- --e_f"}, // as Python's programs have it
		{"-n=5 -p=a=b -m= x -s=-1 --x=1 -dev=y", "-n5 -pa=b -m  x -s-1 --x=1 -dev=y"},
		{"", ""},
	} {
		got, err := arguments(strings.Fields(c.args))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q became %q, %v; expected %q", c.args, got, err, c.want)
		}
	}
	_, err := arguments([]string{"-p", "caf\xe9"})
	var usage UsageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "argument 2") || !strings.Contains(err.Error(), "byte 3 is 0xe9") {
		t.Errorf("an argument that is not UTF-8 gave %v", err)
	}
}

func TestReadInput(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte("12345"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadInput(ctx, path, 5); got != "12345" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := ReadInput(ctx, path, 4); err == nil || !strings.Contains(err.Error(), "longer than 4 bytes") {
		t.Errorf("a file that is too long gave %v", err)
	}
	if _, err := ReadInput(ctx, path+"x", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gave %v", err)
	}
}

func TestOutputDir(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("dir", 0o777), os.WriteFile("file", nil, 0o666), os.Symlink("none", "link"), os.Symlink("dir", "way")); err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct {
		there bool
		err   string
	}{
		"dir": {there: true}, "way": {there: true}, "none": {}, "none/none": {},
		"file":   {err: "file is there and is no directory: expected the name of a directory to write"},
		"link":   {err: "link is a link that leads nowhere: expected the name of a directory to write"},
		"file/x": {err: "cannot write file/x: not a directory"},
	} {
		there, err := OutputDir(path)
		if there != c.there || (err != nil) != (c.err != "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %v, %v; expected %v, %q", path, there, err, c.there, c.err)
		}
	}
}
