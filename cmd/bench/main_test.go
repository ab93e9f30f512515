package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary is the command itself where this is set.
const asCommand = "CALDERA_TEST_RUN_BENCH"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs bench as a user would.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestBadFlags(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args string
		code int
		want string // part of the one line on standard error
	}{
		{"-r 0", 2, "-r 0: expected 1"},
		{"-r x", 2, "-r"},
		{"-p 0 -n 0", 2, "nothing to measure"},
		{"-p 512", 2, "-p 512: expected 0 to 256 tokens"},
		{"--prompt=8,-1", 2, "-p -1"},
		{"--shape=gpt5", 2, `found "gpt5", expected one of gpt2, gpt2-medium`},
		{"--shape=gpt2 -p 2000", 2, "expected 0 to 1024 tokens"},
		{"--dtype=q9", 2, "expected one of f32, f16, q8_0, q4_0, or auto"},
		{"--backend=cuda", 2, `unknown backend "cuda"`},
		{"--device=0", 2, "name its backend"},
		{"-t -1", 2, "-t"},
		{"-o yaml", 2, "yaml"},
		{"--backend=cpu --output=" + filepath.Join(dir, "no", "such"), 2, "--output"},
		{"--backend=cpu --output=" + dir, 2, "not a regular file"},
		{"-m " + filepath.Join(dir, "none"), 1, "none"},
		{"stray", 2, "stray"},
	} {
		t.Run(test.args, func(t *testing.T) {
			stdout, stderr, code := command(t, strings.Fields(test.args)...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; code != test.code || !strings.Contains(last, test.want) || stdout != "" {
				t.Errorf("exit %d, last line %q, standard output %q; expected exit %d and %q", code, last, stdout, test.code, test.want)
			}
		})
	}
}

// TestRun measures the embedded model, by its own figures and into a file.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, "--backend=cpu", "--dtype=f32,f16", "-r", "1", "-n", "2", "-o", "json", "--output", path)
	if code != 0 || stdout != "" {
		t.Fatalf("exit %d, standard output %q, standard error:\n%s", code, stdout, stderr)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		ModelType string  `json:"model_type"`
		DType     string  `json:"dtype"`
		NPrompt   int     `json:"n_prompt"`
		NGen      int     `json:"n_gen"`
		AvgTS     float64 `json:"avg_ts"`
		CPU       string  `json:"cpu_info"`
	}
	if err := json.Unmarshal(data, &results); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	type test struct {
		dtype       string
		prompt, gen int
	}
	want := []test{{"f32", 256, 0}, {"f32", 0, 2}, {"f16", 256, 0}, {"f16", 0, 2}}
	if len(results) != len(want) {
		t.Fatalf("%d results, expected %d", len(results), len(want))
	}
	for i, r := range results {
		if (test{r.DType, r.NPrompt, r.NGen}) != want[i] || r.ModelType != "austen" || r.AvgTS <= 0 || r.CPU == "" {
			t.Errorf("result %d: %+v, expected %+v", i, r, want[i])
		}
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMarkdownOnStandardOutput(t *testing.T) {
	stdout, stderr, code := command(t, "--backend=cpu", "-r", "1", "-p", "8", "-n", "0")
	if code != 0 || !strings.HasPrefix(stdout, "- caldera ") || !strings.Contains(stdout, "| pp8 ") || strings.Contains(stdout, "tg") {
		t.Errorf("exit %d, standard output:\n%s\nstandard error:\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "pp8 1/1") {
		t.Errorf("no progress on standard error:\n%s", stderr)
	}
}
