//go:build unix

package train_test

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// TestTerminalGone closes the terminal itself. The run, all of whose writes fail from
// then on, must save what it has.
func TestTerminalGone(t *testing.T) {
	for name, flags := range map[string][]string{
		"quiet":   {"--sample_interval=0"},
		"samples": {"--sample_interval=1", "--sample_tokens=1"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			cmd := smallRun(out, append(flags, "--max_iters=1000000", "--eval_interval=1000000")...)
			terminal, err := pty.Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			s := &started{Cmd: cmd, ended: make(chan struct{})}
			go func() {
				cmd.Wait()
				close(s.ended)
			}()
			t.Cleanup(func() {
				terminal.Close()
				cmd.Process.Kill()
				<-s.ended
			})
			read := make(chan struct{})
			go func() {
				io.Copy(io.Discard, terminal)
				close(read)
			}()
			s.wait(t, "step 5", func() bool { return logLines(out) > 5 })
			terminal.Close()
			<-read
			<-s.ended
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("it ended with %v", cmd.ProcessState)
			}
			log := entries(t, out)
			if got := names(t, out); !strings.Contains(got, "newest step-") || log[len(log)-1].Step < 5 {
				t.Errorf("there is %s, and the log ends with %+v", got, log[len(log)-1])
			}
			succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--max_iters=1000001", "--eval_only"))
		})
	}
}
