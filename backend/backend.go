// Package backend is the interface between a model and the hardware that runs it.
//
// Operations are data: an [Op] is a pointer to a struct that names the tensors
// that it reads and writes ([Linear], [Attention], …). A [Backend] owns memory and
// runs ops on it. It is small, and is written once for each kind of hardware. What
// all backends share is in this package: [Prepare] checks ops and replaces those
// that a backend does not support, [Run] and [Record] run them once or many times,
// [Open] opens a device by name.
//
// # NaN and infinities
//
// Ops follow IEEE 754: a result is NaN or infinite if its formula gives that. So a
// fault in a model is visible. In particular NaN results from an operand that is
// NaN, from ∞ − ∞, from 0 · ∞ and from ∞ / ∞. A maximum of numbers and NaN is NaN
// too, except in [Argmax]. Elements that a formula does not read have no influence:
// results in other rows keep every bit. (Only attention may compute a row by
// another kernel, and so round differently, when other rows of its run change.) Ops that need
// more rules state them.
//
// Two things are left open. A backend may leave out a term of a sum of products if
// one factor is exactly 0, even if the other is NaN or infinite, as BLAS does. And
// the sign and the payload of a NaN are undefined, except for a Copy between
// tensors of one dtype, which copies bits.
//
// # Where tokens stand
//
// A step's tokens may be of many sequences. Ops for which that matters have an operand
// At, [2, n] i32: at[0,i] is the sequence of token i, from 0 on, and at[1,i] its
// position in the sequence. The tokens of a tensor [batch, time, width] are n =
// batch·time, in row-major order.
//
// A token of sequence −1 is padding: what an op computes for it is 0, and nothing of it
// is stored or added. No other sequence is below 0. If a sequence or a position is
// outside of the op's cache or table, what it computes for the token is NaN, and nothing
// of it is stored or added.
//
// A cache is [sequences, context, width]: a token's row is seq · context + pos. Or it is a
// pool of blocks, [blocks, block, width], and a table, [sequences, blocks of each] i32,
// has the number of each block of a sequence: its row is table[seq, pos / block] · block +
// pos % block.
//
// To add an op, add a file here with its struct, Name, Check and Operands (and
// Lower, if it can be expressed by simpler ops), a file of the same name in each
// backend, and one with its float64 oracle and its cases in package conformance.
package backend

import "errors"

// Backend runs ops on memory that it owns. Package conformance tests backends.
//
// Calls on one Backend must not overlap: a caller that shares it between
// goroutines must serialise them.
type Backend interface {
	// Name returns the name of the backend and device, for example "cpu" or "vulkan:0".
	Name() string

	// Alloc returns a zeroed buffer of size bytes, size > 0. If there is not
	// enough memory the error wraps [ErrOutOfMemory].
	Alloc(size int) (Buffer, error)

	// Write copies src to dst from byte off on. It takes effect after the ops of
	// earlier Runs and before those of later ones. src may be reused as soon as
	// Write returns.
	Write(dst Buffer, off int, src []byte) error

	// Read waits for all earlier work, then copies len(dst) bytes of src from
	// byte off on. Only Read has to wait. It returns errors of the device since
	// the Read before.
	Read(dst []byte, src Buffer, off int) error

	// Supports reports whether Run can run the op. The result depends only on
	// dtypes, shapes and strides. It is called only for ops whose Check is nil.
	Supports(op Op) bool

	// Run runs ops in order, as if each one finished before the next began. The
	// ops must come from [Prepare]. Run may return before they have finished.
	Run(ops ...Op) error

	// Close waits for the device and releases everything, buffers included.
	// Later calls return [ErrClosed].
	Close() error
}

// Buffer is memory of one Backend.
type Buffer interface {
	Size() int // in bytes
	Free()     // frees the memory once earlier work has finished; a second call does nothing
}

// Errors to test with errors.Is.
var (
	ErrOutOfMemory = errors.New("out of memory")
	ErrClosed      = errors.New("backend is closed")
	ErrFreed       = errors.New("buffer has been freed")
	ErrDeviceLost  = errors.New("device lost")
)

// As finds the first backend in b's chain of wrappers that implements the optional
// interface T, as errors.As does for errors. A wrapper has a method Unwrap()
// Backend, which returns the backend that it wraps.
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

// HostMapper is an optional interface of backends that can use memory of the
// caller, such as a mapped file, without a copy.
type HostMapper interface {
	// MapHost returns a read-only buffer with the bytes of p. It does not copy
	// them: they must not move or change until the buffer is freed. p must be
	// aligned for its elements.
	MapHost(p []byte) (Buffer, error)
}

// Describer is the optional ability to describe the hardware and software behind a
// backend, such as the driver's version or the BLAS library, in one line.
type Describer interface{ Describe() string }

// Describe returns b's own description, or its name if it is no [Describer].
func Describe(b Backend) string {
	if d, ok := As[Describer](b); ok {
		return d.Describe()
	}
	return b.Name()
}
