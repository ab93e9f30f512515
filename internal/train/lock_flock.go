//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package train

import (
	"errors"
	"os"
	"syscall"

	"caldera/internal/setting"
)

// Lock makes sure that no other run writes to the directory until it is closed,
// or the process ends.
func (d Dir) Lock() (*os.File, error) {
	dir, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		dir.Close()
		return nil, setting.Errorf("%s: another run writes to it: wait for its end, or choose another {out_dir}", string(d))
	}
	return dir, nil // a file system without locks has none to respect
}
