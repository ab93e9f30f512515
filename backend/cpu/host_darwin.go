package cpu

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// hostName returns the processor's model.
func hostName() string {
	if v, err := unix.Sysctl("machdep.cpu.brand_string"); err == nil {
		return v
	}
	return runtime.GOARCH
}

// hostMemory returns the memory of the machine in bytes, or 0 if unknown.
func hostMemory() int64 {
	n, _ := unix.SysctlUint64("hw.memsize")
	return int64(n)
}

// freeMemory returns the number of bytes that can still be allocated. The system does
// not say what is free, so it is the machine's memory minus what this backend has
// allocated before.
func freeMemory(promised int) (int, bool) {
	n := int(hostMemory())
	return max(0, n-promised), n > 0
}

func wantHugePages([]byte) {}

func yield() {}

// cores is the number of cores, 0 if unknown.
func cores() int {
	n, _ := unix.SysctlUint32("hw.physicalcpu")
	return int(n)
}
