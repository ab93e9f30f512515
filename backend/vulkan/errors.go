//go:build cgo

package vulkan

import (
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// OutOfMemoryError is the error of an allocation for which the device has not
// enough memory. It wraps [backend.ErrOutOfMemory].
type OutOfMemoryError struct {
	Device    string // name of the device
	Wanted    uint64 // bytes
	Available uint64 // bytes: what is free on the device, at most the largest allocation
	Err       error  // the driver's error; nil if the driver was not asked
}

func (e *OutOfMemoryError) Error() string {
	s := fmt.Sprintf("%v on %s: wanted %s, %s are available", backend.ErrOutOfMemory, e.Device, bytesString(e.Wanted), bytesString(e.Available))
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

func (e *OutOfMemoryError) Unwrap() []error {
	if e.Err == nil {
		return []error{backend.ErrOutOfMemory}
	}
	return []error{backend.ErrOutOfMemory, e.Err}
}

// wrapError formats an error for a caller outside of this package. If the driver
// ran out of memory, for a block or for a descriptor pool, the result wraps
// [backend.ErrOutOfMemory].
func wrapError(format string, args ...any) error {
	err := fmt.Errorf("vulkan: "+format, args...)
	if errors.Is(err, vk.ErrOutOfMemory) && !errors.Is(err, backend.ErrOutOfMemory) {
		return outOfMemory{err}
	}
	return err
}

type outOfMemory struct{ error }

func (e outOfMemory) Unwrap() error        { return e.error }
func (e outOfMemory) Is(target error) bool { return target == backend.ErrOutOfMemory }

// bytesString formats a number of bytes for people: "147.2 MiB".
func bytesString(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefix := float64(n)/unit, 0
	for f >= unit && prefix < 4 {
		f /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[prefix])
}
