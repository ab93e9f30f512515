//go:build !unix

package mapfile

import "github.com/edsrzf/mmap-go"

// Drop does nothing here.
func Drop([]mmap.MMap, []byte) {}
