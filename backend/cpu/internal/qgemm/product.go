package qgemm

import "unsafe"

// Product is dst = init + x · wᵀ, where w is [outputs, in] and x has been packed.
type Product struct {
	Kernels
	Dst        []float32
	DstStride  int
	Init       []float32 // may be dst; nil: 0
	InitStride int       // 0: one row for all
	X          []byte    // from PackRow, or a row of q8_a: see Kernels.Unpacked
	Rows       int
	W          []byte // row after row
	WStride    int    // bytes from one to the next
	In         int    // inputs: a multiple of the format's Len
}

// Workspace is memory that a thread needs to multiply.
type Workspace struct {
	panel    []byte
	weights  []byte // of a strip that is not whole
	sums     [TileRows * MaxWidth]float32
	zeros    [MaxWidth]float32
	unpacked unpacked
	pairs    pairs
}

// MaxWidth is the largest width of a strip.
const MaxWidth = 32

// panelLen is the number of weights in a panel, or a little less: with their scales they fit an
// L1 cache of 32 KiB.
const panelLen = 24 << 10

// fewRows is up to how many rows panels are a third as long. The weights that come next are loaded meanwhile
// and need their part of the cache; with more rows longer panels save passes over dst.
const fewRows = 2 * TileRows

// firstStrip is at most how many bytes are asked for before the first strip of few rows is read. Those of the
// others are asked for while the strip before is read.
const firstStrip = 32 << 10

// grown is p with n bytes, contents undefined.
func grown(p []byte, n int) []byte {
	if cap(p) < n {
		return make([]byte, n)
	}
	return p[:n]
}

// Columns computes columns [c0, c1) of rows [r0, r1). c0 is a multiple of Width; r0 is a multiple of TileRows,
// and r1 is too, or is the number of rows.
func (p *Product) Columns(ws *Workspace, r0, r1, c0, c1 int) {
	if p.one.run != nil {
		p.oneRow(ws, c0, c1)
		return
	}
	depth := panelLen / p.Width / 256 * 256 // whole blocks of every format
	if r1-r0 <= fewRows && c0 < c1 {
		depth /= 3
		prefetch(&p.W[c0*p.WStride], min(firstStrip, min(p.Width, c1-c0)*p.rowLen()))
	}
	for c := c0; c < c1; c += p.Width {
		columns := min(p.Width, c1-c)
		for from := 0; from < p.In; from += depth {
			p.strip(ws, r0, r1, c, columns, from, min(depth, p.In-from))
		}
	}
}

// rowLen is the number of bytes of a row of weights.
func (p *Product) rowLen() int { return p.In / p.f.Len * p.f.Bytes }

// address is where the weights of column c begin, or would. What comes next is asked for from its first byte to the
// last, while weights are read: rows are too short for the processor to foresee it.
func (p *Product) address(c int) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(p.W))) + uintptr(c*p.WStride)
}

// strip adds the products of n inputs.
func (p *Product) strip(ws *Workspace, r0, r1, c, columns, from, n int) {
	p.panel(ws, c, columns, from, n)
	groups, rowBytes := n/p.f.Group, p.f.rowBytes(p.In)
	init, initStride, at := p.Init, p.InitStride, c
	switch {
	case from > 0:
		init, initStride = p.Dst, p.DstStride
	case init == nil:
		init, initStride, at = ws.zeros[:], 0, 0
	}
	for r := r0; r < r1; {
		_, rows := tileOf(r, p.Rows)
		x := p.X[r*rowBytes+rows*p.f.rowBytes(from):][:rows*p.f.rowBytes(n)]
		p.tile(ws, p.Dst[r*p.DstStride+c:], init[r*initStride+at:], initStride, rows, columns, x, groups)
		r += rows
	}
}

// tile computes a tile of dst.
func (p *Product) tile(ws *Workspace, dst, init []float32, initStride, rows, columns int, x []byte, groups int) {
	dstStride := p.DstStride
	whole := columns == p.Width
	to := dst
	if !whole {
		for r := range rows {
			copy(ws.sums[r*MaxWidth:][:columns], init[r*initStride:])
		}
		to, dstStride, init, initStride = ws.sums[:], MaxWidth, ws.sums[:], MaxWidth
	}
	_, _ = to[(rows-1)*dstStride+p.Width-1], init[(rows-1)*initStride+p.Width-1]
	if f := p.tiles[rows]; f != nil {
		f(&to[0], 4*dstStride, &init[0], 4*initStride, unsafe.SliceData(x), unsafe.SliceData(ws.panel), groups)
	} else {
		p.tileGo(&ws.pairs, to, dstStride, init, initStride, rows, x, ws.panel, groups)
	}
	if !whole {
		for r := range rows {
			copy(dst[r*p.DstStride:][:columns], ws.sums[r*MaxWidth:])
		}
	}
}

// panel brings n inputs of some columns into the workspace's panel.
func (p *Product) panel(ws *Workspace, c, columns, from, n int) {
	f, blocks := p.f, n/p.f.Len
	ws.panel = grown(ws.panel, n/f.Group*p.groupBytes())
	bytes, skip := blocks*f.Bytes, from/f.Len*f.Bytes
	w := p.W[c*p.WStride+skip:][:(columns-1)*p.WStride+bytes]
	if p.pack == nil {
		if columns < p.Width {
			clear(ws.panel)
		}
		p.packGo(&ws.unpacked, ws.panel, w, p.WStride, columns, blocks)
		return
	}
	stride := p.WStride
	if columns < p.Width {
		ws.weights = grown(ws.weights, p.Width*bytes)
		for o := range columns {
			copy(ws.weights[o*bytes:][:bytes], w[o*p.WStride:])
		}
		clear(ws.weights[columns*bytes:])
		w, stride = ws.weights, bytes
	}
	ahead := p.address(c+p.Width) + uintptr(p.Width*skip)
	for o := 0; o < p.Width; o += p.lanes {
		p.pack(&ws.panel[4*o], &w[o*stride:][:(p.lanes-1)*stride+bytes][0], ahead+uintptr(o*bytes), stride, blocks)
	}
}
