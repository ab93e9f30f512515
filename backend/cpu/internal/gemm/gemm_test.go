package gemm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"caldera/backend/cpu/internal/vec"
)

// onAll runs a test with the kernels of every instruction set of this processor.
func onAll(t *testing.T, f func(t *testing.T)) {
	before := use
	defer func() { use = before }()
	for _, s := range sets() {
		use = s
		t.Run(s.name, f)
	}
}

// A way is what a product is called, and where the number of a column and of a place of the
// sum lies in w, for rows and columns of w.
type way struct {
	name             string
	xAcross, wAcross bool // rows run along dst
	run              func(ws *Workspace, dst, x Matrix, w Weights, rows, columns, n int)
}

var ways = []way{
	{"dots", false, false, (*Workspace).Dots},
	{"outer", false, true, (*Workspace).Outer},
	{"outer transposed", true, true, (*Workspace).OuterTransposed},
}

// halfBlocks are blocks of 32 numbers of a byte, to try formats without kernels of their own.
var halfBlocks = Blocks(32, 32, func(dst []float32, src []byte) {
	for i, b := range src {
		dst[i] = float32(int8(b)) / 64
	}
})

var formats = []struct {
	name string
	Format
}{{"f32", F32}, {"f16", F16}, {"bf16", BF16}, {"blocks", halfBlocks}, {"q8", Q8}, {"q4", Q4}}

// encode returns rows of numbers in a format, gap bytes apart, and the numbers that it
// holds. The last row ends where the memory does.
func encode(f Format, rows, columns, gap int, value func() float32) (Weights, [][]float32) {
	w := Weights{Format: f, Stride: f.size(columns) + gap}
	w.Data = fenced(max(0, (rows-1)*w.Stride+f.size(columns)))
	numbers := make([][]float32, rows)
	for r := range rows {
		row := make([]float32, columns)
		for i := range row {
			row[i] = value()
		}
		to := w.Data[r*w.Stride:][:f.size(columns)]
		switch f.kind {
		case kindF32:
			copy(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(to))), columns), row)
		case kindF16:
			vec.F16.To(shorts(to), row)
		case kindBF16:
			vec.BF16.To(shorts(to), row)
		case kindQ8, kindQ4:
			for i := range to { // any bits are numbers, but for those of scales
				to[i] = byte(math.Float32bits(value()) >> 9)
			}
			for i := 0; i < len(to); i += f.Bytes {
				vec.F16.To(shorts(to[i:i+2]), []float32{value()})
			}
		default:
			for i, v := range row {
				to[i] = byte(int8(math.Round(float64(v * 16))))
			}
		}
		w.Row(row, r, 0)
		numbers[r] = row
	}
	return w, numbers
}

func matrix(rows, columns, gap int, value func() float32) Matrix {
	w, _ := encode(F32, rows, columns, 4*gap, value)
	return Matrix{unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(w.Data))), len(w.Data)/4), columns + gap}
}

// sizes are of tiles, one fewer and one more, and of several.
func sizes(most int) []int {
	var list []int
	for n := 1; n <= most; n++ {
		if n <= 9 || n%8 <= 1 || n%24 <= 1 || n%6 == 5 {
			list = append(list, n)
		}
	}
	return list
}

// TestProducts holds every kernel to sums in float64, at all sizes where tiles end. Matrices
// have rows apart, and end where memory does.
func TestProducts(t *testing.T) {
	onAll(t, func(t *testing.T) {
		var shapes [][3]int
		for _, rows := range sizes(70) {
			shapes = append(shapes, [3]int{rows, 53, 40}, [3]int{rows, 11, 64})
		}
		for _, columns := range sizes(110) {
			for _, rows := range []int{1, 5, 71} {
				shapes = append(shapes, [3]int{rows, columns, 24})
			}
		}
		for _, n := range []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 96, 767, 768, 769, 1000, 1536, 1600} {
			for _, rows := range []int{1, 3, 65} {
				shapes = append(shapes, [3]int{rows, 13, n})
			}
		}
		shapes = append(shapes, [3]int{manyRows + 9, 50, 33}, [3]int{manyRows + 9, 7, 769}, [3]int{70, farRows/4 + 9, 20})
		r := rand.New(rand.NewPCG(1, 2))
		value := func() float32 { return float32(r.NormFloat64()) }
		ws := new(Workspace)
		for _, way := range ways {
			for _, f := range formats {
				for _, s := range shapes {
					rows, columns, n := s[0], s[1], s[2]
					if f.Numbers > 1 && (way.wAcross || n%f.Numbers != 0) {
						continue
					}
					gap := r.IntN(3)
					x := matrix(rows, n, gap, value)
					if way.xAcross {
						x = matrix(n, rows, gap, value)
					}
					wRows, wColumns := columns, n
					if way.wAcross {
						wRows, wColumns = n, columns
					}
					w, numbers := encode(f.Format, wRows, wColumns, 4*r.IntN(2), value)
					dst := matrix(rows, columns, gap, value)
					before := slices.Clone(dst.Data)
					way.run(ws, dst, x, w, rows, columns, n)
					for i := range dst.Data {
						row, c := i/dst.Stride, i%dst.Stride
						if c >= columns {
							if dst.Data[i] != before[i] {
								t.Fatalf("%s %s %v: memory between rows of dst changed", way.name, f.name, s)
							}
							continue
						}
						want, bound := float64(before[i]), math.Abs(float64(before[i]))
						for j := range n {
							xr, xc, wr, wc := row, j, c, j
							if way.xAcross {
								xr, xc = j, row
							}
							if way.wAcross {
								wr, wc = j, c
							}
							a, b := x.Data[xr*x.Stride+xc], numbers[wr][wc]
							want += float64(a) * float64(b)
							bound += math.Abs(float64(a) * float64(b))
						}
						// Of n additions, each rounds by half a unit of at most the sum of magnitudes.
						if d := math.Abs(float64(dst.Data[i]) - want); !(d <= bound*float64(n+1)*0x1p-24) {
							t.Fatalf("%s %s %v: row %d column %d is %v, want %v", way.name, f.name, s, row, c, dst.Data[i], want)
						}
					}
				}
			}
		}
	})
}

