// Package qgemm multiplies weights in blocks of few bits with activations in blocks of 8 bits
// (q8_a, see backend.Q8_A). Products of a block and their sum are integers, and exact. A sum is
// then multiplied with the scales and added to the others as float32, in the order of blocks:
//
//	dst += f32(Σ (byte − offset)·x) · (scale of w · scale of x) [+ minimum · (scale of x · Σ x)]
//
// Each of these operations rounds by itself. So a result has the same bits in all instruction
// sets, and whatever other rows and columns there are.
//
// A type of weights is a [Format], in a file of its name. It is complete with a function in Go
// that unpacks a block, and fast with one in assembly that packs a strip.
//
// A strip is as many outputs as the instruction set takes at once ([Kernels.Width]). Its weights
// are brought into a panel, in cache: four inputs of each output, or eight, beside each other. There
// they meet the rows of x, a tile of up to four at a time, which have been packed too. Panels
// are cheap to make, so that products of one row may go through them as well; a format may have a
// function that reads weights where they lie for those.
//
// The assembly for amd64 is written by a program: see the directory asm beside this one.
package qgemm

//go:generate go run -C ../asm ./qgemm -out ../qgemm/kernels_amd64.s -stubs ../qgemm/kernels_amd64.go -pkg qgemm

import "slices"

// Format is a type of weights in blocks. A weight is
//
//	scale · (byte − Offset) [+ minimum]
//
// where a group of weights in a block has one scale and one minimum.
type Format struct {
	Len    int  // number of weights in a block: a multiple of 32
	Bytes  int  // of a block
	Group  int  // number of weights that have one scale: 32 or 16
	Offset int  // subtracted from bytes: 0 to 128
	Min    bool // groups have a minimum too
	Top    byte // no byte is above

	// Unpack writes the Len bytes of a block, and the scale and the minimum of each group.
	// Without Min there is no room for minima.
	Unpack func(bytes []byte, scales, minima []float32, block []byte)

	pack func(set string) packFunc  // in assembly, for an instruction set; nil: none
	one  func(set string) oneKernel // likewise, for one row, which else goes through panels
}

// packFunc brings some blocks of as many rows of weights as a vector has lanes into a panel. Rows
// are stride bytes apart. It asks for as much memory from ahead on, which may be any address.
type packFunc func(panel, w *byte, ahead uintptr, stride, blocks int)

// tileFunc multiplies a tile: see the program that writes the assembly.
type tileFunc func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int)

// TileRows is the largest number of rows in a tile. Others have 2 rows or 1.
const TileRows = 4

// set is an instruction set that has kernels.
type set struct {
	name   string
	usable bool
	width  int                                    // outputs of a strip
	lanes  int                                    // outputs that a packFunc takes at once
	piece  int                                    // inputs of an output that lie beside each other in a panel
	signed bool                                   // 128 is subtracted from the bytes of formats with this offset in a panel
	tiles  func(f *Format) [TileRows + 1]tileFunc // by the number of rows; nil: those in Go
	few    *set                                   // for products of few rows; nil: the same
	fast   func(f *Format) bool                   // whether products are faster than those of f32; nil: never

	quantize func(dst *byte, src *float32, blocks int) // makes blocks of q8_a; nil: in Go
}

// sets are those of this processor's architecture, the fastest first. The last one is Go.
var sets = append(archSets, set{name: "go", usable: true, width: 8, lanes: 8, piece: 4})

// current is the set that is used.
var current = &sets[slices.IndexFunc(sets, func(s set) bool { return s.usable })]

// Sets names the instruction sets that this processor has, the fastest first.
func Sets() (names []string) {
	for _, s := range sets {
		if s.usable {
			names = append(names, s.name)
		}
	}
	return names
}

// Set names the instruction set that is used.
func Set() string { return current.name }

// Fast reports whether this processor has assembly that packs the format and multiplies integers faster than f32.
func (f *Format) Fast() bool {
	return current.fast != nil && current.fast(f) && f.pack != nil && f.pack(current.name) != nil
}

// Use makes all products use one of Sets, until it is called again. It is for tests, while
// nothing is multiplied.
func Use(name string) {
	current = &sets[slices.IndexFunc(sets, func(s set) bool { return s.usable && s.name == name })]
}

// Kernels is what multiplies weights of one format on this processor.
type Kernels struct {
	Width int // outputs of a strip
	f     *Format
	lanes int
	piece int
	flip  byte // what bytes in panels are flipped with
	tiles [TileRows + 1]tileFunc
	pack  packFunc  // nil: in Go
	one   oneKernel // of the only row; none where run is nil
}

// Kernels returns those that are to be used for so many rows.
func (f *Format) Kernels(rows int) Kernels {
	s := current
	if s.few != nil && rows <= fewRows {
		s = s.few
	}
	k := Kernels{Width: s.width, f: f, lanes: s.lanes, piece: s.piece}
	if s.tiles != nil {
		k.tiles = s.tiles(f)
	}
	if s.signed && f.Offset == 128 {
		k.flip = 128
	}
	if f.pack != nil {
		k.pack = f.pack(s.name)
	}
	if f.one != nil && rows == 1 {
		k.one = f.one(s.name)
	}
	return k
}
