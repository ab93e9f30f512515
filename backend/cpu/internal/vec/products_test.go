package vec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// spread is a matrix of random numbers with some that are NaN between its vectors, which
// nobody may read.
func spread(rows, n, gap int, seed float64) Matrix {
	m := Matrix{random(rows*(n+gap)+gap, seed), rows, n + gap}
	for r := range rows {
		for i := range gap {
			m.Data[r*m.Stride+n+i] = float32(math.NaN())
		}
	}
	return m
}

// TestProducts tries every number of rows up to two tiles and more, and widths beside
// each multiple of a tile. The same numbers must come out whatever rows stand beside.
func TestProducts(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, rows := range []int{1, 2, 3, 4, 5, 7, 8, 9} {
			for _, n := range []int{0, 1, 7, 8, 16, 31, 33, 100} {
				for _, columns := range []int{1, 3, 4, 7, 15, 17, 63, 64, 65, 131} {
					testProducts(t, rows, n, columns)
				}
			}
		}
	})
}

func testProducts(t *testing.T, rows, n, columns int) {
	gap := n % 3
	x, w := spread(rows, n, gap, 1), spread(columns, n, gap, 2)
	across := spread(n, columns, gap, 0) // w, the other way round
	for c := range columns {
		for i := range n {
			across.row(i)[c] = w.row(c)[i]
		}
	}
	for name, product := range map[string]func(dst, x Matrix){
		"dots":  func(dst, x Matrix) { Dots(dst, x, w, n, Ahead{}) },
		"axpys": func(dst, x Matrix) { Axpys(dst, x, across, columns, Ahead{}) },
	} {
		dst := spread(rows, columns, gap, 3)
		before, alone := append([]float32{}, dst.Data...), append([]float32{}, dst.Data...)
		product(dst, x)
		for r := range rows {
			product(Matrix{alone[r*dst.Stride:], 1, dst.Stride}, Matrix{x.row(r), 1, x.Stride})
			for c := range columns {
				want, magnitude := float64(before[r*dst.Stride+c]), 1.0
				for i := range n {
					p := float64(x.row(r)[i]) * float64(w.row(c)[i])
					want, magnitude = want+p, magnitude+math.Abs(p)
				}
				near(t, fmt.Sprintf("%s: %d rows of %d, %d columns: at %d, %d", name, rows, n, columns, r, c), float64(dst.row(r)[c]), want, 1e-6*magnitude)
			}
		}
		for i, v := range dst.Data {
			at := fmt.Sprintf("%s: %d rows of %d, %d columns: number %d", name, rows, n, columns, i)
			if math.Float32bits(v) != math.Float32bits(alone[i]) {
				t.Fatalf("%s: %v, but %v where the row stands alone", at, v, alone[i])
			}
			if i >= (rows-1)*dst.Stride+columns || i%dst.Stride >= columns {
				if math.Float32bits(v) != math.Float32bits(before[i]) {
					t.Fatalf("%s: %v was written past the end", at, v)
				}
			}
		}
	}
}

// TestDots4 holds products with columns of other dtypes to those with the same columns in
// float32.
func TestDots4(t *testing.T) {
	pairs := func(p Pairs) (func([]float32, []byte), func(n int) []byte) {
		return func(dst []float32, src []byte) {
				h := make([]uint16, len(dst))
				binary.Decode(src, binary.NativeEndian, h)
				p.From(dst, h)
			}, func(n int) []byte {
				h := make([]uint16, n)
				p.To(h, random(n, 1))
				b, _ := binary.Append(nil, binary.NativeEndian, h)
				return b
			}
	}
	fromF16, makeF16 := pairs(F16)
	fromBF16, makeBF16 := pairs(BF16)
	eachPath(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			dots Dots4
			from func([]float32, []byte)
			make func(n int) []byte
		}{
			{"f16", DotsF16, fromF16, makeF16},
			{"bf16", DotsBF16, fromBF16, makeBF16},
			{"q8_0", DotsQ8, FromQ8, func(n int) []byte { return quantized(n/blockLen, q8Bytes) }},
			{"q4_0", DotsQ4, FromQ4, func(n int) []byte { return quantized(n/blockLen, q4Bytes) }},
		} {
			for _, n := range []int{32, 64, 96, 320} {
				w := c.make(4 * (n + 32)) // of which each column has 32 more, which nobody may read
				stride := len(w) / 4
				for _, rows := range []int{1, 2, 4, 5, 8, 11} {
					x, dst := spread(rows, n, 3, 1), spread(rows, 4, 2, 3)
					want := Matrix{slices.Clone(dst.Data), rows, dst.Stride}
					if c.dots(dst, x, w, stride, n-1, Ahead{}) {
						t.Errorf("%s: a part of a block was multiplied", c.name)
					}
					if can := c.dots(dst, x, w, stride, n, Ahead{}); can != wide {
						t.Errorf("%s: multiplied is %t, expected %t", c.name, can, wide)
					} else if !can {
						continue
					}
					columns := make([]float32, 4*n)
					for j := range 4 {
						c.from(columns[j*n:][:n], w[j*stride:])
					}
					Dots(want, x, Matrix{columns, 4, n}, n, Ahead{})
					if !slices.EqualFunc(dst.Data, want.Data, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
						t.Errorf("%s, %d rows of %d: got %v, with the same columns in float32 %v", c.name, rows, n, dst.Data, want.Data)
					}
				}
			}
		}
	})
}
