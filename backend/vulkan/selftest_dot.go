//go:build cgo

package vulkan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

// A driver may list integer dot products and compute them wrongly. So kernels use them only
// after a self-test: products of blocks with known results. It runs once for each open device,
// before the first op whose activations are in blocks.

// testDots runs the self-test at its first call and sets b.dotTest.
func (b *Backend) testDots() {
	t := &b.dotTest
	if t.done || !b.limits.FastDot {
		return
	}
	b.testSubgroups() // of what is tested, a part uses these
	t.passed = true   // so that the products take the kernels that are tested
	t.err = b.dotSelfTest()
	t.done = !errors.Is(t.err, backend.ErrOutOfMemory) // next time there may be enough memory
	t.passed = t.err == nil
}

// describeDots returns the result of the self-test for Describe, or "" if it has not run.
func (b *Backend) describeDots() string {
	switch t := &b.dotTest; {
	case t.passed:
		return ", integer dot products"
	case t.err != nil:
		return fmt.Sprintf(", no integer dot products: %v", t.err)
	}
	return ""
}

// The sizes of the self-test's products: of one row, and of so many that the last of them and of
// the outputs do not fill a workgroup.
const (
	dotIns, dotOuts = 192, 7
	dotRows         = 5
)

// dotSelfTest multiplies random bytes, the largest among them. Scales are powers of two, so that
// sums are exact; those of some rows of x are too small to be normal in f16.
func (b *Backend) dotSelfTest() error {
	r := rand.New(rand.NewPCG(1, 2))
	x := dotBlocks(r, backend.Q8_A, dotRows, func(row, _ int) uint16 { return []uint16{1 << 4, 0x3c00, 1}[row%3] }) // 2⁻²⁰, 1, 2⁻²⁴
	for _, d := range backend.QuantizedDTypes() {
		w := dotBlocks(r, d, dotOuts, func(_, block int) uint16 { return 0x3c00 - uint16(block%3)<<10 }) // 1, ½, ¼
		for _, rows := range []int{1, dotRows} {
			if err := b.testDotsOf(d, x, w, rows); err != nil {
				return fmt.Errorf("%v, %d rows: %w", d, rows, err)
			}
		}
	}
	return nil
}

// dotBlocks is rows of blocks of random numbers, and extreme ones. A block begins with its scale in f16.
func dotBlocks(r *rand.Rand, d backend.DType, rows int, scale func(row, block int) uint16) []byte {
	row := d.Bytes(dotIns)
	p := make([]byte, rows*row)
	for i := range p {
		p[i] = byte(r.Uint32())
		if r.IntN(4) == 0 {
			p[i] = []byte{0x7f, 0x81}[r.IntN(2)]
		}
		if d == backend.Q8_A && p[i] == 0x80 { // which no activation is
			p[i] = 0x7f
		}
	}
	for i := range rows {
		for j := range dotIns / 32 {
			block := p[i*row+j*d.Bytes(32):]
			binary.LittleEndian.PutUint16(block, scale(i, j))
			if d == backend.Q8_A {
				sum := 0
				for _, q := range block[4:36] {
					sum += int(int8(q))
				}
				binary.LittleEndian.PutUint16(block[2:], uint16(int16(sum)))
			}
		}
	}
	return p
}

// testDotsOf multiplies the first rows of x with w, and checks the results.
func (b *Backend) testDotsOf(d backend.DType, x, w []byte, rows int) error {
	numbers := [2][]float32{make([]float32, rows*dotIns), make([]float32, dotOuts*dotIns)}
	var tensors [3]backend.Tensor
	for i, c := range []struct {
		d     backend.DType
		n     int
		bytes []byte
	}{{backend.Q8_A, rows, x}, {d, dotOuts, w}, {backend.F32, rows, nil}} {
		width := dotIns
		if c.bytes == nil {
			width = dotOuts
		}
		size := c.d.Bytes(c.n * width)
		buf, err := b.alloc(uint64(size))
		if err != nil {
			return err
		}
		defer buf.Free()
		tensors[i] = backend.Of(buf, c.d, 0, c.n, width)
		if c.bytes == nil {
			continue
		}
		if err := b.write(buf, 0, c.bytes[:size]); err != nil {
			return err
		}
		if err := backend.Decode(numbers[i], c.d, c.bytes); err != nil {
			return err
		}
	}
	op := backend.Linear{X: tensors[0], W: tensors[1], Dst: tensors[2]}
	err := b.run(func(e *encoder) error {
		e.name = "self-test of integer dot products"
		return encodeLinear(e, linearOpOf(&op))
	})
	if err != nil {
		return err
	}
	got := make([]float32, rows*dotOuts)
	if err := backend.GetF32(b, op.Dst, got); err != nil {
		return err
	}
	for at, v := range got {
		sum, row, out := float32(0), at/dotOuts, at%dotOuts
		for i := range dotIns {
			sum += numbers[0][row*dotIns+i] * numbers[1][out*dotIns+i]
		}
		if v != sum {
			return fmt.Errorf("row %d, output %d: the sum is %v, expected %v", row, out, v, sum)
		}
	}
	return nil
}
