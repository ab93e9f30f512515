package generate_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "latin1.txt")
	if err := os.WriteFile(file, []byte("caf\xe9"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"--nope"}, []string{"unknown flag --nope", "--help"}},
		{[]string{"--backend=metal"}, []string{"--backend", `"metal"`, `"cpu"`, `"vulkan"`}},
		{[]string{"--device=1"}, []string{"--device=1", "an index goes with a backend"}},
		{[]string{"--dtype=q3"}, []string{"--dtype", `"q3"`, `"f16"`}},
		{[]string{"-p", "a", "-f", "b"}, []string{"--prompt", "--file"}},
		{[]string{"-p", "a", "--tokens", "1"}, []string{"--prompt", "--tokens"}},
		{[]string{"a", "-p", "b"}, []string{"two prompts"}},
		{[]string{"a", "--tokens", "1"}, []string{"two prompts"}},
		{[]string{"a", "--prompts", file}, []string{"two prompts"}},
		{[]string{"-p", "a", "--prompts", file}, []string{"--prompt ", "--prompts"}},
		{[]string{"--json-stream", "--prompts", file}, []string{"--json-stream", "--prompts"}},
		{[]string{"--parallel=513"}, []string{"--parallel=513", "1 to 512"}},
		{[]string{"-n", "0"}, []string{"--predict=0", "expected 1 to"}},
		{[]string{"-n", "-5"}, []string{"--predict=-5", "-1 for no limit"}},
		{[]string{"-n", "3000000000"}, []string{"--predict=3000000000", "expected 1 to 2147483647"}},
		{[]string{"-n", "99999999999999999999"}, []string{"--predict"}},
		{[]string{"-c", "-1"}, []string{"--ctx-size=-1"}},
		{[]string{"-c", "257"}, []string{"--ctx-size=257", "256"}},
		{[]string{"-t", "-1"}, []string{"--threads=-1", "1 to 4096"}},
		{[]string{"-t", "5000"}, []string{"--threads=5000"}},
		{[]string{"--seed=-7"}, []string{"--seed=-7"}},
		{[]string{"--seed=18446744073709551616"}, []string{"--seed"}},
		{[]string{"--top-k=-1"}, []string{"--top-k: found -1"}},
		{[]string{"--repeat-last-n=-2"}, []string{"--repeat-last-n: found -2"}},
		{[]string{"-p"}, []string{"--prompt"}},
		{[]string{"--tokens", "1,,2"}, []string{"--tokens", `""`}},
		{[]string{"--tokens", ""}, []string{"--tokens is empty"}},
		{[]string{"--tokens", "5,x"}, []string{`"x"`, "0 to 2047"}},
		{[]string{"--tokens", "-1"}, []string{`"-1"`, "0 to 2047"}},
		{[]string{"--tokens", "2048"}, []string{`"2048"`, "0 to 2047"}},
		{[]string{"--tokens", "99999999999999999999"}, []string{"0 to 2047"}},
		{[]string{"caf\xe9"}, []string{"argument 2, ", "is not valid UTF-8", "byte 3 is 0xe9"}},
		{[]string{"-f", file}, []string{file, "not valid UTF-8", "byte 3 is 0xe9"}},
		{[]string{"-p", "\xff\xfe"}, []string{"byte 0 is 0xff"}},
		{[]string{"--min-p=2"}, []string{"--min-p: found 2, expected 0 (off) to 1"}},
		{[]string{"--temp=-1"}, []string{"--temperature: found -1"}},
		{[]string{"--top-p=-0.5"}, []string{"--top-p: found -0.5, expected 0 (the likeliest token alone) to 1 (off)"}},
		{[]string{"--repeat-penalty=0"}, []string{"--repeat-penalty: found 0, expected a finite number above 0; 1 is off"}},
		{[]string{"--repeat-penalty=inf"}, []string{"--repeat-penalty: found +Inf, expected a finite number above 0; 1 is off"}},
	} {
		r := run(t, command(t, append([]string{"--backend=cpu"}, c.args...)...))
		if c.args[0] == "--device=1" {
			r = run(t, command(t, c.args...))
		}
		t.Run(strings.Join(c.args, " "), func(t *testing.T) { wantFailure(t, r, 2, c.parts...) })
	}
	// Every number refuses what is none, and every bounded one what is beyond.
	for flag, bad := range map[string][]string{
		"temp":           {"NaN", "-1", "Inf", "1e999"},
		"top-p":          {"NaN", "-1", "7", "1e300"},
		"min-p":          {"NaN", "-1", "7", "-Inf"},
		"repeat-penalty": {"NaN", "-1", "0", "Inf"},
		"top-k":          {"-1", "1.5", "1e3"},
		"repeat-last-n":  {"-2", "1.5"},
		"seed":           {"-2", "1.5"},
		"predict":        {"0", "-2", "1.5"},
		"ctx-size":       {"-1", "1.5", "100000"},
		"parallel":       {"0", "-1", "513", "1.5"},
		"threads":        {"-1", "1.5", "100000"},
	} {
		for _, value := range append(bad, "abc", "", "99999999999999999999x") {
			for _, args := range [][]string{{"--" + flag + "=" + value}, {"--" + flag, value}} {
				r := run(t, command(t, append([]string{"--backend=cpu", "-p", "hi"}, args...)...))
				t.Run(strings.Join(args, " "), func(t *testing.T) { wantFailure(t, r, 2) })
			}
		}
	}
}

