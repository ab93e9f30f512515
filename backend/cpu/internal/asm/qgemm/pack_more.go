package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What packing of more types than q8_0 and q4_0 needs. Scales and minima of all groups of a block are
// stored first, so that their registers are free for numbers. A lane has a row.

// op is an instruction.
type op func(...Op)

// or is dst = a | b.
func (p *pack) or(a, b, dst int) {
	if p.bits == 512 {
		VPORD(z[b], z[a], z[dst])
	} else {
		VPOR(y[b], y[a], y[dst])
	}
}

// left and right shift the 32 bits of each lane, right without a sign.
func (p *pack) left(n, v, dst int)  { p.shift(VPSLLD, n, v, dst) }
func (p *pack) right(n, v, dst int) { p.shift(VPSRLD, n, v, dst) }

func (p *pack) shift(o op, n, v, dst int) {
	switch {
	case n > 0:
		o(Imm(uint64(n)), p.v(v), p.v(dst))
	case v != dst:
		p.move(v, dst)
	}
}

func (p *pack) move(v, dst int) {
	if p.bits == 512 {
		VMOVDQA32(z[v], z[dst])
	} else {
		VMOVDQA(y[v], y[dst])
	}
}

// bitsOf is dst = n bits of each lane from one on. It may be v.
func (p *pack) bitsOf(v, from, n, dst int) {
	p.left(32-from-n, v, dst)
	p.right(32-n, dst, dst)
}

// half is dst = the f16 in the low bits of each lane, or in the high ones, as f32. Register tmp is overwritten.
func (p *pack) half(v int, high bool, dst, tmp int) {
	if p.bits == 512 {
		if high {
			p.right(16, v, tmp)
			v = tmp
		}
		VPMOVDW(z[v], y[tmp])
		VCVTPH2PS(y[tmp], z[dst])
		return
	}
	if high {
		p.right(16, v, tmp)
	} else {
		p.bitsOf(v, 0, 16, tmp)
	}
	VPACKUSDW(y[tmp], y[tmp], y[tmp])
	VPERMQ(Imm(8), y[tmp], y[tmp])
	VCVTPH2PS(x[tmp], y[dst])
}

// group is where a group of the block begins in the panel, whose groups have so many bytes.
func (p *pack) group(g, bytes int) Mem { return p.panel.Offset(g * bytes) }

// lane sets each lane to bits.
func (p *pack) lane(bits uint32, v int) {
	MOVL(U32(bits), reg.EAX)
	VMOVD(reg.EAX, x[v])
	VPBROADCASTD(x[v], p.v(v))
}

// tableOf loads 16 bytes into each 128 bits.
func (p *pack) tableOf(m Mem, v int) {
	if p.bits == 512 {
		VBROADCASTI32X4(m, z[v])
	} else {
		VBROADCASTI128(m, y[v])
	}
}

// table16 is a constant in memory.
func table16(name string, bytes [16]byte) Mem {
	m := GLOBL(name, 8|16) // RODATA, NOPTR
	for i, b := range bytes {
		DATA(i, U8(b))
	}
	return m
}

// minusHalf is half with the other sign; sign has the sign bit in each lane.
func (p *pack) minusHalf(v int, high bool, dst, tmp, sign int) {
	p.half(v, high, dst, tmp)
	p.xor(sign, dst, dst)
}

// putScale stores a scale of each row, of group g, which has so many numbers; putMinimum a minimum, of a group of 32.
func (p *pack) putScale(v, g, groupBytes, group int) {
	p.store(v, p.group(g, groupBytes).Offset(group*p.width()))
}

func (p *pack) putMinimum(v, g, groupBytes int) {
	p.store(v, p.group(g, groupBytes).Offset((32+4)*p.width()))
}

// put4 stores four bytes of each row, which are the i-th of group g.
func (p *pack) put4(v, g, groupBytes, i int) {
	p.store(v, p.group(g, groupBytes).Offset(4*i*p.width()))
}

// kScales stores the scales and minima of a block of q4_k or q5_k. Registers 0 to 8 are overwritten.
func (p *pack) kScales(groupBytes int) {
	p.transposed(0, 0) // words of each row: both f16, then 12 bytes
	const d, m, sign, t, u = 4, 5, 6, 7, 8
	p.lane(1<<31, sign)
	p.half(0, false, d, t)
	p.minusHalf(0, true, m, t, sign)
	for g := range 8 {
		for i, by := range []int{d, m} {
			if g < 4 {
				p.bitsOf(1+i, 8*g, 6, t)
			} else {
				p.bitsOf(3, 8*(g-4)+4*i, 4, t)
				p.bitsOf(1+i, 8*(g-4)+6, 2, u)
				p.left(4, u, u)
				p.or(t, u, t)
			}
			VCVTDQ2PS(p.v(t), p.v(t))
			VMULPS(p.v(by), p.v(t), p.v(t))
			if i == 0 {
				p.putScale(t, g, groupBytes, 32)
			} else {
				p.putMinimum(t, g, groupBytes)
			}
		}
	}
}

