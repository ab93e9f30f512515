// Package commandtest is for tests of commands: it builds them and runs them as a
// user does.
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

// Build builds the command with an import path, such as "caldera/cmd/generate", as a
// program at path. variables are added to the environment of the build.
func Build(path, command string, env ...string) error {
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, command) // nobody debugs it, and it is linked in half the time
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", command, err, out)
	}
	return nil
}

// offline keeps tests from asking Hugging Face's hub: those of fetching set this otherwise,
// beside the address of a server of their own.
const offline = "HF_HUB_OFFLINE"

// Main makes a temporary directory, calls build to build programs there, runs the
// tests of a package and returns the exit code.
func Main(m *testing.M, build func(folder string) error) int {
	folder, err := os.MkdirTemp("", "commandtest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err := os.Setenv(offline, "1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := build(filepath.Clean(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Result is the result of running a command.
type Result struct {
	Code        int
	Out, Stderr string // empty if the caller has redirected them
}

// Patience is the timeout of tests that wait for something. It ends a test that
// hangs. On an idle machine nothing takes as long as a minute.
const Patience = 90 * time.Minute

// Run runs cmd, which must end within [Patience]. The test fails if cmd panics.
func Run(t *testing.T, cmd *exec.Cmd) Result {
	t.Helper()
	var out, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	cmd.WaitDelay = Patience // time to copy the rest of the output
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

// SmallDisk returns a command that runs a shell script with arguments. The script may
// mount a small disk, which only it sees: mount -t tmpfs -o size=48k tmpfs DIR. The
// test is skipped if the system allows that to its administrator only.
func SmallDisk(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS != "linux" || exec.Command("unshare", "-rm", "true").Run() != nil {
		t.Skip("a small disk can be mounted only on a Linux that allows user namespaces")
	}
	return exec.Command("unshare", append([]string{"-rm", "sh", "-c", script, "sh"}, args...)...)
}
