package qgemm

import "caldera/backend/cpu/internal/isa"

var archSets = []set{
	{name: "i8mm", usable: isa.I8MM, width: 8, lanes: 8, piece: 8, signed: true, tiles: tilesI8MM, fast: always, quantize: quantizeNEON},
	{name: "dotprod", usable: isa.DotProd, width: 8, lanes: 8, piece: 4, signed: true, tiles: tilesDotProd, fast: always, quantize: quantizeNEON},
}

func always(*Format) bool { return true }

// Functions in assembly.

//go:noescape
func quantizeNEON(dst *byte, src *float32, blocks int)

// prefetch asks for n bytes of memory, n above 0.
//
//go:noescape
func prefetch(at *byte, n int)

//go:noescape
func tile1DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile2DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile4DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile1I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile2I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile4I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func packQ8DotProd(panel, w *byte, ahead uintptr, stride, blocks int)

//go:noescape
func packQ4DotProd(panel, w *byte, ahead uintptr, stride, blocks int)

//go:noescape
func packQ8I8MM(panel, w *byte, ahead uintptr, stride, blocks int)

//go:noescape
func packQ4I8MM(panel, w *byte, ahead uintptr, stride, blocks int)

// The bits of a kind of tile.
const (
	groups16 = 1 << iota // a group has 16 weights
	minima
	signed // bytes were made signed when they were packed
	kinds  // number of kinds
)

// kindFunc is a tile for all kinds.
type kindFunc func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

// byKind are the tiles of each kind.
type byKind [kinds][TileRows + 1]tileFunc

func newByKind(one, two, four kindFunc) *byKind {
	b := new(byKind)
	for kind := range b {
		for rows, f := range map[int]kindFunc{1: one, 2: two, 4: four} {
			b[kind][rows] = func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int) {
				f(dst, dstStride, init, initStride, x, panel, groups, kind)
			}
		}
	}
	return b
}

// of returns tiles for the bytes of the format. A format whose bytes are neither up to 127 nor signed
// is multiplied in Go.
func (b *byKind) of(f *Format) [TileRows + 1]tileFunc {
	kind := 0
	if f.Group == 16 {
		kind |= groups16
	}
	if f.Min {
		kind |= minima
	}
	switch {
	case f.Offset == 128:
		kind |= signed
	case f.Top > 127:
		return [TileRows + 1]tileFunc{}
	}
	return b[kind]
}

var (
	dotProd = newByKind(tile1DotProd, tile2DotProd, tile4DotProd)
	i8mm    = newByKind(tile1I8MM, tile2I8MM, tile4I8MM)
)

func tilesDotProd(f *Format) [TileRows + 1]tileFunc { return dotProd.of(f) }
func tilesI8MM(f *Format) [TileRows + 1]tileFunc    { return i8mm.of(f) }

// packer chooses between the functions for two instruction sets.
func packer(set string, dotProd, i8mm packFunc) packFunc {
	switch set {
	case "dotprod":
		return dotProd
	case "i8mm":
		return i8mm
	}
	return nil
}

func packQ8(set string) packFunc { return packer(set, packQ8DotProd, packQ8I8MM) }
func packQ4(set string) packFunc { return packer(set, packQ4DotProd, packQ4I8MM) }

func oneQ8(string) oneKernel    { return oneKernel{} }
func oneQ4(string) oneKernel    { return oneKernel{} }
func oneQ4K(string) oneKernel   { return oneKernel{} }
func oneQ5K(string) oneKernel   { return oneKernel{} }
func oneQ6K(string) oneKernel   { return oneKernel{} }
func oneQ41(string) oneKernel   { return oneKernel{} }
func oneQ50(string) oneKernel   { return oneKernel{} }
func oneQ51(string) oneKernel   { return oneKernel{} }
func oneIQ4NL(string) oneKernel { return oneKernel{} }
func oneMXFP4(string) oneKernel { return oneKernel{} }

// Other types are unpacked in Go.

func packQ41(string) packFunc   { return nil }
func packQ50(string) packFunc   { return nil }
func packQ51(string) packFunc   { return nil }
func packQ4K(string) packFunc   { return nil }
func packQ5K(string) packFunc   { return nil }
func packQ6K(string) packFunc   { return nil }
func packIQ4NL(string) packFunc { return nil }
func packIQ4XS(string) packFunc { return nil }
func packMXFP4(string) packFunc { return nil }
