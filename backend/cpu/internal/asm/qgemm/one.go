package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// one is a kernel that is being written, which multiplies one row of x with as many outputs as a
// vector has lanes. A panel would be read once: here bytes of weights are multiplied in the order in
// which they lie, and the sums of each output, which lie beside each other, are added up. Sums of a
// block are integers, so they have the same bits in any order.
type one struct {
	*pack
	x Mem // a block of q8_a: a scale (f16), the sum of the numbers (int16), 32 numbers

	l1    bool // what is asked for comes into the L1 cache
	turns int  // that have been written: see ask
}

// Registers of a one, beside those of its loads.
const (
	oneSums   = 0  // integers, up to 8
	oneBytes  = 8  // weights
	oneTmp    = 9  // and 10
	oneX      = 11 // bytes of x
	oneMore   = 12 // more of x
	oneMask   = 13
	oneAcc    = 14 // results
	oneScales = 15
)

// beginOne loads the parameters, and the results so far into a register.
func (s set) beginOne(acc int) one {
	Pragma("noescape")
	Load(Param("init"), reg.RDI)
	Load(Param("x"), reg.R12)
	p := s.rows()
	p.load(Mem{Base: reg.RDI}, acc)
	return one{pack: p, x: Mem{Base: reg.R12}}
}

// signature is that of an oneFunc.
const signature = "func(dst, init *float32, x, w *byte, ahead uintptr, stride, blocks int, l1 bool)"

// numbers are those of the block of x from one on.
func (o one) numbers(from int) Mem { return o.x.Offset(4 + from) }

// loops writes the loop over blocks, for memory that is asked for into the L2 cache and into L1, and what follows it. Lines
// are asked for in turns, one of each row: R11 is the next, R13 that of the row behind the last, RDI how far back the turn begins.
func (o *one) loops(blockBytes, xBytes, acc int, body func()) {
	Load(Param("ahead"), reg.R11)
	IMUL3Q(Imm(uint64(o.lanes())), reg.RDX, reg.RDI)
	LEAQ(Mem{Base: reg.R11, Index: reg.RDI, Scale: 1}, reg.R13)
	SUBQ(Imm(64), reg.RDI)
	l1, err := Param("l1").Resolve()
	if err != nil {
		panic(err)
	}
	CMPB(l1.Addr, Imm(0))
	JNE(LabelRef("l1"))
	for _, label := range []string{"l2", "l1"} {
		o.l1 = label == "l1"
		Label(label)
		body()
		o.skip(blockBytes)
		add(xBytes, reg.R12)
		DECQ(reg.RCX)
		JNZ(LabelRef(label))
		if !o.l1 {
			JMP(LabelRef("end"))
		}
	}
	Label("end")
	Load(Param("dst"), reg.RDI)
	o.store(acc, Mem{Base: reg.RDI})
	VZEROUPPER()
	RET()
}

// ask asks for a part of what follows in each row, one of so many, in all as much as a block of each. On Intel's processors it
// comes into the L2 cache: see [pack.ask].
func (o *one) ask(blockBytes, part, parts int) {
	lines := (o.lanes()*blockBytes + 63) / 64
	for range (part+1)*lines/parts - part*lines/parts {
		line, same := Mem{Base: reg.R11}, fmt.Sprint("turn", o.turns)
		o.turns++
		if o.l1 {
			PREFETCHT0(line)
		} else {
			PREFETCHT1(line)
		}
		ADDQ(reg.RDX, reg.R11)
		CMPQ(reg.R11, reg.R13)
		JCS(LabelRef(same))
		SUBQ(reg.RDI, reg.R11)
		ADDQ(Imm(64), reg.R13)
		Label(same)
	}
}

// pairs is a + b of neighbouring vectors of integers, two by two: of each lane of 128 bits it adds up
// numbers 0 and 2, and 1 and 3, of a and of b in turn.
func (o one) pairs(a, b, dst int, low, high func(ops ...Op)) {
	low(o.v(b), o.v(a), o.v(oneTmp))
	high(o.v(b), o.v(a), o.v(dst))
	VPADDD(o.v(oneTmp), o.v(dst), o.v(dst))
}

func (o one) dwords(a, b, dst int) {
	o.pairs(a, b, dst, func(ops ...Op) { VPUNPCKLDQ(ops[0], ops[1], ops[2]) }, func(ops ...Op) { VPUNPCKHDQ(ops[0], ops[1], ops[2]) })
}

func (o one) qwords(a, b, dst int) {
	o.pairs(a, b, dst, func(ops ...Op) { VPUNPCKLQDQ(ops[0], ops[1], ops[2]) }, func(ops ...Op) { VPUNPCKHQDQ(ops[0], ops[1], ops[2]) })
}

// quads puts the sums of lanes of four vectors from register v on into v: in each lane of 128 bits the
// first number is that of the first vector.
func (o one) quads(v int) {
	o.dwords(v, v+1, v)
	o.dwords(v+2, v+3, v+2)
	o.qwords(v, v+2, v)
}