func TestFailures(t *testing.T) {
	empty := t.TempDir()
	long := filepath.Join(empty, "long.txt")
	if err := os.WriteFile(long, []byte(strings.Repeat("word ", 300)), 0o666); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(empty, "endless.txt")
	if err := os.WriteFile(huge, bytes.Repeat([]byte("a"), 2<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	for name, text := range map[string]string{"config.json": "{", "model.safetensors": ""} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"-m", "/nonexistent"}, []string{"/nonexistent", "no such file"}},
		{[]string{"-m", long}, []string{long, "expected a directory"}},
		{[]string{"-m", empty}, []string{empty, "config.json"}},
		{[]string{"-m", broken}, []string{broken, "config.json"}},
		{[]string{"-f", "/nonexistent"}, []string{"/nonexistent", "no such file"}},
		{[]string{"-f", empty}, []string{empty, "is a directory"}},
		{[]string{"--prompts", "/nonexistent"}, []string{"/nonexistent", "no such file"}},
		{[]string{"--prompts", empty}, []string{empty, "is a directory"}},
		{[]string{"-f", long}, []string{"the prompt has", "the context holds 256", "shorten it"}},
		{[]string{"-f", huge}, []string{"the prompt has 2097152 bytes, which are at least ", "the context holds 256", "shorten it"}},
		{[]string{"-c", "4", prompt}, []string{"the context holds 4", "can hold 256"}},
		{[]string{"--device=777777", "hi"}, []string{`no device "777777"`, "0 ("}},
		{[]string{"--device=geforce", "hi"}, []string{`no device "geforce"`}},
		{[]string{"-f", "/dev/zero"}, []string{"/dev/zero is longer than 67108864 bytes"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			wantFailure(t, run(t, command(t, append([]string{"--backend=cpu"}, c.args...)...)), 1, c.parts...)
		})
	}
}

// TestNoDriver points Vulkan's loader nowhere.
func TestNoDriver(t *testing.T) {
	t.Setenv("VK_DRIVER_FILES", "/nonexistent")
	wantFailure(t, run(t, command(t, "--backend=vulkan", prompt)), 1, "backend vulkan: ", "driver")
	wantFailure(t, run(t, command(t, "--backend=vulkan", "--device=0", prompt)), 1, "backend vulkan: ")
	r := run(t, command(t, "--backend=auto", "--temp=0", "-n", "23", prompt))
	if r.Code != 0 || r.Out != austen+"\n" || !strings.HasPrefix(r.Stderr, "cpu:0: ") {
		t.Errorf("--backend=auto: exit code %d, text %q\n%s", r.Code, r.Out, r.Stderr)
	}
}

// TestWithoutCgo builds the command for machines without a C compiler.
func TestWithoutCgo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "generate")
	if err := build(path, "CGO_ENABLED=0"); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "--backend=cpu", "--temp=0", "-n", "23", prompt)
	cmd.Path = path
	if r := run(t, cmd); r.Code != 0 || r.Out != austen+"\n" {
		t.Errorf("exit code %d, text %q\n%s", r.Code, r.Out, r.Stderr)
	}
	cmd = command(t, "--backend=vulkan", prompt)
	cmd.Path = path
	wantFailure(t, run(t, cmd), 1, "backend vulkan: ", "cgo")
}

// endless is a call that writes until it is stopped.
func endless(args ...string) []string {
	return append([]string{"--backend=cpu", "--ignore-eos", "-n", "2000000000", "--temp=0"}, args...)
}

