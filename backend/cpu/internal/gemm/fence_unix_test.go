//go:build unix

package gemm

import (
	"sync"

	"golang.org/x/sys/unix"
)

const fenceLen = 1 << 22

// fences are mappings whose last page may not be read. They are taken in turn, and serve again
// when a few others have been taken.
var fences = sync.OnceValue(func() (list [16][]byte) {
	page := unix.Getpagesize()
	for i := range list {
		m, err := unix.Mmap(-1, 0, fenceLen+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			panic(err)
		}
		if err := unix.Mprotect(m[fenceLen:], unix.PROT_NONE); err != nil {
			panic(err)
		}
		list[i] = m[:fenceLen]
	}
	return list
})

var fence int

// fenced returns n bytes behind which memory may not be read or written.
func fenced(n int) []byte {
	fence++
	m := fences()[fence%16]
	clear(m[fenceLen-n:])
	return m[fenceLen-n:]
}
