package qgemm

import "golang.org/x/sys/cpu"

var archSets = []set{
	{name: "dotprod", usable: cpu.ARM64.HasASIMD && cpu.ARM64.HasASIMDDP, width: 8, lanes: 8, tiles: tilesDotProd},
}

// There is no assembly for it: it is a small part of a product.
var quantizeBlocks func(dst *byte, src *float32, blocks int)

// Functions in assembly.

//go:noescape
func tile1DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile2DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func tile4DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)

//go:noescape
func packQ8NEON(panel, w *byte, ahead uintptr, stride, blocks int)

//go:noescape
func packQ4NEON(panel, w *byte, ahead uintptr, stride, blocks int)

// The bits of a kind of tile.
const (
	groups16 = 1 << iota // a group has 16 weights
	minima
	signed // 128 is subtracted from bytes
	kinds  // number of kinds
)

// dotProd are the tiles of each kind.
var dotProd = func() (all [kinds][TileRows + 1]tileFunc) {
	for kind := range all {
		all[kind] = [...]tileFunc{
			1: func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int) {
				tile1DotProd(dst, dstStride, init, initStride, x, panel, groups, kind)
			},
			2: func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int) {
				tile2DotProd(dst, dstStride, init, initStride, x, panel, groups, kind)
			},
			4: func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int) {
				tile4DotProd(dst, dstStride, init, initStride, x, panel, groups, kind)
			},
		}
	}
	return all
}()

// tilesDotProd returns kernels for the bytes of the format. A format whose bytes are neither up to
// 127 nor signed is multiplied in Go.
func tilesDotProd(f *Format) [TileRows + 1]tileFunc {
	kind := 0
	if f.Group == 16 {
		kind |= groups16
	}
	if f.Min {
		kind |= minima
	}
	switch {
	case f.Top <= 127:
	case f.Offset == 128:
		kind |= signed
	default:
		return [TileRows + 1]tileFunc{}
	}
	return dotProd[kind]
}

func packNEON(set string, pack packFunc) packFunc {
	if set == "go" {
		return nil
	}
	return pack
}

func packQ8(set string) packFunc { return packNEON(set, packQ8NEON) }
func packQ4(set string) packFunc { return packNEON(set, packQ4NEON) }
