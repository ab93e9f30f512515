package gemm

import "unsafe"

// Outer computes dst[r][c] += Σ x[r][i]·w[i][c] over i below n, for a number of rows and
// columns. dst overlaps neither x nor w.
func (ws *Workspace) Outer(dst, x Matrix, w Weights, rows, columns, n int) {
	ws.outer(dst, vectors{x.Data, x.Stride, 1}, w, rows, columns, n)
}

// OuterTransposed is Outer for the transpose of x: dst[r][c] += Σ x[i][r]·w[i][c].
func (ws *Workspace) OuterTransposed(dst, x Matrix, w Weights, rows, columns, n int) {
	ws.outer(dst, vectors{x.Data, 1, x.Stride}, w, rows, columns, n)
}

// vectors is a matrix in either orientation: its rows begin stride elements apart, and the
// numbers of each lie step apart.
type vectors struct {
	data         []float32
	stride, step int
}

// Rows of w that meet all rows of x before the next are read, and how many columns ahead of
// them memory is asked for. A single row of x takes longer strips, as memory is read
// ahead best.
const (
	outerRun, outerLead = 32, 144
	oneRun, oneLead     = 64, 192
)

const (
	// How many columns are put into one piece for many rows of x, and the most at the end.
	strip, stripTail = 48, 64
	// farRows is from how many bytes on rows of w are put into one piece: a page. Strips of
	// nearer rows are read where they lie as fast as from one piece.
	farRows = 4096
)

func (ws *Workspace) outer(dst Matrix, x vectors, w Weights, rows, columns, n int) {
	if rows < 1 || columns < 1 || n < 1 {
		return
	}
	most := fewRows
	if w.kind != kindF32 {
		most = fewHalfRows
	}
	if rows > most || len(use.outers[w.kind]) == 0 {
		for r := 0; r < rows; r += manyRows {
			below := vectors{x.data[r*x.stride:], x.stride, x.step}
			ws.outerPacked(Matrix{dst.Data[r*dst.Stride:], dst.Stride}, below, w, min(manyRows, rows-r), columns, n)
		}
		return
	}
	run, lead := outerRun, outerLead
	if rows == 1 {
		run, lead = oneRun, oneLead
	}
	for i := 0; i < n; i += run {
		k := min(run, n-i)
		part := vectors{x.data[i*x.step:], x.stride, x.step}
		for c := 0; c < columns; {
			t := use.outer(w.kind, rows, columns-c)
			if t == nil {
				ws.narrow(Matrix{dst.Data[c:], dst.Stride}, part, w, rows, columns-c, i, c, k)
				break
			}
			width, ahead := min(t.columns, columns-c), w.size(lead)
			if c+lead >= columns { // in the rows that follow
				ahead += run*w.Stride - w.size(columns)
			}
			t.run(dst.at(0, c), 4*dst.Stride, &part.data[0], 4*x.stride, 4*x.step, rows, w.at(i, c), w.Stride, k, width, ahead)
			c += width
		}
	}
}

// outerPacked puts a strip of w into float32, one row after the other, for many rows of x. One
// that is float32 already, and whose rows are near each other, stays where it lies.
func (ws *Workspace) outerPacked(dst Matrix, x vectors, w Weights, rows, columns, n int) {
	for i := 0; i < n; i += maxDepth {
		k := min(maxDepth, n-i)
		part := vectors{x.data[i*x.step:], x.stride, x.step}
		group := rows // rows of x that lie as the kernel takes them
		if x.step != 1 {
			group = eight
			part = ws.transpose(part, rows, k)
		}
		for c0 := 0; c0 < columns; {
			width := columns - c0
			if width > stripTail {
				width = strip
			}
			panel := Weights{w.Format, w.Data[i*w.Stride+w.size(c0):], w.Stride}
			if w.kind != kindF32 || w.Stride >= farRows {
				piece := Matrix{grow(&ws.w, k*width), width}
				for j := range k {
					use.ahead(w, i+j+2*rowsAhead, c0, width)
					w.Row(piece.Data[j*width:][:width], i+j, c0)
				}
				panel = piece.Weights()
			}
			for c := 0; c < width; {
				t := use.outer(kindF32, rows, width-c)
				wide := width - c
				if t != nil {
					wide = min(t.columns, wide)
				}
				for r := 0; r < rows; r += group {
					x, high := part.from(r, k), min(group, rows-r)
					if t == nil {
						ws.narrow(Matrix{dst.Data[r*dst.Stride+c0+c:], dst.Stride}, x, panel, high, wide, 0, c, k)
						continue
					}
					t.run(dst.at(r, c0+c), 4*dst.Stride, &x.data[0], 4*x.stride, 4*x.step, high, panel.at(0, c), panel.Stride, k, wide, 8*panel.Stride)
				}
				c += wide
			}
			c0 += width
		}
	}
}

// from is the rows from r on, where transpose put n numbers of each, or where they lie.
func (x vectors) from(r, n int) vectors {
	first := r * x.stride
	if x.step != 1 {
		first = r / eight * panelLen(n)
	}
	x.data = x.data[first:]
	return x
}

// narrow does the last columns, from column c on, where no kernel is as narrow, with k rows of
// w from row i on. It widens them to float32, and beyond them to what a kernel takes.
func (ws *Workspace) narrow(dst Matrix, x vectors, w Weights, rows, columns, i, c, k int) {
	tiles := use.outers[kindF32]
	t := tiles[len(tiles)-1]
	width := (columns + t.columns - 1) / t.columns * t.columns
	panel, sums := Matrix{grow(&ws.last, k*width), width}, Matrix{grow(&ws.sums, rows*width), width}
	clear(panel.Data)
	clear(sums.Data)
	for j := range k {
		w.Row(panel.Data[j*width:][:columns], i+j, c)
	}
	for r := range rows {
		copy(sums.Data[r*width:][:columns], dst.Data[r*dst.Stride:])
	}
	for c := 0; c < width; c += t.columns {
		t.run(sums.at(0, c), 4*width, &x.data[0], 4*x.stride, 4*x.step, rows, panel.Weights().at(0, c), 4*width, k, t.columns, 0)
	}
	for r := range rows {
		copy(dst.Data[r*dst.Stride:][:columns], sums.Data[r*width:])
	}
}

const eight = 8

// panelLen is from where one panel of n numbers of eight rows begins to the next: a cache line more than it
// holds, so that lines of many panels that are written by turns are of different sets of a cache.
func panelLen(n int) int { return eight*n + 16 }

// transpose copies rows eight by eight into panels, in which the numbers that eight rows have at
// one place lie beside each other. All numbers of a place are read one after the other, as they lie:
// memory is read ahead then.
func (ws *Workspace) transpose(x vectors, rows, n int) vectors {
	panel := panelLen(n)
	to := grow(&ws.x, (rows+eight-1)/eight*panel)
	whole := rows &^ (eight - 1)
	for i := range n {
		from, first := x.data[i*x.step:][:rows], i*eight
		for r := 0; r < whole; r += eight { // Go calls a function to copy an array
			src, dst := (*[4]uint64)(unsafe.Pointer(&from[r])), (*[4]uint64)(unsafe.Pointer(&to[first]))
			dst[0], dst[1], dst[2], dst[3] = src[0], src[1], src[2], src[3]
			first += panel
		}
		if whole < rows {
			copy(to[first:], from[whole:])
		}
	}
	return vectors{to, 1, eight}
}
