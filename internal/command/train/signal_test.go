package train_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

// started is a command that runs while a test looks on.
type started struct {
	*exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

// start starts cmd, which is killed when the test ends.
func start(t *testing.T, cmd *exec.Cmd) *started {
	t.Helper()
	s := &started{Cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &s.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-s.ended
	})
	return s
}

// wait waits until there holds, or the command has ended.
func (s *started) wait(t *testing.T, what string, there func() bool) {
	t.Helper()
	for deadline := time.Now().Add(commandtest.Patience); !there(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.ended:
			if !there() {
				t.Fatalf("it ended before %s: %s", what, s.stderr.String())
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %v", what, commandtest.Patience)
		}
	}
}

// logLines is how many lines the log in dir has.
func logLines(dir string) int {
	text, _ := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	return bytes.Count(text, []byte("\n"))
}

// TestHangup closes the terminal of a run, which saves and stops, however often
// it is told; under nohup it goes on.
func TestHangup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	endless := []string{"--max_iters=1000000", "--eval_interval=1000000", "--sample_interval=0"}
	t.Run("plain", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		s := start(t, smallRun(out, endless...))
		s.wait(t, "step 5", func() bool { return logLines(out) > 5 })
		// A shell that is hung up sends one, the kernel another.
		s.wait(t, "end", func() bool {
			s.Process.Signal(syscall.SIGHUP)
			select {
			case <-s.ended:
				return true
			default:
				return false
			}
		})
		if code := s.ProcessState.ExitCode(); code != 130 || !strings.Contains(s.stderr.String(), "saved as "+out+"/newest; continue with: ") {
			t.Errorf("exit code %d, %s", code, s.stderr.String())
		}
		log := entries(t, out)
		succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--max_iters=1000001", "--eval_only"))
		if !strings.Contains(read(t, filepath.Join(out, "newest", "train.json")), `"step": `) || log[len(log)-1].Step < 5 {
			t.Errorf("the log ends with %+v", log[len(log)-1])
		}
	})
	t.Run("nohup", func(t *testing.T) {
		nohup, err := exec.LookPath("nohup")
		if err != nil {
			t.Skip(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		cmd := smallRun(out, endless...)
		s := start(t, exec.Command(nohup, append([]string{cmd.Path}, cmd.Args[1:]...)...))
		s.wait(t, "step 5", func() bool { return logLines(out) > 5 })
		s.Process.Signal(syscall.SIGHUP)
		before := logLines(out)
		s.wait(t, "ten more steps", func() bool { return logLines(out) > before+10 })
		s.Process.Signal(syscall.SIGTERM)
		<-s.ended
		if code := s.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d, %s", code, s.stderr.String())
		}
	})
}
