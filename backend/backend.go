// Package backend is the narrow interface between a model and the hardware
// that runs it.
//
// Work is data: an [Op] is a pointer to a struct that names the tensors it
// reads and writes ([Linear], [Attention], …). A [Backend] owns memory and
// runs ops on it; it is the small part that is written once per kind of
// hardware. Everything that is common to all of them lives here as plain
// functions: [Prepare] checks ops and lowers those a backend lacks, [Run] and
// [Record] run them once or many times, [Open] finds a device by name.
//
// # NaN and infinities
//
// Ops follow IEEE 754: a result is NaN or infinite where its formula gives that,
// so that a fault in a model shows and is not taken for an answer. In
// particular NaN comes from an operand that is NaN, from ∞ − ∞, from 0 · ∞ and
// from ∞ / ∞. A maximum of NaN and numbers is NaN too, except in [Argmax].
// What a formula does not read has no influence: other rows of the same tensor
// keep every bit, but for attention, which may compute what it does not reach in
// another way. Each op that needs more words says what it does.
//
// Two things are open. A term of a sum of products may be left out where one
// factor is exactly 0, whatever the other is, as BLAS does. And the sign and
// payload of a NaN mean nothing, but for Copy between tensors of one type, which
// moves bits.
//
// To add an operation: a file here with its struct, Name, Check and Operands
// (and Lower, if simpler ops can say it), a file of the same name in each
// backend, and its cases and float64 oracle in package conformance.
package backend

import "errors"

// Backend runs ops on memory it owns. Package conformance checks one.
//
// Calls on one Backend must not overlap: a caller that shares it between
// goroutines serialises them.
type Backend interface {
	// Name says which backend and device this is, for example "cpu" or "vulkan:0".
	Name() string

	// Alloc returns a zeroed buffer of size bytes, size > 0. Where there is
	// not enough memory the error wraps [ErrOutOfMemory].
	Alloc(size int) (Buffer, error)

	// Write copies src into dst from byte off on. It takes effect after the
	// ops of earlier Runs and before those of later ones; src may be reused
	// as soon as Write returns.
	Write(dst Buffer, off int, src []byte) error

	// Read waits for all earlier work, then copies len(dst) bytes of src from
	// byte off on. It is the only call that waits, and reports what went
	// wrong on the device since the last one.
	Read(dst []byte, src Buffer, off int) error

	// Supports tells whether Run takes this op. It depends on dtypes and
	// shapes alone, and is never asked about an op whose Check fails.
	Supports(op Op) bool

	// Run runs ops in order, as if each ended before the next began. They
	// must come from [Prepare]. Run may return before they have finished.
	Run(ops ...Op) error

	// Close waits for the device and releases everything, buffers included.
	// Later calls return [ErrClosed].
	Close() error
}

// Buffer is memory of one Backend.
type Buffer interface {
	Size() int // in bytes
	Free()     // releases the memory once earlier work has finished; further calls do nothing
}

// Errors that callers tell apart with errors.Is.
var (
	ErrOutOfMemory = errors.New("out of memory")
	ErrClosed      = errors.New("backend is closed")
	ErrFreed       = errors.New("buffer has been freed")
	ErrDeviceLost  = errors.New("device lost")
)

// As finds the first backend in b's chain of wrappers that has the optional
// ability T, as errors.As does for errors. A wrapper tells what it wraps with
// a method Unwrap() Backend.
func As[T any](b Backend) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		w, ok := b.(interface{ Unwrap() Backend })
		if !ok {
			break
		}
		b = w.Unwrap()
	}
	var none T
	return none, false
}

// HostMapper is the optional ability to compute straight from memory of the
// caller, such as a file that is mapped.
type HostMapper interface {
	// MapHost returns a read-only buffer over p, whose bytes it does not
	// copy. They must stay in place, unchanged, until the buffer is freed.
	// p is aligned as its elements need.
	MapHost(p []byte) (Buffer, error)
}

// Describer is the optional ability to describe the hardware and software behind a
// backend, such as the driver's version or the BLAS library, in one line.
type Describer interface{ Describe() string }

// Describe tells in one line which device and library serve b.
func Describe(b Backend) string {
	if d, ok := As[Describer](b); ok {
		return d.Describe()
	}
	return b.Name()
}
