package conformance

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
)

// dtypeMutants round to a dtype wrongly.
var dtypeMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"truncates to bf16", "copy", wrong(func(o *backend.Copy) {
		if o.Dst.DType == backend.BF16 && o.X.DType == backend.F32 {
			o.X = copied(o.X, func(v float64) float64 {
				return float64(math.Float32frombits(math.Float32bits(float32(v)) &^ 0xffff))
			})
		}
		right(o)
	})},
	{"rounds ties of bf16 away from zero", "store", wrong(func(o *backend.Store) {
		if o.Dst.DType == backend.BF16 {
			o.X = copied(o.X, func(v float64) float64 {
				if bits := math.Float32bits(float32(v)); bits&0xffff == 0x8000 {
					return float64(math.Float32frombits(bits + 1))
				}
				return v
			})
		}
		right(o)
	})},
	{"makes infinity of NaN in bf16", "copy", wrong(func(o *backend.Copy) {
		right(o)
		if o.Dst.DType == backend.BF16 {
			direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, func(v float64) float64 {
				if math.IsNaN(v) {
					return math.Inf(1)
				}
				return v
			})))
		}
	})},
	{"rounds ties of a block of activations towards zero", "copy", wrongBlocks(func(x, d float64) float64 { return math.Ceil(x/d - 0.5) })},
	{"rounds ties of a block of activations to even", "copy", wrongBlocks(func(x, d float64) float64 { return math.RoundToEven(x / d) })},
	{"truncates in a block of activations", "copy", wrongBlocks(func(x, d float64) float64 { return math.Floor(x / d) })},
	{"does not clamp a block of activations", "copy", wrong(func(o *backend.Copy) {
		right(o)
		eachBlock(o, func(block []byte, x []float64) {
			d := float64(float16.Frombits(binary.LittleEndian.Uint16(block)).Float32())
			for j, v := range x {
				if q := math.Floor(math.Abs(v)/d + 0.5); q > 127 && d > 0 && finite(v) {
					block[4+j] = byte(int(q))
				}
			}
		})
	})},
	{"leaves out the sum of a block of activations", "copy", wrong(func(o *backend.Copy) {
		right(o)
		eachBlock(o, func(block []byte, _ []float64) { block[2], block[3] = 0, 0 })
	})},
	{"reads the scale of activations only once", "linear", wrong(func(o *backend.Linear) {
		if o.X.DType == backend.Q8_A {
			data := append([]byte{}, o.X.Buf.(*referenceBuffer).data...)
			eachRow(o.X, func(_, at int) {
				row := data[o.X.DType.Bytes(at):]
				for n := 36; n < o.X.DType.Bytes(o.X.Dim(-1)); n += 36 {
					copy(row[n:n+2], row[:2])
				}
			})
			o.X.Buf = &referenceBuffer{data: data, size: len(data)}
		}
		right(o)
	})},
}

// eachBlock calls f with each block of activations that o has written, and the
// values that it is of.
func eachBlock(o *backend.Copy, f func(block []byte, x []float64)) {
	if o.Dst.DType != backend.Q8_A {
		return
	}
	x := direct{}.Load(o.X)
	eachRow(o.Dst, func(i, at int) {
		for j := 0; j < o.Dst.Dim(-1); j += 32 {
			f(o.Dst.Buf.(*referenceBuffer).data[o.Dst.DType.Bytes(at+j):][:36], x.v[i+j:i+j+32])
		}
	})
}

// wrongBlocks is a backend that rounds the magnitudes of activations to blocks by
// another rule.
func wrongBlocks(round func(x, d float64) float64) func() backend.Backend {
	return wrong(func(o *backend.Copy) {
		right(o)
		eachBlock(o, func(block []byte, x []float64) {
			d, sum := float64(float16.Frombits(binary.LittleEndian.Uint16(block)).Float32()), 0
			if !(d > 0) {
				return
			}
			for j, v := range x {
				q := int(math.Copysign(math.Min(127, round(math.Abs(v), d)), v))
				sum += q
				block[4+j] = byte(q)
			}
			binary.LittleEndian.PutUint16(block[2:], uint16(sum))
		})
	})
}

func TestDTypeMutants(t *testing.T) {
	for _, m := range dtypeMutants {
		t.Run(m.group+"/"+m.name, func(t *testing.T) {
			caught := examine(m.open, m.group)
			if len(caught) == 0 {
				t.Fatal("no check failed")
			}
			t.Log(caught[0])
		})
	}
}
