package backend

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// SetF32 writes values into a contiguous tensor of dtype f32 or f16, rounding
// to the nearest f16 for the latter. len(values) is t.Len().
func SetF32(b Backend, t Tensor, values []float32) error {
	if err := hostData(t, len(values), F32, F16); err != nil {
		return err
	}
	p := make([]byte, 0, t.Size())
	for _, v := range values {
		if t.DType == F16 {
			p = binary.LittleEndian.AppendUint16(p, float16.Fromfloat32(v).Bits())
		} else {
			p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
		}
	}
	return b.Write(t.Buf, t.DType.Bytes(t.Offset), p)
}

// GetF32 reads a contiguous tensor of dtype f32 or f16 into values, whose
// length is t.Len(). It waits for earlier work.
func GetF32(b Backend, t Tensor, values []float32) error {
	if err := hostData(t, len(values), F32, F16); err != nil {
		return err
	}
	p := make([]byte, t.Size())
	if err := b.Read(p, t.Buf, t.DType.Bytes(t.Offset)); err != nil {
		return err
	}
	for i := range values {
		if t.DType == F16 {
			values[i] = float16.Frombits(binary.LittleEndian.Uint16(p[2*i:])).Float32()
		} else {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
		}
	}
	return nil
}

// SetI32 writes values into a contiguous tensor of dtype i32 and of that length.
func SetI32(b Backend, t Tensor, values []int32) error {
	if err := hostData(t, len(values), I32); err != nil {
		return err
	}
	p := make([]byte, 0, t.Size())
	for _, v := range values {
		p = binary.LittleEndian.AppendUint32(p, uint32(v))
	}
	return b.Write(t.Buf, t.DType.Bytes(t.Offset), p)
}

// GetI32 reads a contiguous tensor of dtype i32 into values of the same
// length. It waits for earlier work.
func GetI32(b Backend, t Tensor, values []int32) error {
	if err := hostData(t, len(values), I32); err != nil {
		return err
	}
	p := make([]byte, t.Size())
	if err := b.Read(p, t.Buf, t.DType.Bytes(t.Offset)); err != nil {
		return err
	}
	for i := range values {
		values[i] = int32(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return nil
}

func hostData(t Tensor, n int, ds ...DType) error {
	if err := first(wantDType("tensor", t, ds...), t.check()); err != nil {
		return err
	}
	if !t.Contiguous() || n != t.Len() {
		return fmt.Errorf("%v (contiguous: %v) cannot hold %d values in a row", t, t.Contiguous(), n)
	}
	return nil
}

// MapHost returns a buffer with the contents of p: p itself where b is a
// [HostMapper], else a copy on the device.
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
