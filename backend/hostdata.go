package backend

import (
	"fmt"
	"unsafe"
)

// SetF32 writes values to a contiguous tensor of any dtype that holds real numbers,
// rounded as by [Encode]. len(values) must be t.Len().
func SetF32(b Backend, t Tensor, values []float32) error {
	if err := hostData(t, len(values), numbers()...); err != nil {
		return err
	}
	p := bytesOf(values)
	if t.DType != F32 {
		var err error
		if p, err = Encode(make([]byte, 0, t.Size()), t.DType, values); err != nil {
			return err
		}
	}
	return b.Write(t.Buf, t.DType.Bytes(t.Offset), p)
}

// GetF32 reads a contiguous tensor of any dtype that holds real numbers to values.
// len(values) must be t.Len(). It waits for earlier work.
func GetF32(b Backend, t Tensor, values []float32) error {
	if err := hostData(t, len(values), numbers()...); err != nil {
		return err
	}
	at := t.DType.Bytes(t.Offset)
	if t.DType == F32 {
		return b.Read(bytesOf(values), t.Buf, at)
	}
	p := make([]byte, t.Size())
	if err := b.Read(p, t.Buf, at); err != nil {
		return err
	}
	return Decode(values, t.DType, p)
}

// SetI32 writes values to a contiguous tensor of dtype i32. len(values) must be
// t.Len().
func SetI32(b Backend, t Tensor, values []int32) error {
	if err := hostData(t, len(values), I32); err != nil {
		return err
	}
	return b.Write(t.Buf, t.DType.Bytes(t.Offset), bytesOf(values))
}

// GetI32 reads a contiguous tensor of dtype i32 to values. len(values) must be
// t.Len(). It waits for earlier work.
func GetI32(b Backend, t Tensor, values []int32) error {
	if err := hostData(t, len(values), I32); err != nil {
		return err
	}
	return b.Read(bytesOf(values), t.Buf, t.DType.Bytes(t.Offset))
}

// bytesOf returns the memory of s. It can be copied to and from a Buffer as it is:
// backends and checkpoints are little-endian, as is every host that Caldera supports.
func bytesOf[T float32 | int32](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// numbers are the dtypes that hold real numbers.
func numbers() []DType { return DTypes(Weights | Caches | Activations) }

// hostData returns an error unless t is a contiguous tensor of n elements whose dtype
// is one of ds.
func hostData(t Tensor, n int, ds ...DType) error {
	if err := first(wantDType("tensor", t, ds...), t.check()); err != nil {
		return err
	}
	if !t.Contiguous() || n != t.Len() {
		return fmt.Errorf("%v (contiguous: %v) cannot hold %d values in a row", t, t.Contiguous(), n)
	}
	return nil
}

// MapHost returns a buffer with the bytes of p: p itself if b is a [HostMapper],
// else a copy on the device.
func MapHost(b Backend, p []byte) (Buffer, error) {
	if m, ok := As[HostMapper](b); ok {
		return m.MapHost(p)
	}
	buf, err := b.Alloc(len(p))
	if err != nil {
		return nil, err
	}
	if err := b.Write(buf, 0, p); err != nil {
		buf.Free()
		return nil, err
	}
	return buf, nil
}
