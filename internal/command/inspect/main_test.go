package inspect

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/devicetest"
)

// program is the command, built once for all tests, which run it as a user does.
var program string

func TestMain(m *testing.M) {
	os.Exit(commandtest.Main(m, func(folder string) error {
		program = filepath.Join(folder, "inspect")
		return commandtest.Build(program, "caldera/cmd/inspect")
	}))
}

// run is one call of the command.
func run(t *testing.T, args ...string) commandtest.Result {
	t.Helper()
	return commandtest.Run(t, exec.Command(program, args...))
}

func wantFailure(t *testing.T, r commandtest.Result, code int, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if r.Code != code || r.Out != "" || !strings.HasPrefix(last, "inspect: ") {
		t.Errorf("exit code %d, expected %d; output %q; standard error %q", r.Code, code, r.Out, r.Stderr)
	}
	for _, part := range parts {
		if !strings.Contains(last, part) {
			t.Errorf("%q does not say %q", last, part)
		}
	}
}

// TestTally counts GPT-3 to the digit, without a device, and GPT-2 from its file.
func TestTally(t *testing.T) {
	r := run(t, "tally", "--shape=gpt3")
	if r.Code != 0 || r.Stderr != "" || !strings.Contains(r.Out, "all kinds                   27,938                     175,181,291,520") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Stderr)
	}
	r = run(t, "tally", "-m", "../../../gpt/testdata/llama-grouped", "--json")
	var a struct{ Result struct{ Parameters int } }
	if err := json.Unmarshal([]byte(r.Out), &a); err != nil || a.Result.Parameters != 101*48+2*(48*48*2+2*16*48+3*80*48+2*48)+48 {
		t.Errorf("%+v, %v\n%s", a, err, r.Stderr)
	}
	wantFailure(t, run(t, "tally", "--shape=gpt9"), 2, `"gpt9"`, "gpt3")
	wantFailure(t, run(t, "tally", "--shape=gpt3", "-m", "x"), 2, "--shape=gpt3", "--model=x")
	if r := run(t, "tally", "gpt3"); r.Code != 2 || !strings.Contains(r.Stderr, `unexpected argument "gpt3"; see inspect tally --help`) {
		t.Errorf("an argument that it does not take: exit code %d, %s", r.Code, r.Stderr)
	}
	wantFailure(t, run(t, "tally", "-m", "/nonexistent"), 1, "/nonexistent")
}

// TestOutputs writes each kind of file, and nothing where there is none.
func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	for name, begins := range map[string]string{"a.svg": "<?xml", "a.png": "\x89PNG", "a.csv": "kind,matrices", "a.JSON": `{"view":"tally"`} {
		path := filepath.Join(dir, name)
		r := run(t, "tally", "-o", path)
		got, err := os.ReadFile(path)
		if err != nil || r.Code != 0 || r.Out != "" || !strings.HasPrefix(string(got), begins) || r.Stderr != "wrote "+path+"\n" {
			t.Errorf("%s: exit code %d, %v, %.20q\n%s", name, r.Code, err, got, r.Stderr)
		}
	}
	missing := filepath.Join(dir, "no", "a.svg")
	wantFailure(t, run(t, "tally", "-o", missing), 1, missing)
	wantFailure(t, run(t, "tally", "-o", "a.txt"), 2, "a.txt", ".svg, .png, .csv or .json")
	wantFailure(t, run(t, "tally", "--json", "-o", "a.json"), 2, "--json")
	wantFailure(t, run(t, "tokens", "--backend=cpu", "-o", "a.svg", "x"), 2, "no picture of tokens")
	wantFailure(t, run(t, "embed", "--backend=cpu", "--nearest=0", "-o", "a.svg", "he"), 2, "no map of one word")
	if _, err := os.Stat("a.svg"); err == nil {
		t.Error("a file was written for a picture that there is not")
	}
}