// low and high are dst = the low four bits of each byte, or the high ones.
func (p *pack) low(v, mask, dst int) { p.and(mask, v, dst) }
func (p *pack) high(v, mask, dst int) {
	VPSRLW(Imm(4), p.v(v), p.v(dst))
	p.and(mask, dst, dst)
}

// packQ4K writes the function for q4_k.
func (s set) packQ4K() {
	p := s.begin("packQ4K", 144, 9)
	const mask = 15
	bytes := p.width() * (32 + 8)
	p.fill(15, mask)
	Label("block")
	p.kScales(bytes)
	for pair := range 4 {
		for half := range 2 {
			p.transposed(16+32*pair+16*half, 0)
			for i := range 4 {
				p.low(i, mask, 8)
				p.put4(8, 2*pair, bytes, 4*half+i)
				p.high(i, mask, i)
				p.put4(i, 2*pair+1, bytes, 4*half+i)
			}
		}
	}
	p.nextOf(8 * bytes)
}

// orBits is dst |= bits of each byte of v, shifted left, or right, to where mask has them. Register tmp is overwritten.
func (p *pack) orBits(v, shift, mask, dst, tmp int) {
	switch {
	case shift > 0:
		VPSLLW(Imm(uint64(shift)), p.v(v), p.v(tmp))
	case shift < 0:
		VPSRLW(Imm(uint64(-shift)), p.v(v), p.v(tmp))
	default:
		p.move(v, tmp)
	}
	p.and(mask, tmp, tmp)
	p.or(tmp, dst, dst)
}

// packQ5K writes the function for q5_k.
func (s set) packQ5K() {
	p := s.begin("packQ5K", 176, 11)
	const mask, fifth, h, t, u = 15, 14, 8, 12, 13
	bytes := p.width() * (32 + 8)
	p.fill(15, mask)
	p.fill(16, fifth)
	Label("block")
	p.kScales(bytes)
	for half := range 2 {
		p.transposed(16+16*half, 0)
		for i := range 4 {
			p.move(i, h+i)
		}
		for pair := range 4 {
			p.transposed(48+32*pair+16*half, 0)
			for i := range 4 {
				p.low(i, mask, t)
				p.orBits(h+i, 4-2*pair, fifth, t, u)
				p.put4(t, 2*pair, bytes, 4*half+i)
				p.high(i, mask, t)
				p.orBits(h+i, 3-2*pair, fifth, t, u)
				p.put4(t, 2*pair+1, bytes, 4*half+i)
			}
		}
	}
	p.nextOf(8 * bytes)
}

// packQ6K writes the function for q6_k.
func (s set) packQ6K() {
	p := s.begin("packQ6K", 210, 13)
	const mask, two, h, t, u = 15, 14, 8, 12, 13
	bytes := p.width() * (16 + 4)
	p.fill(15, mask)
	p.fill(0x30, two)
	Label("block")
	p.transposed(192, 0)
	p.halves(208, 4)
	for g := range 16 {
		p.left(24-8*(g%4), g/4, t)
		p.shift(VPSRAD, 24, t, t)
		VCVTDQ2PS(p.v(t), p.v(t))
		VMULPS(p.v(4), p.v(t), p.v(t))
		p.putScale(t, g, bytes, 16)
	}
	for half := range 2 {
		for part := range 2 { // 16 of 32
			p.transposed(128+32*half+16*part, 0)
			for i := range 4 {
				p.move(i, h+i)
			}
			for q := range 2 {
				p.transposed(64*half+32*q+16*part, 0)
				g := 8*half + 2*q + part
				for i := range 4 {
					p.low(i, mask, t)
					p.orBits(h+i, 4-2*q, two, t, u)
					p.put4(t, g, bytes, i)
					p.high(i, mask, t)
					p.orBits(h+i, -2*q, two, t, u)
					p.put4(t, g+4, bytes, i)
				}
			}
		}
	}
	p.nextOf(16 * bytes)
}

// nibblesWith stores the nibbles of 16 bytes of each row, in registers 0 to 3, as group g. change is done with each four of
// them, which are in register t.
func (p *pack) nibblesWith(mask, t, g, bytes int, change func(t, i int)) {
	for i := range 4 {
		p.low(i, mask, t)
		change(t, i)
		p.put4(t, g, bytes, i)
		p.high(i, mask, t)
		change(t, 4+i)
		p.put4(t, g, bytes, 4+i)
	}
}

// scaleAndMinimum stores the two f16 in register 0.
func (p *pack) scaleAndMinimum(bytes int) {
	p.half(0, false, 4, 5)
	p.putScale(4, 0, bytes, 32)
	p.half(0, true, 4, 5)
	p.putMinimum(4, 0, bytes)
}

// packQ41 writes the function for q4_1.
func (s set) packQ41() {
	p := s.begin("packQ41", 20, 2)
	const mask = 15
	bytes := p.width() * (32 + 8)
	p.fill(15, mask)
	Label("block")
	p.transposed(0, 0)
	p.scaleAndMinimum(bytes)
	p.transposed(4, 0)
	p.nibblesWith(mask, 8, 0, bytes, func(int, int) {})
	p.nextOf(bytes)
}

