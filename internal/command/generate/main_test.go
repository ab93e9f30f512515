package generate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/devicetest"
)

// program is the command, built once for all tests, which run it as a user does.
var program string

func TestMain(m *testing.M) {
	os.Exit(commandtest.Main(m, func(folder string) error {
		program = filepath.Join(folder, "generate")
		return build(program)
	}))
}

func build(path string, env ...string) error {
	return commandtest.Build(path, "caldera/cmd/generate", env...)
}

// command is one call of the command, with no input and no terminal.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	return cmd
}

type result = commandtest.Result

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	return commandtest.Run(t, cmd)
}

// generate runs the command on the CPU and expects it to succeed.
func generate(t *testing.T, args ...string) result {
	t.Helper()
	r := run(t, command(t, append([]string{"--backend=cpu"}, args...)...))
	if r.Code != 0 {
		t.Fatalf("%q: exit code %d: %s", args, r.Code, r.Stderr)
	}
	return r
}

// wantFailure expects an exit code, nothing on standard output, and one line on
// standard error beside that which tells the device.
func wantFailure(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit code %d, expected %d", r.Code, code)
	}
	if r.Out != "" {
		t.Errorf("standard output has %q, expected nothing", r.Out)
	}
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	for len(lines) > 1 && (deviceLine(lines[0]) || regexp.MustCompile(`^(seeds?: |answer )`).MatchString(lines[0])) {
		lines = lines[1:]
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "generate: ") {
		t.Errorf("standard error has %q, expected one line of generate", r.Stderr)
	}
	for _, part := range parts {
		if !strings.Contains(lines[0], part) {
			t.Errorf("%q lacks %q", lines[0], part)
		}
	}
}

func deviceLine(s string) bool {
	s = strings.TrimPrefix(s, "warning: ")
	return strings.HasPrefix(s, "cpu:0: ") || strings.HasPrefix(s, "vulkan:")
}

const prompt = "It is a truth universally acknowledged"

// austen is how the embedded model goes on, taking the likeliest token each time.
const austen = prompt + ". I am sure you will be very much obliged to you, and I am sure you will be very much obliged"

// TestText expects the same text of every device, and of every way to give the
// prompt, with nothing else on standard output.
func TestText(t *testing.T) {
	devicetest.UseTestDrivers(t)
	for _, c := range []struct {
		device []string
		tokens string
		want   string
	}{
		{[]string{"--backend=cpu"}, "23", austen},
		{[]string{"--backend=auto"}, "23", austen},
		{[]string{"--backend=vulkan", "--device=llvmpipe"}, "23", austen},
		// The best device, and a driver that takes its time.
		{[]string{"--backend=vulkan"}, "3", prompt + ". I am"},
		{[]string{"--backend=vulkan", "--device=SwiftShader"}, "8", prompt + ". I am sure you will be very"},
	} {
		device := c.device
		t.Run(strings.Join(device, " "), func(t *testing.T) {
			t.Parallel()
			r := run(t, command(t, append(device, "--temp=0", "-n", c.tokens, prompt)...))
			if r.Code != 0 || r.Out != c.want+"\n" {
				t.Errorf("exit code %d, text %q; expected 0, %q\n%s", r.Code, r.Out, c.want+"\n", r.Stderr)
			}
			if device, seed, _ := strings.Cut(r.Stderr, "\n"); !deviceLine(device) || !regexp.MustCompile(`^seed: \d+\n$`).MatchString(seed) {
				t.Errorf("standard error has %q, expected a line that tells the device and one with the seed", r.Stderr)
			}
			if warned := strings.HasPrefix(r.Stderr, "warning: "); warned != (device[0] == "--backend=vulkan") {
				t.Errorf("standard error has %q: a software driver is worth a warning, the CPU is not", r.Stderr)
			}
		})
	}
}

func TestPromptSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompt.txt")
	if err := os.WriteFile(file, []byte(prompt+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		stdin string
	}{
		"-p":       {[]string{"-p", prompt}, "not this"},
		"--prompt": {[]string{"--prompt=" + prompt}, ""},
		"word":     {[]string{prompt}, ""},
		"after --": {[]string{"--", prompt}, ""},
		"words":    {strings.Fields(prompt), "nor this"},
		"-f":       {[]string{"-f", file}, "nor this"},
		"stdin":    {nil, prompt + "\n"},                   // as echo writes it
		"CRLF":     {[]string{"-f", "-"}, prompt + "\r\n"}, // as editors on Windows write it
		"-f -":     {[]string{"-f", "-"}, prompt},
		"--tokens": {[]string{"--tokens", tokensOf(t, prompt)}, "nor this"},
	} {
		cmd := command(t, append([]string{"--backend=cpu", "--temp=0", "-n", "23"}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		if r := run(t, cmd); r.Code != 0 || r.Out != austen+"\n" {
			t.Errorf("%s: exit code %d, text %q, expected %q\n%s", name, r.Code, r.Out, austen, r.Stderr)
		}
	}
	// One newline is not the prompt's; a second one is, and so is any other \r.
	for given, meant := range map[string]string{"\n\n": "\n", "\r\n\r\n": "\r\n", "\n\r\n": "\n", "\r": "\r", "\r\r\n": "\r"} {
		cmd := command(t, "--backend=cpu", "-n", "1", "--json")
		cmd.Stdin = strings.NewReader(prompt + given)
		if got, want := parse(t, run(t, cmd).Out).PromptIDs, jsonOf(t, "-n", "1", prompt+meant).PromptIDs; !slices.Equal(got, want) {
			t.Errorf("a prompt and %q are read as %v, expected %v", given, got, want)
		}
	}
	if r := generate(t, "--temp=0", "-n", "23", "--no-display-prompt", prompt); r.Out != strings.TrimPrefix(austen, prompt)+"\n" {
		t.Errorf("without the prompt: %q", r.Out)
	}
}

// TestNoPrompt lets the model begin a text of its own.
func TestNoPrompt(t *testing.T) {
	want := generate(t, "--temp=0", "-n", "9", "--special", "<|endoftext|>").Out
	if got := generate(t, "--temp=0", "-n", "9").Out; got != want || len(got) < 9 {
		t.Errorf("without a prompt %q, after the token that begins a text %q", got, want)
	}
	cmd := command(t, "--backend=cpu", "--temp=0", "-n", "9", "-p", "")
	cmd.Stdin = strings.NewReader("not this")
	if r := run(t, cmd); r.Out != want {
		t.Errorf("with an empty prompt %q, expected %q", r.Out, want)
	}
}

// TestUnicode gives it text of other scripts than it was trained on.
func TestUnicode(t *testing.T) {
	const text = "naïve — 世界 👩‍🚀 \U0001F1E9\U0001F1EA\ttab"
	if got := generate(t, "-n", "1", "--temp=0", text).Out; !strings.HasPrefix(got, text) {
		t.Errorf("the prompt %q came back as %q", text, got)
	}
}
