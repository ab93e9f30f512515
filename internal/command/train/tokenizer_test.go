package train_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/tokenizer"
	"caldera/internal/commandtest"
)

const allFiles = "merges.txt tokenizer.json vocab.json"

// TestTokenizer trains on the same text, wherever it comes from.
func TestTokenizer(t *testing.T) {
	dir := t.TempDir()
	text := read(t, sample)
	parts := []string{text[:9000], text[9000:15000], text[15000:]} // in ASCII
	write(t, filepath.Join(dir, "texts", "a.txt"), parts[0])
	write(t, filepath.Join(dir, "texts", "deep", "er", "b.TXT"), parts[1])
	other := write(t, filepath.Join(dir, "other.md"), parts[2])
	write(t, filepath.Join(dir, "texts", "deep", "notes.md"), "zzz zzz zzz zzz")
	all := strings.Join(parts, "<|endoftext|>")
	var want string
	for i, c := range []struct {
		stdin string
		args  []string
	}{
		{all, nil},
		{all, []string{"-"}},
		{parts[2], []string{filepath.Join(dir, "texts"), "-"}},
		{"unread", []string{other, filepath.Join(dir, "texts")}},
		{"", []string{filepath.Join(dir, "texts", "a.txt"), other, filepath.Join(dir, "texts", "deep")}},
	} {
		out := filepath.Join(dir, "out"+string(rune('0'+i)))
		if said := train(t, c.stdin, append(c.args, "-o", out, "--vocab-size=1000")...); said != out+": 1000 tokens\n" {
			t.Errorf("it says %q", said)
		}
		if got := names(t, out); got != allFiles {
			t.Errorf("it writes %q", got)
		}
		got := read(t, filepath.Join(out, "tokenizer.json")) + read(t, filepath.Join(out, "vocab.json")) + read(t, filepath.Join(out, "merges.txt"))
		if i == 0 {
			want = got
		}
		if got != want {
			t.Errorf("%q makes another tokenizer", c.args)
		}
	}
	tok := load(t, filepath.Join(dir, "out0"))
	ids, err := tok.Encode(text+"<|endoftext|>", tokenizer.AllowSpecial)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := tok.Decode(ids); err != nil || back != text+"<|endoftext|>" || ids[len(ids)-1] != 999 || len(ids) > len(text)/2 {
		t.Errorf("%d bytes are %d tokens, the last of them %d, and come back as %.80q, %v", len(text), len(ids), ids[len(ids)-1], back, err)
	}
}

func TestTokenizerOptions(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if said := train(t, "ab ab ab cd cd", "-o", out, "--min-frequency=3"); said != out+": 258 tokens, not 8192: no other pair is there 3 times\n" {
		t.Errorf("it says %q", said)
	}
	if v := load(t, out).Vocabulary(); len(v.Merges) != 1 || v.Merges[0] != [2]string{"a", "b"} {
		t.Errorf("merges %q, expected a b, which is there 3 times", v.Merges)
	}
	write(t, filepath.Join(out, "config.json"), "{}")
	train(t, "ab ab ab cd cd", "-o", out, "--force", "--special=<pad>", "--special", "<a,b>")
	if v := load(t, out).Vocabulary(); !slices.Equal(v.Tokens[len(v.Tokens)-2:], []string{"<pad>", "<a,b>"}) || len(v.Added) != 2 {
		t.Errorf("tokens %q, added %v", v.Tokens[256:], v.Added)
	}
	if got := names(t, out); got != "config.json "+allFiles {
		t.Errorf("then there are %q", got)
	}
	train(t, "ab", "-o", out, "--force", "--special=", "--vocab-size=256")
	if v := load(t, out).Vocabulary(); len(v.Tokens) != 256 || len(v.Added) != 0 {
		t.Errorf("%d tokens, added %v", len(v.Tokens), v.Added)
	}
	// What the old tokenizer had beside it goes, and what a killed command left.
	for _, name := range []string{"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"} {
		path := write(t, filepath.Join(dir, "stale", name), `{"add_eos_token": true}`)
		wantFailure(t, run(t, command("ab", "-o", filepath.Dir(path))), 1, name+" is there already")
		write(t, filepath.Join(dir, "stale", ".train-123", "merges.txt"), "")
		train(t, "ab", "-o", filepath.Dir(path), "--force")
		if got := names(t, filepath.Dir(path)); got != allFiles {
			t.Errorf("of %s and a new tokenizer there are %q", name, got)
		}
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
	}
	// A file of its own beside others.
	write(t, filepath.Join(dir, "model", "config.json"), "{}")
	train(t, "ab", "-o", filepath.Join(dir, "model"))
	if got := names(t, filepath.Join(dir, "model")); got != "config.json "+allFiles {
		t.Errorf("in the directory of a model there are %q", got)
	}
}

