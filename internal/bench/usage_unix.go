//go:build unix

package bench

import (
	"os"
	"runtime"

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
