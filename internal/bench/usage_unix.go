//go:build unix

package bench

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// peakRSS is the most memory that the process has had resident since
// forgetPeakRSS, in bytes.
func peakRSS() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss) // bytes there, KiB elsewhere
	}
	return int64(u.Maxrss) << 10
}

// forgetPeakRSS begins peakRSS anew where the system can: on Linux. Elsewhere,
// and where a sandbox forbids it, the peak stays that of the whole process.
func forgetPeakRSS() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// processorTime is what this process and those that it has waited for have used.
func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
