package vec

import (
	"fmt"
	"math"
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
		for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13} {
			for _, n := range []int{0, 1, 7, 8, 9, 16, 31, 33, 100} {
				for _, columns := range []int{1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 63, 64, 65, 131} {
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