// fives stores the numbers of q5_0 or q5_1: nibbles of registers 0 to 3, and fifth bits in register high. Registers 14 and 13 have
// the constants of spread.
func (p *pack) fives(mask, high, bytes int) {
	const t, u, by, ones = 8, 9, 13, 14
	p.nibblesWith(mask, t, 0, bytes, func(t, i int) {
		p.bitsOf(high, 4*i, 4, u) // to bits 0, 8, 16, 24
		VPMULLD(p.v(by), p.v(u), p.v(u))
		p.and(ones, u, u)
		p.left(4, u, u)
		p.or(u, t, t)
	})
}

// fiveConstants sets what fives needs.
func (p *pack) fiveConstants(mask int) {
	p.fill(15, mask)
	p.fill(1, 14)
	p.lane(1|1<<7|1<<14|1<<21, 13)
}

// packQ50 writes the function for q5_0.
func (s set) packQ50() {
	p := s.begin("packQ50", 22, 2)
	const mask, high = 15, 12
	bytes := p.width() * (32 + 4)
	p.fiveConstants(mask)
	Label("block")
	p.transposed(0, 0)
	p.half(0, false, 4, 5)
	p.putScale(4, 0, bytes, 32)
	p.right(16, 0, 4)
	p.left(16, 1, 5)
	p.or(4, 5, high)
	p.transposed(6, 0)
	p.fives(mask, high, bytes)
	p.nextOf(bytes)
}

// packQ51 writes the function for q5_1.
func (s set) packQ51() {
	p := s.begin("packQ51", 24, 2)
	const mask, high = 15, 12
	bytes := p.width() * (32 + 8)
	p.fiveConstants(mask)
	Label("block")
	p.transposed(0, 0)
	p.move(1, high)
	p.scaleAndMinimum(bytes)
	p.transposed(8, 0)
	p.fives(mask, high, bytes)
	p.nextOf(bytes)
}

// lookUp changes indices of a table.
func (p *pack) lookUp(table int) func(t, i int) {
	return func(t, _ int) { VPSHUFB(p.v(t), p.v(table), p.v(t)) }
}

// The tables of package qgemm.
var iq4, fp4 Mem

func tables() {
	iq4 = table16("iq4", [16]byte{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241})
	fp4 = table16("fp4", [16]byte{12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0})
}

// packIQ4NL writes the function for iq4_nl.
func (s set) packIQ4NL() {
	p := s.begin("packIQ4NL", 18, 1)
	const mask, table = 15, 14
	bytes := p.width() * (32 + 4)
	p.fill(15, mask)
	p.tableOf(iq4, table)
	Label("block")
	p.transposed(2, 0)
	p.nibblesWith(mask, 8, 0, bytes, p.lookUp(table))
	p.scales(0, 0)
	p.nextOf(bytes)
}

// packIQ4XS writes the function for iq4_xs.
func (s set) packIQ4XS() {
	p := s.begin("packIQ4XS", 136, 9)
	const mask, table, d, t, u, less = 15, 14, 4, 5, 6, 7
	bytes := p.width() * (32 + 4)
	p.fill(15, mask)
	p.tableOf(iq4, table)
	Label("block")
	p.transposed(0, 0)
	p.half(0, false, d, t)
	p.lane(32, less)
	for g := range 8 {
		p.bitsOf(1, 4*g, 4, t)
		p.bitsOf(0, 16+2*g, 2, u)
		p.left(4, u, u)
		p.or(t, u, t)
		VPSUBD(p.v(less), p.v(t), p.v(t))
		VCVTDQ2PS(p.v(t), p.v(t))
		VMULPS(p.v(d), p.v(t), p.v(t))
		p.putScale(t, g, bytes, 32)
	}
	for g := range 8 {
		p.transposed(8+16*g, 0)
		p.nibblesWith(mask, 8, g, bytes, p.lookUp(table))
	}
	p.nextOf(8 * bytes)
}

// packMXFP4 writes the function for mxfp4, whose scale is 2^(e-128).
func (s set) packMXFP4() {
	p := s.begin("packMXFP4", 17, 2)
	const mask, table, two, first, e, t, u = 15, 14, 13, 12, 4, 5, 6
	bytes := p.width() * (32 + 4)
	p.fill(15, mask)
	p.tableOf(fp4, table)
	p.lane(2, two)
	p.lane(0x200000, first)
	Label("block")
	p.transposed(0, 0)
	p.bitsOf(0, 0, 8, e)
	VPMINUD(p.v(two), p.v(e), p.v(t)) // the first two are denormal
	VPSLLVD(p.v(t), p.v(first), p.v(t))
	VPMAXUD(p.v(two), p.v(e), p.v(u))
	VPSUBD(p.v(two), p.v(u), p.v(u))
	p.left(23, u, u)
	VPADDD(p.v(u), p.v(t), p.v(t))
	p.putScale(t, 0, bytes, 32)
	p.transposed(1, 0)
	p.nibblesWith(mask, 8, 0, bytes, p.lookUp(table))
	p.nextOf(bytes)
}
