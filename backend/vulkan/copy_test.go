//go:build cgo

package vulkan

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
)

// TestCopyBits holds conversions of plain dtypes to the bits that the host's give, also of
// denormals and of each kind of NaN, which the conformance suite does not tell apart.
func TestCopyBits(t *testing.T) {
	half := make([]uint32, 1<<16) // every number of 16 bits
	for i := range half {
		half[i] = uint32(i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	word := make([]uint32, 1<<16) // every upper half, with a lower half at the edge of a rounding, or any
	for i := range word {
		lower := []uint32{0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xf000, 0xffff, r.Uint32() & 0xffff}
		word[i] = uint32(i)<<16 | lower[r.IntN(len(lower))]
	}
	widen := map[backend.DType]func(uint32) uint32{
		backend.F32:  func(v uint32) uint32 { return v },
		backend.F16:  func(v uint32) uint32 { return math.Float32bits(float16.Frombits(uint16(v)).Float32()) },
		backend.BF16: func(v uint32) uint32 { return v << 16 },
	}
	round := map[backend.DType]func(uint32) uint32{
		backend.F32:  func(v uint32) uint32 { return v },
		backend.F16:  func(v uint32) uint32 { return uint32(float16.Fromfloat32(math.Float32frombits(v)).Bits()) },
		backend.BF16: func(v uint32) uint32 { return uint32(backend.ToBF16(math.Float32frombits(v))) },
	}
	for _, p := range testDevices[:2] {
		t.Run(p.name, func(t *testing.T) {
			b := openTest(t, p.driver, nil)
			for _, from := range backend.PlainDTypes() {
				for _, to := range backend.PlainDTypes() {
					for _, strided := range []bool{false, true} {
						values := half
						if from == backend.F32 {
							values = word
						}
						want := make([]uint32, len(values))
						for i, v := range values {
							if want[i] = v; from != to {
								want[i] = round[to](widen[from](v))
							}
						}
						got := copied(t, b, to, from, values, strided)
						for i := range want {
							if got[i] != want[i] {
								t.Errorf("%v to %v, strided %v: %#x became %#x, expected %#x", from, to, strided, values[i], got[i], want[i])
								break
							}
						}
					}
				}
			}
		})
	}
}

// copied are the bits of values, which are those of numbers of type from, after a Copy to type to.
func copied(t *testing.T, b backend.Backend, to, from backend.DType, values []uint32, strided bool) []uint32 {
	t.Helper()
	n, step := len(values), 1
	if strided {
		step = 3
	}
	view := func(d backend.DType) backend.Tensor {
		x, err := backend.New(b, d, n*step)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Buf.Free)
		x.Shape[3], x.Strides[3] = n, step
		return x
	}
	at := func(p []byte, d backend.DType, i int) []byte { return p[d.Bytes(i*step):][:d.BlockBytes()] }
	x, dst := view(from), view(to)
	p := make([]byte, x.Buf.Size())
	for i, v := range values {
		if q := at(p, from, i); len(q) == 2 {
			binary.LittleEndian.PutUint16(q, uint16(v))
		} else {
			binary.LittleEndian.PutUint32(q, v)
		}
	}
	if err := b.Write(x.Buf, 0, p); err != nil {
		t.Fatal(err)
	}
	if err := backend.Run(b, &backend.Copy{Dst: dst, X: x}); err != nil {
		t.Fatal(fmt.Errorf("%v to %v: %w", from, to, err))
	}
	p = make([]byte, dst.Buf.Size())
	if err := b.Read(p, dst.Buf, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]uint32, n)
	for i := range got {
		if q := at(p, to, i); len(q) == 2 {
			got[i] = uint32(binary.LittleEndian.Uint16(q))
		} else {
			got[i] = binary.LittleEndian.Uint32(q)
		}
	}
	return got
}
