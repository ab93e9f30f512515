package gemm

import "unsafe"

// dotKernel adds the products of n numbers of rows of x with those of some rows of w, which
// are columns of dst. Strides, and how far ahead of w memory is asked for, are bytes. rows
// and n are above 0.
type dotKernel func(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

// outerKernel adds the products of n numbers of rows of x, which lie xStep bytes from each
// other, with some columns of w. rows, n and columns are above 0.
type outerKernel func(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)

type dotTile struct {
	columns int
	run     dotKernel
}

type outerTile struct {
	columns int
	part    bool // fewer columns will do
	run     outerKernel
}

// kernels are those of an instruction set, for each kind of format, the widest first.
type kernels struct {
	name  string // for people
	lanes int
	fused bool // they multiply and add in one instruction
	tails bool // dot kernels take any n; else they leave what is no whole register
	// blockRows is up to how many rows of x blocks are converted in registers.
	blockRows int
	// fewColumns are some tiles of w, of which parts that are converted fit the L1 cache.
	fewColumns int
	fetch      func(address uintptr, n int) // asks for memory that will be read; nil: the processor does by itself
	dots       [kinds][]dotTile
	outers     [kinds][]outerTile
	one        [kinds]*outerTile // for a single row of x; nil: none
}

// use are the kernels that serve.
var use = choose()

// Name names the instruction set of the kernels that serve.
func Name() string { return use.name }

// Fast reports whether they multiply and add in one instruction, as a library does.
func Fast() bool { return use.fused }

// inPlace reports whether dot kernels read rows of n numbers of a format where they lie,
// and should.
func (s *kernels) inPlace(f Format, rows, n int) bool {
	most := fewRows
	switch {
	case f.Numbers > 1:
		most = s.blockRows
	case n > maxDepth:
		most = fewDeepRows
	}
	return rows <= most && len(s.dots[f.kind]) > 0 && (f.kind == kindF32 || s.tails || n%s.lanes == 0)
}

// Fetch asks for n bytes of memory that will be read, which need not be there. n is above 0.
func Fetch(address uintptr, n int) {
	if use.fetch != nil {
		use.fetch(address, n)
	}
}

// ahead asks for n numbers of a row that will be converted.
func (s *kernels) ahead(w Weights, row, column, n int) {
	if s.fetch != nil {
		s.fetch(uintptr(unsafe.Pointer(unsafe.SliceData(w.Data)))+uintptr(row*w.Stride+w.size(column)), w.size(n))
	}
}

// dot is the widest tile for at most that many columns. There is one for a single column.
func (s *kernels) dot(kind, columns int) dotTile {
	for _, t := range s.dots[kind] {
		if t.columns <= columns {
			return t
		}
	}
	panic("gemm: no dot tile of one column")
}

// outer is the tile for the next of these columns; nil: none is narrow enough.
func (s *kernels) outer(kind, rows, columns int) *outerTile {
	if one := s.one[kind]; rows == 1 && one != nil && one.columns <= columns {
		return one
	}
	tiles := s.outers[kind]
	for i := range tiles {
		t, narrower := &tiles[i], 0
		if i+1 < len(tiles) {
			narrower = tiles[i+1].columns
		}
		// Two tiles of one width multiply less in vain than a wide one and a narrow rest.
		even := columns > t.columns && columns <= 2*narrower
		if !even && (t.columns <= columns || t.part && columns > narrower) {
			return t
		}
	}
	return nil
}

// widen is a conversion of numbers of 16 bits as [Format] has it.
func widen(from func(dst []float32, src []uint16)) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) { from(dst, shorts(src)) }
}

func shorts(src []byte) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(src))), len(src)/2)
}
