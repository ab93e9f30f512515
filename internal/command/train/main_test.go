package train_test

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"caldera/gpt/tokenizer"
	"caldera/internal/commandtest"
)

// The command, built once for all tests, which run it as a user does, and those
// that read and write what it does.
var trainBinary, generateBinary, convertBinary string

// sample is a text of English prose, other languages and code.
const sample = "../../../gpt/tokenizer/testdata/train/text.txt"

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // under nohup commands would be started with SIGHUP ignored, and outlive it
	os.Exit(commandtest.Main(m, func(folder string) error {
		trainBinary, generateBinary, convertBinary = filepath.Join(folder, "train"), filepath.Join(folder, "generate"), filepath.Join(folder, "convert")
		return errors.Join(commandtest.Build(trainBinary, "caldera/cmd/train"), commandtest.Build(generateBinary, "caldera/cmd/generate"), commandtest.Build(convertBinary, "caldera/cmd/convert"))
	}))
}

type result = commandtest.Result

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	return commandtest.Run(t, cmd)
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
	if r.Code != 0 || r.Out != "" || strings.Count(r.Stderr, "\n") != 1 {
		t.Fatalf("%q: exit code %d, output %q, standard error %q, expected 0, nothing, and a line", args, r.Code, r.Out, r.Stderr)
	}
	return r.Stderr
}

// wantFailure expects an exit code, and one line on standard error.
func wantFailure(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	if r.Code != code || r.Out != "" || len(lines) != 1 || !strings.HasPrefix(lines[0], "train: ") {
		t.Errorf("exit code %d, output %q, standard error %q, expected %d and one line", r.Code, r.Out, r.Stderr, code)
	}
	for _, part := range parts {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("%q lacks %q", r.Stderr, part)
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
