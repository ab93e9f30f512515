//go:build cgo

package vulkan

import (
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// OutOfMemoryError tells that a device has no room for an allocation. It wraps
// [backend.ErrOutOfMemory].
type OutOfMemoryError struct {
	Device    string // its name
	Wanted    uint64 // bytes
	Available uint64 // bytes that are still free on the device, or the most that it gives at once
	Err       error  // what the driver said, if it was asked
}

func (e *OutOfMemoryError) Error() string {
	s := fmt.Sprintf("%v on %s: wanted %s, %s are there", backend.ErrOutOfMemory, e.Device, bytesString(e.Wanted), bytesString(e.Available))
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

// told is an error as it leaves this package. Whatever it is that the driver
// has no room for, a block or a descriptor pool, the error wraps
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

// bytesString is for people: "147.2 MiB".
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