func TestCharacters(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if said := train(t, "beé", "--char", "-o", out); said != out+": 6 tokens\n" { // b e é, the two bytes of é, <|endoftext|>
		t.Errorf("it says %q", said)
	}
	tok := load(t, out)
	if ids, err := tok.Encode("ébé"); err != nil || !slices.Equal(ids, []int{2, 0, 2}) {
		t.Errorf("ids %v, %v", ids, err)
	}
	if _, err := tok.Encode("ba"); err == nil || !strings.Contains(err.Error(), "byte 0x61 at offset 1") {
		t.Errorf("a character that the text lacks: error %v", err)
	}
}

func TestUsageErrors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{nil, []string{"--output", "--help"}},
		{[]string{"-o", ""}, []string{"--output is empty"}},
		{[]string{"-o", out, "--nope"}, []string{"unknown flag --nope"}},
		{[]string{"-o", out, "--vocab-size=256"}, []string{"--vocab-size=256: expected 257, for 256 bytes and the special tokens, to 1048576"}},
		{[]string{"-o", out, "--vocab-size", "-5"}, []string{"--vocab-size=-5"}},
		{[]string{"-o", out, "--vocab-size=0"}, []string{"--vocab-size=0"}},
		{[]string{"-o", out, "--vocab-size=1048577"}, []string{"--vocab-size=1048577"}},
		{[]string{"-o", out, "--vocab-size=many"}, []string{"--vocab-size", "many"}},
		{[]string{"-o", out, "--min-frequency=0"}, []string{"--min-frequency=0: expected 1 or more"}},
		{[]string{"-o", out, "--min-frequency", "-1"}, []string{"--min-frequency=-1"}},
		{[]string{"-o", out, "--char", "--vocab-size=300"}, []string{"--char", "--vocab-size"}},
		{[]string{"-o", out, "--char", "--min-frequency=3"}, []string{"--char", "--min-frequency"}},
		{[]string{"-o", out, "--special=a"}, []string{"--special", `"a" could be the name of an ordinary token`}},
		{[]string{"-o", out, "--special=<a>", "--special=<a>"}, []string{`"<a>" is there twice`}},
		{[]string{"-o", out, "--special=<a>", "--special="}, []string{"--special", "is empty"}},
		{[]string{"-o", out, "--special=<\xff>"}, []string{"not valid UTF-8"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			wantFailure(t, run(t, command("text", c.args...)), 2, c.parts...)
		})
	}
	wantFailure(t, run(t, exec.Command(trainBinary)), 2, "tokenizer", "--help")
	wantFailure(t, run(t, exec.Command(trainBinary, "tokens")), 2, "tokens", "--help")
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}

