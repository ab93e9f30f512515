// Package commandtest builds the commands and runs them as a user does, for
// their tests.
package commandtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Build builds a command, named as an import path ("caldera/cmd/generate"), as a
// program at path, with variables added to the environment.
func Build(path, command string, env ...string) error {
	cmd := exec.Command("go", "build", "-o", path, command)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", command, err, out)
	}
	return nil
}

// Main runs the tests of a package with a folder for programs, in which build
// makes them, and returns the exit code.
func Main(m *testing.M, build func(folder string) error) int {
	folder, err := os.MkdirTemp("", "commandtest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err := build(filepath.Clean(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Result is what a call came to.
type Result struct {
	Code        int
	Out, Stderr string // empty where the caller has them go elsewhere
}

// Patience ends what hangs: a test that waits for something gives it this long.
// Nothing takes a minute on a machine that does little else.
const Patience = 90 * time.Minute

// Run runs cmd to its end, which must come within [Patience]. A panic fails the test.
func Run(t *testing.T, cmd *exec.Cmd) Result {
	t.Helper()
	var out, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	cmd.WaitDelay = Patience // for output that is still to be copied
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%v did not end in %v", cmd.Args, Patience)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := Result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
	if strings.Contains(r.Stderr, "goroutine ") || strings.Contains(r.Stderr, "panic") {
		t.Errorf("%v panicked:\n%s", cmd.Args, r.Stderr)
	}
	return r
}

// SmallDisk returns a shell script with arguments that may mount a disk that is
// soon full: mount -t tmpfs -o size=48k tmpfs DIR. Nobody else sees it. Where the
// system lets nobody but its administrator do so, the test is skipped.
func SmallDisk(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS != "linux" || exec.Command("unshare", "-rm", "true").Run() != nil {
		t.Skip("a small disk can be mounted only on a Linux that allows user namespaces")
	}
	return exec.Command("unshare", append([]string{"-rm", "sh", "-c", script, "sh"}, args...)...)
}
