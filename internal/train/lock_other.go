//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package train

import "os"

// Lock is for systems that can lock a directory.
func (d Dir) Lock() (*os.File, error) { return os.Open(string(d)) }
