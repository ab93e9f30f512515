package gpt

import (
	"context"
	"encoding/binary"
	"math"

	"caldera/backend"
)

// stored describes a dtype in which checkpoints store weights.
type stored struct {
	dtype   backend.DType // the same type here, or None
	natural backend.DType // what it is kept as when nothing else is asked for
	block   int           // elements that share a block
	bytes   int           // of a block
	decode  func(dst []float32, src []byte)
}

// storages are the dtypes by the name that both formats give them.
var storages = map[string]*stored{
	"F32":  sameAs(backend.F32),
	"F16":  sameAs(backend.F16),
	"Q8_0": sameAs(backend.Q8_0), // in GGUF only, as the next
	"Q4_0": sameAs(backend.Q4_0),
	"BF16": {backend.None, backend.F32, 1, 2, func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	}},
}

func sameAs(d backend.DType) *stored {
	return &stored{d, d, d.BlockLen(), d.BlockBytes(), func(dst []float32, src []byte) {
		if err := backend.Decode(dst, d, src); err != nil {
			panic(err) // shapes and sizes were checked when the file was opened
		}
	}}
}

// storage is how a checkpoint stores a dtype, or nil where it holds no weights.
func storage(dtype string) *stored { return storages[dtype] }

// at is where element i lies, which begins a block.
func (s *stored) at(i int) int { return i / s.block * s.bytes }

// converter turns a matrix or vector of a checkpoint into another dtype or
// layout, in pieces so that memory stays bounded however large it is.
type converter struct {
	stored    *stored
	data      []byte        // row-major
	dtype     backend.DType // of the result, as shape
	shape     []int
	transpose bool
	rows      func(r int) int // which row of the data is row r of the result, without transpose; nil: row r
}

// pieceLen is the number of elements converted at a time.
const pieceLen = 1 << 20

// write fills dst, a tensor of b that is contiguous and has the shape of the
// result. It stops between pieces when ctx ends.
func (c *converter) write(ctx context.Context, b backend.Backend, dst Tensor) error {
	at := c.dtype.Bytes(dst.Offset)
	return c.pieces(func(p []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := b.Write(dst.Buf, at, p)
		at += len(p)
		return err
	})
}

// pieces makes the result and calls yield with one part after the other.
func (c *converter) pieces(yield func(p []byte) error) error {
	if c.dtype == c.stored.dtype && !c.transpose && c.rows == nil {
		return yield(c.data)
	}
	rows, cols := 1, c.shape[0]
	if len(c.shape) > 1 {
		rows, cols = c.shape[0], c.shape[1]
	} else if c.rows != nil { // the numbers of a bias are as the rows of its matrix
		rows, cols = cols, 1
	}
	// Blocks of the stored matrix may run along its columns: they are not cut.
	step := max(c.stored.block, pieceLen/cols/c.stored.block*c.stored.block)
	floats := make([]float32, min(step, rows)*cols)
	out := make([]byte, 0, c.dtype.Bytes(len(floats)))
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		piece := floats[:n*cols]
		data := c.data[c.stored.at(r*cols):]
		if c.rows != nil {
			data = nil
			for i := range n {
				from := c.rows(r + i)
				data = append(data, c.data[c.stored.at(from*cols):c.stored.at((from+1)*cols)]...)
			}
		}
		var err error
		switch {
		case c.transpose:
			c.columns(piece, r, n, rows, cols)
		case c.dtype == c.stored.dtype:
			out, piece = append(out[:0], data...), nil
		default:
			c.stored.decode(piece, data)
		}
		if piece != nil {
			out, err = backend.Encode(out[:0], c.dtype, piece)
		}
		if err != nil {
			return err
		}
		if err := yield(out); err != nil {
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
		c.stored.decode(line, c.data[c.stored.at(i*rows+r):])
		for j, v := range line {
			piece[j*cols+i] = v
		}
	}
}
