package gpt

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"

	"caldera/backend"
	"caldera/gpt/safetensors"
)

// stored describes a dtype in which checkpoints store weights.
type stored struct {
	dtype   backend.DType // the same type here, or None
	natural backend.DType // what it is kept as when nothing else is asked for
	bytes   int
	decode  func(dst []float32, src []byte)
}

var storages = map[safetensors.DType]*stored{
	safetensors.F32: {backend.F32, backend.F32, 4, func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	}},
	safetensors.F16: {backend.F16, backend.F16, 2, func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float16.Frombits(binary.LittleEndian.Uint16(src[2*i:])).Float32()
		}
	}},
	safetensors.BF16: {backend.None, backend.F32, 2, func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	}},
}

// storage is how a checkpoint stores d, or nil where d holds no weights.
func storage(d safetensors.DType) *stored { return storages[d] }

// converter writes a matrix or vector of a checkpoint into a tensor, in pieces
// so that memory stays bounded however large it is.
type converter struct {
	b         backend.Backend
	stored    *stored
	data      []byte        // row-major
	dtype     backend.DType // F32 or F16
	transpose bool
}

// pieceLen is the number of elements converted at a time.
const pieceLen = 1 << 20

// write fills dst, which is contiguous and has the shape of the result. It stops
// between pieces when ctx ends.
func (c *converter) write(ctx context.Context, dst Tensor) error {
	rows, cols := dst.Dim(-2), dst.Dim(-1)
	step := max(1, pieceLen/cols)
	floats := make([]float32, step*cols)
	out := make([]byte, 0, c.dtype.Bytes(len(floats)))
	for r := 0; r < rows; r += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(step, rows-r)
		piece := floats[:n*cols]
		if c.transpose {
			c.columns(piece, r, n, rows, cols)
		} else {
			c.stored.decode(piece, c.data[r*cols*c.stored.bytes:])
		}
		var err error
		if out, err = encode(out[:0], c.dtype, piece); err != nil {
			return err
		}
		if err := c.b.Write(dst.Buf, c.dtype.Bytes(dst.Offset+r*cols), out); err != nil {
			return err
		}
	}
	return nil
}

// columns reads n columns of the stored matrix, [cols, rows], from column r on,
// into piece, [n, cols].
func (c *converter) columns(piece []float32, r, n, rows, cols int) {
	line := make([]float32, n)
	for i := range cols {
		c.stored.decode(line, c.data[(i*rows+r)*c.stored.bytes:])
		for j, v := range line {
			piece[j*cols+i] = v
		}
	}
}

// encode appends values to p as dtype d, F32 or F16.
func encode(p []byte, d backend.DType, values []float32) ([]byte, error) {
	for _, v := range values {
		if d == backend.F32 {
			p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
			continue
		}
		h := float16.Fromfloat32(v)
		if h.IsInf(0) && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("the weight %g does not fit f16, whose largest number is 65504: use f32", v)
		}
		p = binary.LittleEndian.AppendUint16(p, h.Bits())
	}
	return p, nil
}
