//go:build unix

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

// gone reports whether a process ends in good time.
func gone(pid int) bool {
	for begin := time.Now(); time.Since(begin) < commandtest.Patience; {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(text), ") Z ") {
			return true // nobody waited for it, but it is dead
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// TestPeersEndsChildren: a peer whose child holds its pipes open ends, and its
// child with it; so does one that is still at work when the context ends.
func TestPeersEndsChildren(t *testing.T) {
	for _, stop := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "pid")
		x := fake("parent", "has a child:"+path)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if stop {
			hangs := fake("hangs", "hangs")
			go func() {
				for { // until the child is there
					if text, _ := os.ReadFile(path); len(text) > 0 {
						cancel()
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			}()
			if _, err := tinyPeers(t, ctx, commandtest.Patience, x, hangs); !errors.Is(err, context.Canceled) {
				t.Errorf("stopped: %v", err)
			}
		} else {
			results, _ := tinyPeers(t, ctx, commandtest.Patience, x)
			if r := results["parent"]; len(r) != 1 || !strings.Contains(r[0].Failure, "pp8 warm-up: it ended (exit status 5)") {
				t.Errorf("%+v", r)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("stopped %v: the peer's child %d is still there", stop, pid)
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
