package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// smallBlock is a type of blocks of 32 numbers of four bits, the first half of which are the low ones of 16 bytes.
type smallBlock struct {
	name     string
	bytes    int
	low      int        // where these bytes begin
	top      int        // no number is above
	min      bool       // there is a minimum
	table    func() Mem // numbers are indices of it
	fifth    int        // where 32 fifth bits begin, in the first eight bytes; 0: none
	exponent bool       // the scale is a byte: see mxScale
}

var (
	q40   = smallBlock{name: "Q4", bytes: 18, low: 2, top: 15}
	q41   = smallBlock{name: "Q41", bytes: 20, low: 4, top: 15, min: true}
	q50   = smallBlock{name: "Q50", bytes: 22, low: 6, top: 31, fifth: 2}
	q51   = smallBlock{name: "Q51", bytes: 24, low: 8, top: 31, min: true, fifth: 4}
	iq4nl = smallBlock{name: "IQ4NL", bytes: 18, low: 2, top: 241, table: func() Mem { return iq4 }}
	mxfp4 = smallBlock{name: "MXFP4", bytes: 17, low: 1, top: 24, table: func() Mem { return fp4 }, exponent: true}
)

// oneSmall is a kernel for one row and a smallBlock that is being written. x is packed, as for a tile of one row. A register has
// the 16 bytes of a block of a row in each 128 bits.
type oneSmall struct {
	one
	smallBlock
}

// Registers of a oneSmall. What blocks begin with is two words of each row.
const (
	smallSums  = 0 // to 3
	smallRaw   = 4
	smallTmp   = 5
	smallMore  = 6
	smallHead  = 7 // and 8
	smallTable = 9 // or the bit of each byte of eight
	smallFifth = 10
	smallOnes  = 11
	smallXLow  = 12
	smallXTop  = 13
	smallAcc   = 14
	smallMask  = 15
)

// oneSmall writes the kernel of a type.
func (s set) oneSmall(b smallBlock) {
	TEXT("one"+b.name+s.name, NOSPLIT, signature)
	o := &oneSmall{s.beginOne(smallAcc), b}
	o.load(data("bytes15"), smallMask)
	o.load(data("words1"), smallOnes)
	switch {
	case b.table != nil:
		o.tableOf(b.table(), smallTable)
	case b.fifth > 0:
		o.load(data("bitOfByte"), smallTable)
		o.load(data("bytes16"), smallFifth)
	}
	o.loops(b.bytes, 32+12, smallAcc, func() {
		o.head()
		if o.bits == 512 {
			VBROADCASTI32X4(o.x, z[smallXLow])
			VBROADCASTI32X4(o.x.Offset(16), z[smallXTop])
		} else {
			VBROADCASTI128(o.x, y[smallXLow])
			VBROADCASTI128(o.x.Offset(16), y[smallXTop])
		}
		for i := range 4 {
			o.fourRows(i)
			o.ask(b.bytes, i, 4)
		}
		o.addLanes()
		o.finishBlock()
	})
}

// loadRows loads 16 bytes of rows i, i+4, …, from an offset in their blocks on.
func (o *oneSmall) loadRows(i, offset, v int) {
	VMOVDQU(o.row(i, offset), x[v])
	for lane := 1; lane < o.bits/128; lane++ {
		if o.bits == 512 {
			VINSERTI32X4(Imm(uint64(lane)), o.row(i+4*lane, offset), z[v], z[v])
		} else {
			VINSERTI128(Imm(uint64(lane)), o.row(i+4*lane, offset), y[v], y[v])
		}
	}
}

// head loads the first two words of each block, a lane for each row.
func (o *oneSmall) head() {
	for i := range 4 {
		o.loadRows(i, 0, smallSums+i)
	}
	v := func(i int) reg.VecPhysical { return o.v(smallSums + i) }
	VPUNPCKLDQ(v(1), v(0), v(0))
	VPUNPCKLDQ(v(3), v(2), v(2))
	VPUNPCKLQDQ(v(2), v(0), o.v(smallHead))
	if o.fifth > 0 {
		VPUNPCKHQDQ(v(2), v(0), o.v(smallHead+1))
	}
}

