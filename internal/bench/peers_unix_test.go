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

	"caldera/backend"
	"caldera/internal/bench/peer"
	"caldera/internal/commandtest"
)

// gone reports whether a process ends in good time.
func gone(pid int) bool {
	for begin := time.Now(); time.Since(begin) < commandtest.Patience; {
		if dead(pid) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// dead reports whether a process has ended.
func dead(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ") // nobody waited for it, but it is dead
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

// endedLate is a context that ends just after a peer has started: too late for
// whatever waits for it.
type endedLate struct{ context.Context }

func (endedLate) Done() <-chan struct{} { return nil }
func (endedLate) Err() error            { return context.Canceled }

// TestPeersEndLate: a peer that had started when the context ended is ended.
func TestPeersEndLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	r := peer.Race{Device: cpuDevice(t).Device, DType: backend.F32, Threads: 1, Timeout: commandtest.Patience}
	defer r.Close()
	if err := r.Start(endedLate{t.Context()}, []peer.Peer{fake("parent", "has a child:"+path)}); !errors.Is(err, context.Canceled) || len(r.Rivals) != 0 {
		t.Fatalf("%d peers, %v", len(r.Rivals), err)
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
		t.Errorf("the peer's child %d is still there", pid)
		syscall.Kill(pid, syscall.SIGKILL)
	}
}