// finish adds the sums in register 0, one of each output, to the results. Of bytes 1 << offset is to be subtracted; 0: nothing.
func (o one) finish(offset int) {
	if offset > 0 {
		MOVWLSX(o.x.Offset(2), reg.EAX)
		SHLL(Imm(uint64(offset)), reg.EAX)
		VMOVD(reg.EAX, x[oneTmp])
		VPBROADCASTD(x[oneTmp], o.v(oneTmp))
		VPSUBD(o.v(oneTmp), o.v(oneSums), o.v(oneSums))
	}
	VCVTDQ2PS(o.v(oneSums), o.v(oneSums))
	o.blendHalves(0, oneScales, oneTmp)
	if o.bits == 512 {
		VPBROADCASTW(o.x, y[oneTmp])
		VCVTPH2PS(y[oneTmp], z[oneTmp])
	} else {
		VPBROADCASTW(o.x, x[oneTmp])
		VCVTPH2PS(x[oneTmp], y[oneTmp])
	}
	VMULPS(o.v(oneTmp), o.v(oneScales), o.v(oneScales))
	VMULPS(o.v(oneScales), o.v(oneSums), o.v(oneSums))
	VADDPS(o.v(oneSums), o.v(oneAcc), o.v(oneAcc))
}

// blendHalves is [pack.halves] for rows of which another follows each but the last of all: of a number what is beside it
// is loaded too, up to the 14 bytes before it, and of a row of which another follows those behind it. Register tmp is overwritten.
func (o one) blendHalves(offset, v, tmp int) {
	for half := range o.lanes() / 8 {
		to := x[v-half*(v-tmp)]
		VMOVDQU(o.row(8*half, offset), to)
		for i := 1; i < 8; i++ {
			VPBLENDW(Imm(1<<i), o.row(8*half+i, offset-2*i), to, to)
		}
	}
	if o.bits == 512 {
		VINSERTI128(Imm(1), x[tmp], y[v], y[v])
		VCVTPH2PS(y[v], z[v])
	} else {
		VCVTPH2PS(x[v], y[v])
	}
}

// oneQ8 writes the kernel for q8_0, for 256 bits: a register has a block of a row. With 512 bits there would be
// 16 rows of weights, which no L1 cache holds beside those that are loaded meanwhile.
func (s set) oneQ8() {
	TEXT("oneQ8"+s.name, NOSPLIT, signature)
	o := s.beginOne(oneAcc)
	offset := 7
	if o.vnni {
		o.fill(128, oneMask)
	} else {
		offset = 0
		o.load(data("words1"), oneMask)
	}
	o.loops(34, 36, oneAcc, func() {
		VMOVDQU(o.numbers(0), y[oneX])
		for i := range 8 {
			o.ask(34, i, 8)
			if !o.vnni { // of bytes up to 128 two products fit a word
				VMOVDQU(o.row(i, 2), y[oneBytes])
				VPSIGNB(y[oneBytes], y[oneX], y[oneSums+i])
				VPABSB(y[oneBytes], y[oneBytes])
				VPMADDUBSW(y[oneSums+i], y[oneBytes], y[oneSums+i])
				VPMADDWD(y[oneMask], y[oneSums+i], y[oneSums+i])
				continue
			}
			VPXOR(o.row(i, 2), y[oneMask], y[oneBytes])
			o.zero(oneSums + i)
			o.dot(oneX, oneBytes, oneSums+i)
		}
		o.quads(oneSums)
		o.quads(oneSums + 4)
		// Each sum is in two halves, which are lanes beside each other.
		VPERM2I128(Imm(0x20), y[oneSums+4], y[oneSums], y[oneTmp])
		VPERM2I128(Imm(0x31), y[oneSums+4], y[oneSums], y[oneSums])
		VPADDD(o.v(oneTmp), o.v(oneSums), o.v(oneSums))
		o.finish(offset)
	})
}

// oneQ4 writes the kernel for q4_0. A register has the 16 bytes of a block of a row in each lane of
// 128 bits: their low and their high halves are multiplied one after the other.
func (s set) oneQ4() {
	TEXT("oneQ4"+s.name, NOSPLIT, signature)
	o := s.beginOne(oneAcc)
	o.fill(15, oneMask)
	o.loops(18, 36, oneAcc, func() {
		if o.bits == 512 {
			VBROADCASTI32X4(o.numbers(0), z[oneX])
			VBROADCASTI32X4(o.numbers(16), z[oneMore])
		} else {
			VBROADCASTI128(o.numbers(0), y[oneX])
			VBROADCASTI128(o.numbers(16), y[oneMore])
		}
		for i := range 4 {
			o.ask(18, i, 4)
			VMOVDQU(o.row(i, 2), x[oneBytes])
			for lane := 1; lane < o.bits/128; lane++ {
				if o.bits == 512 {
					VINSERTI32X4(Imm(uint64(lane)), o.row(i+4*lane, 2), z[oneBytes], z[oneBytes])
				} else {
					VINSERTI128(Imm(uint64(lane)), o.row(i+4*lane, 2), y[oneBytes], y[oneBytes])
				}
			}
			o.and(oneMask, oneBytes, oneTmp)
			o.zero(oneSums + i)
			o.dot(oneX, oneTmp, oneSums+i)
			VPSRLW(Imm(4), o.v(oneBytes), o.v(oneBytes))
			o.and(oneMask, oneBytes, oneBytes)
			o.dot(oneMore, oneBytes, oneSums+i)
		}
		o.quads(oneSums)
		o.finish(3)
	})
}