// TestRowsAlone wants each row to have the same bits alone, among others, and where the columns
// are split in other places.
func TestRowsAlone(t *testing.T) {
	onAll(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		value := func() float32 { return float32(r.NormFloat64()) }
		ws := new(Workspace)
		for _, way := range ways {
			for _, f := range formats {
				for _, rows := range []int{2, 3, 4, 5, 8, 9, 31, 64, 65, 130} {
					n, columns := 1600, 101
					if f.Numbers > 1 && way.wAcross {
						continue
					}
					x := matrix(rows, n, 0, value)
					if way.xAcross {
						x = matrix(n, rows, 0, value)
					}
					wRows, wColumns := columns, n
					if way.wAcross {
						wRows, wColumns = n, columns
					}
					w, _ := encode(f.Format, wRows, wColumns, 0, value)
					all := matrix(rows, columns, 0, func() float32 { return 1 })
					way.run(ws, all, x, w, rows, columns, n)
					for _, row := range []int{0, rows / 2, rows - 1} {
						one := x
						one.Data = x.Data[row*x.Stride:]
						if way.xAcross {
							one.Data = x.Data[row:]
						}
						for from := 0; from < columns; {
							to := min(columns, from+1+r.IntN(60))
							part := w
							if part.Data = w.Data[from*w.Stride:]; way.wAcross {
								part.Data = w.Data[w.size(from):]
							}
							alone := Matrix{slices.Repeat([]float32{1}, to-from), to - from}
							way.run(ws, alone, one, part, 1, to-from, n)
							if !slices.Equal(alone.Data, all.Data[row*all.Stride:][from:to]) {
								t.Fatalf("%s %s: row %d of %d has other bits alone, in columns %d to %d", way.name, f.name, row, rows, from, to)
							}
							from = to
						}
					}
				}
			}
		}
	})
}

// TestNoNumbers wants NaN and infinities to reach the sums that they are part of, and no
// others.
func TestNoNumbers(t *testing.T) {
	onAll(t, func(t *testing.T) {
		ws := new(Workspace)
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		one := func() float32 { return 1 }
		for _, way := range ways {
			for _, f := range formats[:3] {
				for _, s := range [][3]int{{1, 7, 19}, {6, 50, 33}, {70, 13, 48}} {
					rows, columns, n := s[0], s[1], s[2]
					x := matrix(rows, n, 0, one)
					at := func(r, i int) *float32 { return &x.Data[r*x.Stride+i] }
					if way.xAcross {
						x = matrix(n, rows, 0, one)
						at = func(r, i int) *float32 { return &x.Data[i*x.Stride+r] }
					}
					*at(0, n-1) = nan
					wRows, wColumns := columns, n
					if way.wAcross {
						wRows, wColumns = n, columns
					}
					i := -1
					w, _ := encode(f.Format, wRows, wColumns, 0, func() float32 {
						i++
						c, k := i/n, i%n
						if way.wAcross {
							c, k = i%columns, i/columns
						}
						if c == columns-1 && k == n/2 {
							return inf
						}
						return 1
					})
					dst := matrix(rows, columns, 0, one)
					way.run(ws, dst, x, w, rows, columns, n)
					for r := range rows {
						for c, v := range dst.Data[r*columns:][:columns] {
							ok := v == float32(n+1)
							switch {
							case r == 0:
								ok = v != v
							case c == columns-1:
								ok = v == inf
							}
							if !ok {
								t.Fatalf("%s %s %v: row %d column %d is %v", way.name, f.name, s, r, c, v)
							}
						}
					}
				}
			}
		}
	})
}

func TestDepth(t *testing.T) {
	for n := 1; n < 5000; n++ {
		d := depth(n)
		if d > maxDepth || d%depthUnit != 0 {
			t.Errorf("parts of %d are %d", n, d)
		}
	}
}
