package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"caldera/gpt/tokenizer"
)

// trainBinary is the command, built once for all tests, which run it as a user
// does.
var trainBinary string

// sample is a text of English prose, other languages and code.
const sample = "../../gpt/tokenizer/testdata/train/text.txt"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	trainBinary = filepath.Join(dir, "train")
	if out, err := exec.Command("go", "build", "-o", trainBinary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// result is what a call came to.
type result struct {
	code        int
	out, stderr string
}

// run runs cmd to its end, which must come within a minute.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &stderr, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%v did not end in a minute", cmd.Args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
	if strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stderr, "panic") {
		t.Errorf("%v panicked:\n%s", cmd.Args, r.stderr)
	}
	return r
}

// command is train tokenizer with text on standard input.
func command(text string, args ...string) *exec.Cmd {
	cmd := exec.Command(trainBinary, append([]string{"tokenizer"}, args...)...)
	cmd.Stdin = strings.NewReader(text)
	return cmd
}

// train runs the command and expects it to succeed. It returns the one line that
// it says on standard error.
func train(t *testing.T, text string, args ...string) string {
	t.Helper()
	r := run(t, command(text, args...))
	if r.code != 0 || r.out != "" || strings.Count(r.stderr, "\n") != 1 {
		t.Fatalf("%q: exit code %d, output %q, standard error %q, expected 0, nothing, and a line", args, r.code, r.out, r.stderr)
	}
	return r.stderr
}

// wantFailure expects an exit code, and one line on standard error.
func wantFailure(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	if r.code != code || r.out != "" || len(lines) != 1 || !strings.HasPrefix(lines[0], "train: ") {
		t.Errorf("exit code %d, output %q, standard error %q, expected %d and one line", r.code, r.out, r.stderr, code)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("%q lacks %q", r.stderr, part)
		}
	}
}

// read is the content of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// write makes a file, and the directories above it.
func write(t *testing.T, path, text string) string {
	t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads what was written.
func load(t *testing.T, dir string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// names are those of the files of a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return strings.Join(list, " ")
}
