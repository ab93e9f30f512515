package backend

import "fmt"

// CheckSize reports a size that no buffer has. An Alloc checks its argument with it.
func CheckSize(size int) error {
	if size <= 0 {
		return fmt.Errorf("cannot allocate %d bytes: a buffer has at least 1", size)
	}
	return nil
}

// CheckRange reports n bytes from byte off on that do not lie inside of a buffer of
// size bytes. A Write and a Read check their arguments with it.
func CheckRange(size, off, n int) error {
	if off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%d bytes from byte %d on do not lie in a buffer of %d", n, off, size)
	}
	return nil
}
