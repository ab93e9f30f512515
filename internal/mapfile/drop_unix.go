//go:build unix

package mapfile

import (
	"os"
	"unsafe"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"
)

// Drop tells the system that p, a part of one of the mappings, is not needed in this process's memory for now. It stays what it
// is: it is read from the file, or from the system's cache of it, when it is accessed again. Of p that
// is in no mapping nothing happens.
func Drop(mappings []mmap.MMap, p []byte) {
	if len(p) == 0 {
		return
	}
	for _, m := range mappings {
		if len(m) == 0 {
			continue
		}
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(p))) - uintptr(unsafe.Pointer(unsafe.SliceData(m)))
		end := begin + uintptr(len(p))
		if begin >= uintptr(len(m)) || end > uintptr(len(m)) {
			continue
		}
		page := uintptr(os.Getpagesize())
		if begin = (begin + page - 1) &^ (page - 1); end < uintptr(len(m)) {
			end &^= page - 1
		}
		if begin < end {
			_ = unix.Madvise(m[begin:end], unix.MADV_DONTNEED) // which saves memory, and does no more
		}
		return
	}
}
