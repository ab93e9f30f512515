package cpu

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// hostName is the processor's model.
func hostName() string {
	if v, err := unix.Sysctl("machdep.cpu.brand_string"); err == nil {
		return v
	}
	return runtime.GOARCH
}

// hostMemory is the memory of the machine in bytes, 0 if unknown.
func hostMemory() int64 {
	n, _ := unix.SysctlUint64("hw.memsize")
	return int64(n)
}

// freeMemory is the number of bytes that may still be allocated: what is free
// is not told here, so all of the machine's memory less what was promised.
func freeMemory(promised int) (int, bool) {
	n := int(hostMemory())
	return max(0, n-promised), n > 0
}

func wantHugePages([]byte) {}

func yield() {}
