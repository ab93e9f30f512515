package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// asked is the number of threads that SetThreads was given.
var asked int

// SetThreads says how many threads backends have that are opened later; 0: one for each core, see
// [Threads]. More threads than GOMAXPROCS do not run at once.
func SetThreads(n int) { asked = n }

// usual is what Go makes of the processors and of the limits of a container.
var usual = runtime.GOMAXPROCS(0)

// Threads is the number of threads of backends that are opened next: that of SetThreads, or
// GOMAXPROCS. Where nobody has changed this it is the number of processors, or less in a container
// that may use less, and no more threads are taken than there are cores: two threads of one core
// share its multipliers and caches, which one alone keeps busy.
func Threads() int {
	n := runtime.GOMAXPROCS(0)
	switch {
	case asked > 0:
		return asked
	case n == usual && os.Getenv("GOMAXPROCS") == "":
		if cores := cores(); cores > 0 {
			return min(n, cores)
		}
	}
	return n
}

// countCores is the number of cores that processors belong to, by the files of Linux in a directory;
// 0: unknown.
func countCores(directory string, processors []int) int {
	seen := map[string]bool{}
	for _, p := range processors {
		siblings, err := os.ReadFile(filepath.Join(directory, "cpu"+strconv.Itoa(p), "topology", "thread_siblings_list"))
		if err != nil {
			return 0
		}
		seen[string(siblings)] = true
	}
	return len(seen)
}
