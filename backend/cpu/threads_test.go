package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// TestCountCores reads the files that Linux has of eight processors: two cores of two threads each,
// and four of one.
func TestCountCores(t *testing.T) {
	dir := t.TempDir()
	for p, siblings := range []string{"0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"} {
		topology := filepath.Join(dir, "cpu"+strconv.Itoa(p), "topology")
		if err := os.MkdirAll(topology, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(topology, "thread_siblings_list"), []byte(siblings+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		processors []int
		want       int
	}{{[]int{0, 1, 2, 3, 4, 5, 6, 7}, 6}, {[]int{0, 1}, 1}, {[]int{1, 3, 4}, 3}, {[]int{7, 8}, 0}, {nil, 0}} {
		if got := countCores(dir, c.processors); got != c.want {
			t.Errorf("processors %v are of %d cores, expected %d", c.processors, got, c.want)
		}
	}
}

// TestThreads opens backends with the number of threads that was asked for, or that Go has.
func TestThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer SetThreads(0)
	if n := Threads(); n < 1 || n > runtime.GOMAXPROCS(0) || cores() > 0 && n > max(cores(), 1) && os.Getenv("GOMAXPROCS") == "" {
		t.Errorf("%d threads on %d cores", n, cores())
	}
	set := runtime.NumCPU() + 1
	runtime.GOMAXPROCS(set)
	if n := open(t).pool.threads(); n != set {
		t.Errorf("%d threads where GOMAXPROCS is %d", n, set)
	}
	// A container that may use more processors than there are cores, and fewer than there are.
	if before := usual; cores() > 0 && os.Getenv("GOMAXPROCS") == "" {
		defer func() { usual = before }()
		usual = set
		if n := open(t).pool.threads(); n != min(set, cores()) {
			t.Errorf("%d threads on %d cores, where Go runs %d threads by itself", n, cores(), set)
		}
	}
	SetThreads(3)
	if n := open(t).pool.threads(); n != 3 {
		t.Errorf("%d threads, expected the 3 that were asked for", n)
	}
}
