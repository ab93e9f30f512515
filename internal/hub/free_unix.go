//go:build linux || darwin

package hub

import (
	"math"

	"golang.org/x/sys/unix"
)

// freeBytes is how many bytes the user may still write to the disk of a directory.
func freeBytes(dir string) (free int64, known bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Bsize <= 0 || s.Bavail > math.MaxInt64/uint64(s.Bsize) {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
