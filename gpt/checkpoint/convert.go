package checkpoint

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"

	"caldera/backend"
	"caldera/gpt/checkpoint/tensorfile"
)

// decode reads elements from src, whose size was checked when the file was opened.
func decode(dst []float32, d backend.DType, src []byte) {
	if err := backend.Decode(dst, d, src); err != nil {
		panic(err)
	}
}

// converter turns a matrix or vector of a checkpoint into another dtype or
// layout, in pieces so that memory stays bounded however large it is, several at a time.
type converter struct {
	stored    backend.DType
	data      []byte        // row-major
	dtype     backend.DType // of the result, as shape
	shape     []int
	transpose bool
	rows      func(r int) int // which row of the data is row r of the result, where it is not transposed; nil: row r
	more      float32         // what is added to each number
}

// pieceLen is the number of elements converted at a time.
const pieceLen = 1 << 20

// write fills dst, a tensor of b that is contiguous and has the shape of the
// result. It stops between pieces when ctx ends.
func (c *converter) write(ctx context.Context, b backend.Backend, dst backend.Tensor) error {
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
	data := c.data
	if c.rows != nil { // of a matrix, or of the bias that belongs to it
		size := len(data) / c.shape[0]
		data = make([]byte, 0, len(data))
		for r := range c.shape[0] {
			data = append(data, c.data[c.rows(r)*size:][:size]...)
		}
	}
	if c.dtype == c.stored && !c.transpose && c.more == 0 {
		return yield(data)
	}
	rows, cols := 1, c.shape[0]
	if len(c.shape) > 1 {
		cols = c.shape[len(c.shape)-1]
		rows = int(tensorfile.Elements(c.shape)) / cols
	}
	if c.dtype == c.stored && !c.dtype.Quantized() && c.more == 0 { // it is transposed
		return c.transposed(rows, cols, yield)
	}
	// Blocks of the stored matrix may run along its columns: they are not cut.
	block := c.stored.BlockLen()
	step := max(block, pieceLen/cols/block*block)
	return inPieces(rows, step, func(p *piece, r, n int) (err error) {
		p.floats = slices.Grow(p.floats[:0], n*cols)[:n*cols]
		if c.transpose {
			c.columns(p.floats, r, n, rows, cols)
		} else {
			decode(p.floats, c.stored, data[c.stored.Bytes(r*cols):])
		}
		if c.more != 0 {
			for i := range p.floats {
				p.floats[i] += c.more
			}
		}
		p.out, err = backend.Encode(p.out[:0], c.dtype, p.floats)
		return err
	}, yield)
}

// piece is rows under conversion.
type piece struct {
	floats []float32
	out    []byte
	err    error
}

// inPieces calls yield with one part after the other, of so many rows each, that convert has put into p.out. As many are made
// at the same time as Go uses processors, at most 8.
func inPieces(rows, step int, convert func(p *piece, r, n int) error, yield func([]byte) error) error {
	var pieces [8]piece
	for r := 0; r < rows; {
		var working sync.WaitGroup
		round := pieces[:min(len(pieces), runtime.GOMAXPROCS(0), (rows-r+step-1)/step)]
		for i := range round {
			p, first, n := &round[i], r, min(step, rows-r)
			working.Go(func() { p.err = convert(p, first, n) })
			r += n
		}
		working.Wait()
		for _, p := range round {
			if p.err != nil {
				return p.err
			}
			if err := yield(p.out); err != nil {
				return err
			}
		}
	}
	return nil
}

// transposed is pieces for a result, [rows, cols], of the dtype that is stored: its
// elements, of two or four bytes, change their places.
func (c *converter) transposed(rows, cols int, yield func(p []byte) error) error {
	return inPieces(rows, max(1, pieceLen/cols), func(p *piece, r, n int) error {
		size := c.dtype.Bytes(n * cols)
		p.out = slices.Grow(p.out[:0], size)[:size]
		if c.dtype.BlockBytes() == 2 {
			transpose2(p.out, c.data[2*r:], n, cols, rows)
		} else {
			transpose4(p.out, c.data[4*r:], n, cols, rows)
		}
		return nil
	}, yield)
}

// transposeTile is the edge of the squares in which a matrix is transposed, so that the lines of
// memory that are read stay in cache.
const transposeTile = 32

// transpose2 writes dst, [rows, cols], of elements of two bytes. Element (r, c) is at src[c·pitch + r].
func transpose2(dst, src []byte, rows, cols, pitch int) {
	for c0 := 0; c0 < cols; c0 += transposeTile {
		c1 := min(c0+transposeTile, cols)
		for r := range rows {
			for c := c0; c < c1; c++ {
				binary.LittleEndian.PutUint16(dst[2*(r*cols+c):], binary.LittleEndian.Uint16(src[2*(c*pitch+r):]))
			}
		}
	}
}

// transpose4 is transpose2 for elements of four bytes.
func transpose4(dst, src []byte, rows, cols, pitch int) {
	for c0 := 0; c0 < cols; c0 += transposeTile {
		c1 := min(c0+transposeTile, cols)
		for r := range rows {
			for c := c0; c < c1; c++ {
				binary.LittleEndian.PutUint32(dst[4*(r*cols+c):], binary.LittleEndian.Uint32(src[4*(c*pitch+r):]))
			}
		}
	}
}

// columns reads n columns of the stored matrix, [cols, rows], from column r on,
// into piece, [n, cols].
func (c *converter) columns(piece []float32, r, n, rows, cols int) {
	line := make([]float32, n)
	for i := range cols {
		decode(line, c.stored, c.data[c.stored.Bytes(i*rows+r):])
		for j, v := range line {
			piece[j*cols+i] = v
		}
	}
}
