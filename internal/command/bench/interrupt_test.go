package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

// TestInterrupt sends Ctrl-C to every command that measures, once it tells that
// something has been: that is written, marked as incomplete, and the exit code
// tells of the interruption.
func TestInterrupt(t *testing.T) {
	for _, c := range []struct {
		after string // what it says on standard error
		args  []string
	}{
		{"pp8 3/10000", []string{"run", "-p", "8", "-n", "0", "--no-ceilings", "-r", "10000"}},
		{"overhead 3/10000", []string{"overhead", "-r", "10000"}},
		{"training of nanogpt f32: 3/10000", []string{"train", "--shape=nanogpt", "--batch=1", "--peer=none", "--no-ceilings", "-r", "10000"}},
		{"cold start 2/10000", []string{"startup", "-r", "10000"}},
		{"warm start 2/10000", []string{"startup", "-r", "10000"}},
		{"window 3/", []string{"perplexity", "-f", longText(t)}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.json")
			cmd := exec.CommandContext(t.Context(), os.Args[0], append(c.args, "--backend=cpu", "-o", "json", "--output", path)...)
			cmd.Env = append(os.Environ(), asCommand+"=1")
			pipe, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(commandtest.Patience, func() { cmd.Process.Kill() })
			defer timer.Stop()
			lines, last := bufio.NewScanner(pipe), ""
			for lines.Scan() {
				if last = lines.Text(); strings.Contains(last, c.after) {
					cmd.Process.Signal(os.Interrupt)
				}
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.HasSuffix(last, ": interrupted") {
				t.Errorf("exit %d, last line %q", code, last)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var results []struct {
				Kind       string
				Incomplete bool
				Windows    int   `json:"n_windows"`
				Samples    []any `json:"samples_ns"`
			}
			if err := json.Unmarshal(data, &results); err != nil || len(results) == 0 {
				t.Fatalf("%v in %s", err, data)
			}
			for _, r := range results {
				if n := len(r.Samples) + r.Windows; !r.Incomplete || n == 0 || n >= 10000 {
					t.Errorf("%+v", r)
				}
			}
			stdout, stderr, code := command(t, "show", path)
			if code != 0 || !strings.Contains(stdout, "\n- incomplete: ") {
				t.Errorf("shown, exit %d:\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// longText takes minutes to read.
func longText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../internal/bench/testdata/sense.txt")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "long.txt")
	if err := os.WriteFile(path, bytes.Repeat(text, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInterruptSaves leaves no saved run behind that is not whole.
func TestInterruptSaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "perplexity", "-f", longText(t), "--backend=cpu", "--save="+path)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	pipe, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		if strings.Contains(lines.Text(), "window 3/") {
			cmd.Process.Signal(os.Interrupt)
			break
		}
	}
	io.Copy(io.Discard, pipe)
	cmd.Wait()
	if left, _ := filepath.Glob(path + "*"); cmd.ProcessState.ExitCode() != 130 || len(left) > 0 {
		t.Errorf("exit %d, left behind: %v", cmd.ProcessState.ExitCode(), left)
	}
}
