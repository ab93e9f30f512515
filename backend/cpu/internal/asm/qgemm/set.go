package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// kernel is a kind of tile.
type kernel struct {
	group int  // number of weights that share a scale
	min   bool // they have a minimum too
	bytes bytesKind
}

// bytesKind says which bytes weights have, where it matters to the instructions.
type bytesKind int

const (
	anyBytes bytesKind = iota // 0 to 255
	nibbles                   // 0 to 15
	sixBits                   // 0 to 63
	signed                    // 0 to 255, of which 128 is subtracted
)

func (k kernel) name() string {
	name := fmt.Sprint(k.group)
	if k.min {
		name += "Min"
	}
	return name + []string{"", "Nibbles", "SixBits", "Signed"}[k.bytes]
}

// set is an instruction set.
type set struct {
	name    string
	bits    int // of a vector
	columns int // vectors of outputs in a strip
	vnni    bool
	evex    bool // VPDPBUSD of AVX-512 with any number of bits
	kernels []kernel
}

var (
	vnni512 = set{name: "AVX512", bits: 512, columns: 2, vnni: true, kernels: anyKernels}
	// For few rows strips are half as wide, so that one fits an L1 cache beside the next, which is loaded meanwhile.
	vnni512few = set{name: "AVX512Few", bits: 512, columns: 1, vnni: true, kernels: anyKernels}
	// For one row strips are narrower still where rows are long.
	vnni256 = set{name: "AVX512One", bits: 256, columns: 1, vnni: true, evex: true}
	vnni    = set{name: "AVXVNNI", bits: 256, columns: 1, vnni: true, kernels: anyKernels}
	avx2    = set{name: "AVX2", bits: 256, columns: 1, kernels: []kernel{
		{group: 32, bytes: nibbles}, {group: 32, min: true, bytes: nibbles},
		{group: 32, bytes: sixBits}, {group: 32, min: true, bytes: sixBits},
		{group: 16, bytes: sixBits}, {group: 16, min: true, bytes: sixBits},
		{group: 32, bytes: signed},
	}}
	sets = []set{vnni512, vnni512few, vnni, avx2}

	anyKernels = []kernel{{group: 32}, {group: 32, min: true}, {group: 16}, {group: 16, min: true}}
)

func (s set) lanes() int { return s.bits / 32 }

// width is the number of outputs of a strip.
func (s set) width() int { return s.columns * s.lanes() }

// v is vector register i.
func (s set) v(i int) reg.VecPhysical {
	switch {
	case i < 0 || i > 31 || s.bits == 256 && i > 15:
		panic(fmt.Sprintf("there is no vector register %d", i))
	case s.bits == 512:
		return z[i]
	}
	return y[i]
}

var (
	x = []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7, reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15}
	y = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	z = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
)

// emit writes an instruction that avo does not know.
func emit(opcode string, ops ...Op) { Instruction(&ir.Instruction{Opcode: opcode, Operands: ops}) }

// add is r += n.
func add(n int, r Op) { ADDQ(U32(n), r) }

// dot is sum += Σ w·x of four bytes each, w unsigned and x signed.
func (s set) dot(xv, w, sum int) {
	if s.bits == 512 || s.evex {
		emit("VPDPBUSD", s.v(xv), s.v(w), s.v(sum))
		return
	}
	// Go's assembler knows the encoding of AVX-512 only:
	// VEX.256.66.0F38.W0 50 /r is VPDPBUSD sum, w, x.
	b := []int{0xc4, 0x02 | 1<<6, 0x01<<2 | 0x01 | (^w&15)<<3, 0x50, 0xc0 | sum&7<<3 | xv&7}
	if sum < 8 {
		b[1] |= 1 << 7
	}
	if xv < 8 {
		b[1] |= 1 << 5
	}
	emit("LONG", U32(b[0]|b[1]<<8|b[2]<<16|b[3]<<24))
	emit("BYTE", U8(b[4]))
}

// zero is v = 0.
func (s set) zero(v int) {
	if s.bits == 512 {
		VPXORD(z[v], z[v], z[v])
		return
	}
	VPXOR(y[v], y[v], y[v])
}

// load and store move whole vectors, from and to any address.
func (s set) load(m Mem, v int)  { VMOVUPS(m, s.v(v)) }
func (s set) store(v int, m Mem) { VMOVUPS(s.v(v), m) }

// mulBroadcast is dst = v · the number at m, in each lane. tmp is overwritten.
func (s set) mulBroadcast(m Mem, v, dst, tmp int) {
	if s.bits == 512 {
		VMULPS_BCST(m, z[v], z[dst])
		return
	}
	VBROADCASTSS(m, y[tmp])
	VMULPS(y[tmp], y[v], y[dst])
}