// TestActivationsWarning: where --activations=f16 rounds nothing, that is said once, and why.
func TestActivationsWarning(t *testing.T) {
	for _, c := range []struct{ activations, dtype, want string }{
		{"f16", "f16", "inspect: warning: --activations=f16 is as f32: inspect never rounds to f16, so that a text gives the same numbers on every device\n"},
		{"f16", "f32", "inspect: warning: --activations=f16 is as f32, for the matrices are f32: see --dtype\n"},
		{"q8_0", "f16", "inspect: warning: --activations=q8_0 is as f32, for the matrices are f16: see --dtype\n"},
		{"q8_0", "q8_0", ""}, {"auto", "f16", ""},
	} {
		r := run(t, "tokens", "--backend=cpu", "--activations="+c.activations, "--dtype="+c.dtype, "It")
		lines := 0
		if c.want != "" {
			lines = 1
		}
		if r.Code != 0 || strings.Count(r.Stderr, "warning") != lines || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("--activations=%s --dtype=%s: exit code %d, expected %q:\n%s", c.activations, c.dtype, r.Code, c.want, r.Stderr)
		}
	}
}

// TestTexts takes a text from each place where there may be one.
func TestTexts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte("It is\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	want := run(t, "tokens", "--backend=cpu", "It is").Out
	for _, args := range [][]string{{"It", "is"}, {"-f", file}, {"--tokens=1028,363"}} {
		if r := run(t, append([]string{"tokens", "--backend=cpu"}, args...)...); r.Code != 0 || r.Out != want || want == "" {
			t.Errorf("%q: exit code %d, %s%s", args, r.Code, r.Out, r.Stderr)
		}
	}
	cmd := exec.Command(program, "tokens", "--backend=cpu")
	cmd.Stdin = strings.NewReader("It is\r\n")
	if r := commandtest.Run(t, cmd); r.Code != 0 || r.Out != want {
		t.Errorf("standard input: exit code %d, %s%s", r.Code, r.Out, r.Stderr)
	}
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zeros.Close()
	cmd = exec.Command(program, "tokens", "--backend=cpu")
	cmd.Stdin = zeros
	wantFailure(t, commandtest.Run(t, cmd), 1, "standard input is longer than 67108864 bytes")
	if err := os.WriteFile(file, []byte("caf\xe9"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{2, []string{"-f", file}, "not valid UTF-8"}, {2, []string{"-f", file, "a"}, "another text"}, {1, []string{"-f", file + "x"}, "no such file"},
		{2, []string{"--tokens=2048"}, "0 to 2047"}, {2, []string{"--tokens=1", "a"}, "both a text and tokens"}, {2, []string{"caf\xe9"}, "not valid UTF-8"},
		{2, []string{strings.Repeat("word ", 400)}, "the model's context holds 256"}, {2, []string{strings.Repeat("a", 100_000)}, "the model's context holds 256"},
		{1, []string{"-m", "/nonexistent", "a"}, "/nonexistent"}, {2, []string{"--backend=metal", "a"}, `"metal"`}, {1, []string{"--compare=nothing", "a"}, `--compare=nothing: `},
	} {
		if c.args[0] != "--backend=metal" {
			c.args = append([]string{"--backend=cpu"}, c.args...)
		}
		wantFailure(t, run(t, append([]string{"tokens"}, c.args...)...), c.code, c.want)
	}
	wantFailure(t, run(t, "nothing"), 2, "nothing")
}

// TestDevices looks on both backends, and compares them.
func TestDevices(t *testing.T) {
	devicetest.UseTestDrivers(t)
	r := run(t, "tokens", "--device=vulkan:llvmpipe", "--compare=cpu", "--json", "--made", "It is")
	var a struct {
		Device   string
		Compared struct {
			Device  string
			Numbers int
			Others  []string
		}
	}
	if err := json.Unmarshal([]byte(r.Out), &a); err != nil || !strings.HasPrefix(a.Device, "vulkan") || a.Compared.Device != "cpu" || a.Compared.Numbers == 0 || len(a.Compared.Others) > 0 {
		t.Errorf("%+v, %v\n%s%s", a, err, r.Out, r.Stderr)
	}
	if r := run(t, "tokens", "--list-devices", "--json"); r.Code != 0 || !strings.HasPrefix(r.Out, "[") {
		t.Errorf("the list of devices: exit code %d\n%s%s", r.Code, r.Out, r.Stderr)
	}
}