// TestFailures gives it what cannot be read, or written.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return write(t, filepath.Join(dir, name), text) }
	good := file("good.txt", "good text")
	for _, name := range []string{"1/vocab.json", "2/merges.txt", "3/tokenizer.json"} {
		file(name, "{}")
	}
	long := strings.Repeat("word ", 1<<19)
	out := filepath.Join(dir, "out")
	for _, c := range []struct {
		name, stdin string
		args        []string
		parts       []string
	}{
		{"missing", "", []string{filepath.Join(dir, "none.txt")}, []string{"none.txt", "no such file"}},
		{"one missing", "", []string{good, filepath.Join(dir, "none.txt")}, []string{"none.txt", "no such file"}},
		{"empty file", "", []string{file("empty.txt", "")}, []string{"empty.txt", "there is no text"}},
		{"empty files", "", []string{file("empty1.txt", ""), file("empty2.txt", "<|endoftext|>")}, []string{"empty1.txt and 1 more: there is no text"}},
		{"empty input", "", []string{"--char"}, []string{"standard input: there is no text"}},
		{"directory without texts", "", []string{filepath.Join(dir, "1")}, []string{filepath.Join(dir, "1"), "has no files *.txt"}},
		{"Latin-1", "", []string{good, file("latin1.txt", "un caf\xe9")}, []string{"latin1.txt: byte 6 is 0xe9, expected UTF-8", "iconv"}},
		{"UTF-16", "", []string{file("utf16.txt", "\xff\xfea\x00")}, []string{"utf16.txt: byte 0 is 0xff"}},
		{"far in a directory", "", []string{filepath.Dir(file("far/far.txt", long+"\x80"+long))}, []string{"far.txt: byte 2621440 is 0x80"}},
		{"input", "ok \xc3", nil, []string{"standard input: byte 3 is 0xc3"}},
		{"no text at all", "", []string{file("zero.txt", strings.Repeat("\x00", 17<<20))}, []string{"zero.txt: more than 16 MiB from byte 0 on"}},
		{"no end", "", []string{"/dev/zero"}, []string{"/dev/zero: more than 16 MiB"}},
		{"no directory", "", []string{good, "-o", filepath.Join(dir, "none", "out")}, []string{"none", "no such file or directory"}},
		{"file there", "", []string{good, "-o", good}, []string{good, "is no directory"}},
		{"file there, forced", "", []string{good, "-o", good, "--force"}, []string{good, "is no directory"}},
		{"vocabulary there", "", []string{good, "-o", filepath.Join(dir, "1")}, []string{"vocab.json is there already", "--force"}},
		{"merges there", "", []string{good, "-o", filepath.Join(dir, "2")}, []string{"merges.txt is there already", "--force"}},
		{"tokenizer there", "", []string{good, "-o", filepath.Join(dir, "3")}, []string{"tokenizer.json is there already", "--force"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.name, "no end") && runtime.GOOS == "windows" {
				t.Skip("/dev/zero is a device of Unix")
			}
			args := c.args
			if !slices.Contains(args, "-o") {
				args = append(args, "-o", out)
			}
			wantFailure(t, run(t, command(c.stdin, args...)), 1, c.parts...)
		})
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
	if got := names(t, filepath.Join(dir, "1")) + read(t, filepath.Join(dir, "1", "vocab.json")); got != "vocab.json{}" {
		t.Errorf("what was there is now %q", got)
	}
}

// TestDiskFull writes to a disk that is smaller than the files.
func TestDiskFull(t *testing.T) {
	script := `mount -t tmpfs -o size=48k tmpfs "$2" && mkdir "$2/old" && echo old >"$2/old/vocab.json" &&
		{ "$1" tokenizer --force -o "$2/old" <"$3"; "$1" tokenizer -o "$2/new" <"$3"; ls -A "$2" "$2/old"; cat "$2/old/vocab.json"; }`
	dir := t.TempDir()
	r := run(t, commandtest.SmallDisk(t, script, trainBinary, dir, sample))
	if want := dir + ":\nold\n\n" + dir + "/old:\nvocab.json\nold\n"; r.Out != want {
		t.Errorf("what is there then: %q, expected %q", r.Out, want)
	}
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, "train: ") || !strings.HasSuffix(line, "no space left on device") {
			t.Errorf("standard error has %q", line)
		}
	}
	if len(lines) != 2 {
		t.Errorf("standard error has %q, expected a line for each", lines)
	}
}

// TestInterrupt sends Ctrl-C while it waits for text, and while text comes
// without end.
func TestInterrupt(t *testing.T) {
	// More than a pipe holds: once it is written, reading has begun.
	text := strings.Repeat("a word ", 1<<16)
	for name, feed := range map[string]func(w io.Writer, interrupt func()){
		"waiting": func(w io.Writer, interrupt func()) {
			io.WriteString(w, text)
			interrupt()
		},
		"endless": func(w io.Writer, interrupt func()) {
			for i := 0; ; i++ {
				if _, err := io.WriteString(w, text); err != nil {
					return
				}
				if i == 10 {
					interrupt()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			cmd := exec.Command(trainBinary, "tokenizer", "-o", out)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			cmd.Stdin = r
			go feed(w, func() { cmd.Process.Signal(os.Interrupt) })
			wantFailure(t, run(t, cmd), 130, "interrupted")
			r.Close()
			if _, err := os.Stat(out); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func TestHelp(t *testing.T) {
	r := run(t, exec.Command(trainBinary, "tokenizer", "--help"))
	for _, part := range []string{"--vocab-size", "(8192)", "--min-frequency", "(2)", "--char", "--special", "<|endoftext|>", "-o, --output", "--force", "standard input", "*.txt"} {
		if !strings.Contains(r.Out, part) {
			t.Errorf("--help lacks %s", part)
		}
	}
	for _, line := range strings.Split(r.Out, "\n") {
		if len(line) > 120 || strings.Contains(line, "${") {
			t.Errorf("line %q", line)
		}
	}
}
