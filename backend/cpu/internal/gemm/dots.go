package gemm

import (
	"unsafe"

	"caldera/backend/cpu/internal/isa"
)

// Dots computes dst[r][c] += Σ x[r][i]·w[c][i] over i below n, for a number of rows and
// columns. dst overlaps neither x nor w.
func (ws *Workspace) Dots(dst, x Matrix, w Weights, rows, columns, n int) {
	switch {
	case rows < 1 || columns < 1 || n < 1:
	case use.inPlace(w.Format, rows, n):
		ws.dotsInPlace(dst, x, w, rows, columns, n)
	default:
		for r := 0; r < rows; r += manyRows {
			below := Matrix{x.Data[r*x.Stride:], x.Stride}
			ws.dotsBlocked(Matrix{dst.Data[r*dst.Stride:], dst.Stride}, below, w, min(manyRows, rows-r), columns, n)
		}
	}
}

// aheadBytes are at least between weights that are multiplied and those that are asked for.
const aheadBytes = 8 << 10

// rowsAhead is how many rows of w before they are converted memory is asked for.
const rowsAhead = 8

// runAhead is how many bytes each run of rows is asked for before they are read.
const runAhead = 1 << 10

// Runs is in how many runs, equal parts of the columns that [Workspace.Dots] is given, the weights of a single row of n
// numbers of x are read at once; 1: they are read one after the other.
func Runs(w Weights, n int) int {
	if w.Stride != w.size(n) || use.fetch == nil || !use.inPlace(w.Format, 1, n) {
		return 1
	}
	return use.dots[w.kind][0].columns
}

// dotsInRuns computes columns of the only row, and returns how many: those of whole tiles. The rows of w that a tile reads
// at once are far from each other: each is followed by the one that its place has next, so that memory is read in
// as many long runs, which the processor foresees, rather than in rows that are too short for that. At the end of runs it is
// the next ones' beginning that is asked for.
func (ws *Workspace) dotsInRuns(dst, x Matrix, w Weights, columns, n int) int {
	t := use.dots[w.kind][0]
	rows, d := isa.RunRows(columns, t.columns, w.Stride), depth(n)
	far, sums := rows*w.Stride, grow(&ws.sums, t.columns)
	for c := range rows {
		for k := range t.columns {
			sums[k] = dst.Data[c+k*rows]
		}
		for i := 0; i < n; i += d {
			from := c*w.Stride + w.size(i)
			ahead := isa.AfterRun(from+runAhead, t.columns, far) - from
			t.run(&sums[0], 4*t.columns, x.at(0, i), 4*x.Stride, 1, w.at(c, i), far, min(d, n-i), ahead)
		}
		for k := range t.columns {
			dst.Data[c+k*rows] = sums[k]
		}
	}
	return rows * t.columns
}

// dotsInPlace reads each weight from memory once, and where it lies.
func (ws *Workspace) dotsInPlace(dst, x Matrix, w Weights, rows, columns, n int) {
	done := 0
	if rows == 1 && Runs(w, n) > 1 {
		done = ws.dotsInRuns(dst, x, w, columns, n)
	}
	d := depth(n)
	for i := 0; i < n; i += d {
		k := min(d, n-i)
		for c := done; c < columns; {
			t := use.dot(w.kind, columns-c)
			ahead := t.columns * w.Stride * (1 + aheadBytes/(t.columns*w.size(k)))
			t.run(dst.at(0, c), 4*dst.Stride, x.at(0, i), 4*x.Stride, rows, w.at(c, i), w.Stride, k, ahead)
			c += t.columns
		}
		use.dotRest(dst, x, w, rows, columns, i, k)
	}
}

// dotsBlocked copies x and w where they are not float32, and where their rows lie so far
// apart that they would drive each other out of the cache.
func (ws *Workspace) dotsBlocked(dst, x Matrix, w Weights, rows, columns, n int) {
	d, wide := depth(n), blockColumns
	if rows <= fewRows/2 { // as much as the L1 cache holds beside some rows of x
		wide = use.fewColumns
	}
	for i := 0; i < n; i += d {
		k := min(d, n-i)
		from, copied := Matrix{x.Data[i:], x.Stride}, k < n && rows > fewDeepRows
		if copied {
			from = Matrix{grow(&ws.x, rows*k), k}
			for r := range rows {
				copy(from.Data[r*k:][:k], x.Data[r*x.Stride+i:])
			}
		}
		for c0 := 0; c0 < columns; c0 += wide {
			width := min(wide, columns-c0)
			block := Weights{w.Format, w.Data[c0*w.Stride+w.size(i):], w.Stride}
			if w.kind != kindF32 || copied {
				panel := Matrix{grow(&ws.w, width*k), k}
				for c := range width {
					use.ahead(w, c0+c+rowsAhead, i, k)
					w.Row(panel.Data[c*k:][:k], c0+c, i)
				}
				block = panel.Weights()
			}
			for r := 0; r < rows; r += blockRows {
				high := min(blockRows, rows-r)
				for c := 0; c < width; {
					t := use.dot(kindF32, width-c)
					t.run(dst.at(r, c0+c), 4*dst.Stride, from.at(r, 0), 4*from.Stride, high, block.at(c, 0), block.Stride, k, t.columns*block.Stride)
					c += t.columns
				}
				sums := Matrix{dst.Data[r*dst.Stride+c0:], dst.Stride}
				use.dotRest(sums, Matrix{from.Data[r*from.Stride:], from.Stride}, block, high, width, 0, k)
			}
		}
	}
}

// dotRest adds the products of the numbers that are left of k where kernels take whole
// registers only, from i on.
func (s *kernels) dotRest(dst, x Matrix, w Weights, rows, columns, i, k int) {
	rest := k % s.lanes
	if rest == 0 || s.tails || w.kind != kindF32 {
		return
	}
	i += k - rest
	for c := range columns {
		v := unsafe.Slice((*float32)(unsafe.Pointer(w.at(c, i))), rest)
		for r := range rows {
			var sum float32
			for j, a := range x.Data[r*x.Stride+i:][:rest] {
				sum += float32(a * v[j])
			}
			dst.Data[r*dst.Stride+c] += sum
		}
	}
}
