package cpu

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"caldera/internal/hostmemory"
)

// hostName returns the processor's model.
func hostName() string {
	if v, ok := procField("/proc/cpuinfo", "model name"); ok {
		return v
	}
	return runtime.GOARCH
}

// hostMemory returns the memory of the machine in bytes, or 0 if unknown.
func hostMemory() int64 {
	return hostmemory.Total()
}

// freeMemory is the number of bytes that may still be allocated; promised of
// them have been before, and may or may not have been touched since.
func freeMemory(promised int) (int, bool) {
	free, ok := hostmemory.Free(int64(promised))
	return int(min(free, math.MaxInt)), ok
}

// procField returns the first value of a "name : value" line of a file.
func procField(path, name string) (string, bool) {
	p, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	for lines := bufio.NewScanner(bytes.NewReader(p)); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// wantHugePages asks the system for pages of 2 MiB: with them, reading large matrices
// has far fewer TLB misses. The system may ignore it.
func wantHugePages(p []byte) { unix.Madvise(p, unix.MADV_HUGEPAGE) }

// yield lets the operating system run another thread on this processor. On a busy
// machine that may be the thread that the caller waits for.
func yield() { unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// cores is the number of cores that this process may use, 0 if unknown.
func cores() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	var processors []int
	for p := range 64 * len(set) {
		if set.IsSet(p) {
			processors = append(processors, p)
		}
	}
	return countCores("/sys/devices/system/cpu", processors)
}
