package backend

import "fmt"

// CheckSize returns an error if no buffer can have this size. Backends call it in
// Alloc.
func CheckSize(size int) error {
	if size <= 0 {
		return fmt.Errorf("cannot allocate %d bytes: a buffer has at least 1", size)
	}
	return nil
}

// CheckRange returns an error if the n bytes from byte off on are not all inside a
// buffer of size bytes. Backends call it in Write and Read.
func CheckRange(size, off, n int) error {
	if off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%d bytes from byte %d on do not lie in a buffer of %d", n, off, size)
	}
	return nil
}