// fourRows multiplies a block of rows i, i+4, …: sums of lanes are in register smallSums+i.
func (o *oneSmall) fourRows(i int) {
	sum := smallSums + i
	o.loadRows(i, o.low, smallRaw)
	o.and(smallMask, smallRaw, smallTmp)
	VPSRLW(Imm(4), o.v(smallRaw), o.v(smallRaw))
	o.and(smallMask, smallRaw, smallRaw)
	for half, v := range []int{smallTmp, smallRaw} {
		switch {
		case o.table != nil:
			VPSHUFB(o.v(v), o.v(smallTable), o.v(v))
		case o.fifth > 0:
			o.orFifth(i, o.fifth+2*half, v)
		}
	}
	if o.vnni {
		o.zero(sum)
		o.dot(smallXLow, smallTmp, sum)
		o.dot(smallXTop, smallRaw, sum)
		return
	}
	VPMADDUBSW(y[smallXLow], y[smallTmp], y[sum])
	VPMADDUBSW(y[smallXTop], y[smallRaw], y[smallRaw])
	VPADDW(y[smallRaw], y[sum], y[sum]) // four products of numbers up to 31 fit a word
	VPMADDWD(y[smallOnes], y[sum], y[sum])
}

// orFifth is v |= the fifth bits of 16 numbers of rows i, i+4, …, which are the two bytes of blocks from one on.
func (o *oneSmall) orFifth(i, from, v int) {
	control := data(fmt.Sprintf("spread%d", 4*i+from%4))
	VPSHUFB(control, o.v(smallHead+from/4), o.v(smallMore))
	if o.bits == 512 {
		VPTESTMB(z[smallTable], z[smallMore], reg.K1)
		VPADDB(z[smallFifth], z[v], reg.K1, z[v])
		return
	}
	VPAND(y[smallTable], y[smallMore], y[smallMore])
	VPCMPEQB(y[smallTable], y[smallMore], y[smallMore])
	VPAND(y[smallFifth], y[smallMore], y[smallMore])
	VPOR(y[smallMore], y[v], y[v])
}

// addLanes adds up the four lanes of each row, of which each has eight products: in register smallSums is a lane for each row then.
func (o *oneSmall) addLanes() {
	// add is dst = a0+a1, a2+a3, b0+b1, b2+b3 of each 128 bits, where a number is a sum of so many products.
	add := func(products, a, b, dst int) {
		if products*o.top*127 < 1<<15 { // words
			VPACKSSDW(o.v(b), o.v(a), o.v(dst))
			VPMADDWD(o.v(smallOnes), o.v(dst), o.v(dst))
			return
		}
		VSHUFPS(Imm(0x88), o.v(b), o.v(a), o.v(smallMore))
		VSHUFPS(Imm(0xdd), o.v(b), o.v(a), o.v(dst))
		VPADDD(o.v(smallMore), o.v(dst), o.v(dst))
	}
	add(8, smallSums, smallSums+1, smallSums)
	add(8, smallSums+2, smallSums+3, smallSums+2)
	add(16, smallSums, smallSums+2, smallSums)
}

// finishBlock adds the sums of the block, times scales, to the results.
func (o *oneSmall) finishBlock() {
	const sum, t, u = smallSums, smallTmp, smallMore
	if !o.min {
		o.broadcast(o.x.Offset(36), u)
		VPADDD(o.v(u), o.v(sum), o.v(sum))
	}
	VCVTDQ2PS(o.v(sum), o.v(sum))
	if o.exponent {
		o.mxScale(t)
	} else {
		o.half(smallHead, false, t, u)
	}
	o.mulBroadcast(o.x.Offset(32), t, t, u)
	VMULPS(o.v(t), o.v(sum), o.v(sum))
	if o.min {
		o.half(smallHead, true, t, u)
		o.mulBroadcast(o.x.Offset(40), t, t, u)
		VADDPS(o.v(t), o.v(sum), o.v(sum))
	}
	VADDPS(o.v(sum), o.v(smallAcc), o.v(smallAcc))
}

func (o *oneSmall) broadcast(m Mem, v int) { VPBROADCASTD(m, o.v(v)) }

// mxScale is dst = 2^(e-128), where e is the first byte of blocks.
func (o *oneSmall) mxScale(dst int) {
	const e, bits = smallMore, smallRaw
	o.bitsOf(smallHead, 0, 8, e)
	VPMINUD(data("word2"), o.v(e), o.v(dst)) // the first two are denormal
	o.load(data("denormal"), bits)
	VPSLLVD(o.v(dst), o.v(bits), o.v(bits))
	VPMAXUD(data("word2"), o.v(e), o.v(dst))
	VPSUBD(data("word2"), o.v(dst), o.v(dst))
	o.left(23, dst, dst)
	VPADDD(o.v(bits), o.v(dst), o.v(dst))
}