// TestReaderLeaves is generate | head -1.
func TestReaderLeaves(t *testing.T) {
	for _, args := range [][]string{
		endless(prompt),
		endless(prompt, "--verbose"),
		endless(prompt, "-n", "-1"),
		endless(prompt, "--parallel=2"),
		endless("-m", "../../../gpt/testdata/gpt2-tiny", "--tokens=1"),
	} {
		cmd := command(t, args...)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		go func() {
			io.ReadFull(r, make([]byte, 2000)) // more than a context
			r.Close()
		}()
		got := run(t, cmd) // to an end that comes only because the reader has left
		w.Close()
		stderr := regexp.MustCompile(`(?m)^(cpu:0|generate: (answer .: )?the context of|seeds?:|answer|load|prompt|decode) .*\n`).ReplaceAllString(got.Stderr, "")
		if stderr = strings.TrimPrefix(stderr, strings.SplitAfter(stderr, "\n")[0]); got.Code != 0 || stderr != "" {
			t.Errorf("%q: exit code %d, standard error %q, expected it to end quietly", args, got.Code, got.Stderr)
		}
	}
}

func TestDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is a device of Linux")
	}
	for _, args := range [][]string{{prompt}, {"--json", "-n", "2", prompt}, {"--parallel=2", prompt}, {"-n", "2", "--prompts=main_test.go"}, {"--list-devices"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, append([]string{"--backend=cpu"}, args...)...)
		cmd.Stdout = full
		r := run(t, cmd)
		full.Close()
		if args[0] == "--list-devices" { // a backend without devices tells why
			r.Stderr = r.Stderr[max(0, strings.Index(r.Stderr, "generate: ")):]
		}
		wantFailure(t, r, 1, "no space left on device")
	}
}

// TestInterrupt sends Ctrl-C in the middle of a text.
func TestInterrupt(t *testing.T) {
	cmd := command(t, endless(prompt)...)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	var text strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		reader := bufio.NewReader(out)
		head := make([]byte, len(austen))
		io.ReadFull(reader, head)
		cmd.Process.Signal(os.Interrupt)
		text.Write(head)
		io.Copy(&text, reader)
	}()
	r := run(t, cmd)
	w.Close()
	<-done
	if r.Code != 130 || !strings.HasSuffix(r.Stderr, "generate: interrupted\n") {
		t.Errorf("exit code %d, standard error %q", r.Code, r.Stderr)
	}
	if !strings.HasPrefix(text.String(), austen) || !strings.HasSuffix(text.String(), "\n") {
		t.Errorf("what was written is %q, expected a line that begins with %q", text.String(), austen)
	}
}

// TestInterruptWhileWaiting sends Ctrl-C while it waits for a prompt.
func TestInterruptWhileWaiting(t *testing.T) {
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd := command(t, "--backend=cpu")
	cmd.Stdin = in
	go func() {
		// More than a pipe holds: once it is written, reading has begun.
		io.WriteString(w, strings.Repeat(prompt, 10_000))
		cmd.Process.Signal(os.Interrupt)
	}()
	wantFailure(t, run(t, cmd), 130, "interrupted")
}

// TestInterruptWhileLoading sends Ctrl-C while it converts 2 GB of weights, of
// which the last one would be an error.
func TestInterruptWhileLoading(t *testing.T) {
	cmd := command(t, "--backend=cpu", "-m", sparse(t, 8, 300, 1<<12, 1<<16), "--dtype=f16", "--tokens=1")
	var stderr bytes.Buffer
	cmd.Stderr = io.MultiWriter(&stderr, &firstLine{do: func() { cmd.Process.Signal(os.Interrupt) }})
	r := run(t, cmd)
	r.Stderr = stderr.String()
	wantFailure(t, r, 130, "interrupted")
}

// firstLine does something once a line has been written. The line that tells
// the device comes before the model is loaded.
type firstLine struct {
	once sync.Once
	do   func()
}

func (f *firstLine) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("\n")) {
		f.once.Do(f.do)
	}
	return len(p), nil
}

// TestInterruptJSON reports what there was.
func TestInterruptJSON(t *testing.T) {
	// How long the first tokens take depends on what else the machine does.
	for wait := 500 * time.Millisecond; ; wait *= 2 {
		cmd := command(t, endless(prompt, "--json")...)
		cmd.Stderr = &firstLine{do: func() {
			time.AfterFunc(wait, func() { cmd.Process.Signal(os.Interrupt) })
		}}
		r := run(t, cmd)
		a := parse(t, r.Out)
		if len(a.IDs) < 23 && wait < commandtest.Patience/4 {
			continue
		}
		if r.Code != 130 || a.Stop != "interrupted" || !strings.HasPrefix(prompt+a.Text, austen) || len(a.IDs) != len(a.LogProbs) {
			t.Errorf("exit code %d, stopped for %q, %d ids, text %.200q", r.Code, a.Stop, len(a.IDs), a.Text)
		}
		return
	}
}
