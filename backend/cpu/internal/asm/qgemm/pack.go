package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pack is a function that is being written, which brings blocks of weights into a strip: as
// many outputs as a vector has lanes, of the columns of vectors that a strip has.
type pack struct {
	set
	panel Mem
	bases []reg.GPPhysical // of rows 0, 4, 8, …
	s, s3 reg.Register     // bytes from a row to the next, and three times that

	block       int // bytes of a block
	asks, asked int // memory ahead is asked for in so many parts, one at each transposed
}

// begin loads the parameters. The loop ends with next; transposed is called so often in it.
func (s set) begin(name string, block, transposed int) *pack {
	TEXT(name+s.name, NOSPLIT, "func(panel, w *byte, ahead uintptr, stride, blocks int)")
	Pragma("noescape")
	p := s.rows()
	Load(Param("ahead"), reg.R11)
	p.panel.Base = Load(Param("panel"), reg.RDI)
	p.block, p.asks = block, transposed
	return p
}

// rows loads the parameters that say where weights lie, and how many blocks.
func (s set) rows() *pack {
	p := &pack{set: s, bases: []reg.GPPhysical{reg.RSI, reg.R8, reg.R9, reg.R10}[:s.lanes()/4], s: reg.RDX, s3: reg.RBX}
	Load(Param("w"), reg.RSI)
	Load(Param("stride"), reg.RDX)
	Load(Param("blocks"), reg.RCX)
	LEAQ(Mem{Base: reg.RDX, Index: reg.RDX, Scale: 2}, reg.RBX)
	for i := 1; i < len(p.bases); i++ {
		LEAQ(Mem{Base: p.bases[i-1], Index: reg.RDX, Scale: 4}, p.bases[i])
	}
	return p
}

// next goes on to the next block, of a group of 32.
func (p *pack) next() { p.nextOf(p.width() * (32 + 4)) }

// nextOf is next for blocks that are so many bytes in a panel.
func (p *pack) nextOf(panelBytes int) {
	if p.asked != p.asks {
		panic(fmt.Sprintf("%d of %d parts of memory were asked for", p.asked, p.asks))
	}
	p.skip(p.block)
	add(p.lanes()*p.block, reg.R11)
	add(panelBytes, p.panel.Base)
	DECQ(reg.RCX)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// ask asks for a part of the memory that lies ahead, one of so many, in all as much as a block of each row. It comes into
// the L2 cache: what is asked for into L1 waits in one of its few buffers for lines, and bandwidth ends at these.
func (p *pack) ask(part, parts int) {
	lines := (p.lanes()*p.block + 63) / 64
	for i := part * lines / parts; i < (part+1)*lines/parts; i++ {
		PREFETCHT1(Mem{Base: reg.R11, Disp: 64 * i})
	}
}

// skip moves addresses to the next block.
func (p *pack) skip(blockBytes int) {
	for _, base := range p.bases {
		add(blockBytes, base)
	}
}

// row is where a row's block lies, and an offset.
func (p *pack) row(r, offset int) Mem {
	m := Mem{Base: p.bases[r/4], Disp: offset}
	switch r % 4 {
	case 1:
		m.Index, m.Scale = p.s, 1
	case 2:
		m.Index, m.Scale = p.s, 2
	case 3:
		m.Index, m.Scale = p.s3, 1
	}
	return m
}

// transposed loads 16 bytes of each row, from an offset in its block on, into four vectors from
// register v on: the first has the first four bytes of each row, one after the other. Registers
// v+4 to v+7 are overwritten.
func (p *pack) transposed(offset, v int) {
	if p.asked < p.asks {
		p.ask(p.asked, p.asks)
		p.asked++
	}
	for j := range 4 {
		VMOVDQU(p.row(j, offset), x[v+4+j])
		for lane := 1; lane < p.bits/128; lane++ {
			if p.bits == 512 {
				VINSERTI32X4(Imm(uint64(lane)), p.row(j+4*lane, offset), z[v+4+j], z[v+4+j])
			} else {
				VINSERTI128(Imm(uint64(lane)), p.row(j+4*lane, offset), y[v+4+j], y[v+4+j])
			}
		}
	}
	a := func(i int) reg.VecPhysical { return p.v(v + 4 + i) }
	t := func(i int) reg.VecPhysical { return p.v(v + i) }
	VPUNPCKLDQ(a(1), a(0), t(0))
	VPUNPCKHDQ(a(1), a(0), t(1))
	VPUNPCKLDQ(a(3), a(2), t(2))
	VPUNPCKHDQ(a(3), a(2), t(3))
	VPUNPCKLQDQ(t(2), t(0), a(0))
	VPUNPCKHQDQ(t(2), t(0), a(1))
	VPUNPCKLQDQ(t(3), t(1), a(2))
	VPUNPCKHQDQ(t(3), t(1), a(3))
	for i := range 4 {
		if p.bits == 512 {
			VMOVDQA32(a(i), t(i))
		} else {
			VMOVDQA(a(i), t(i))
		}
	}
}

// put stores four bytes of each row, which are the i-th.
func (p *pack) put(v, i int) { p.store(v, p.panel.Offset(4*i*p.width())) }

// scales stores the scales of rows, which are f16 at an offset of their blocks.
func (p *pack) scales(offset, v int) {
	p.halves(offset, v)
	p.store(v, p.panel.Offset(32*p.width()))
}

// halves loads a number of each row, which is f16 at an offset of its block. Register v+1 is overwritten.
func (p *pack) halves(offset, v int) {
	for half := range p.lanes() / 8 {
		VMOVD(p.row(8*half, offset), x[v+half])
		for i := 1; i < 8; i++ {
			VPINSRW(Imm(uint64(i)), p.row(8*half+i, offset), x[v+half], x[v+half])
		}
	}
	if p.bits == 512 {
		VINSERTI128(Imm(1), x[v+1], y[v], y[v])
		VCVTPH2PS(y[v], z[v])
	} else {
		VCVTPH2PS(x[v], y[v])
	}
}

// fill sets each byte of a vector.
func (p *pack) fill(b uint32, v int) {
	MOVL(U32(b*0x01010101), reg.EAX)
	VMOVD(reg.EAX, x[v])
	VPBROADCASTD(x[v], p.v(v))
}

// and is dst = a & b; xor likewise.
func (p *pack) and(a, b, dst int) {
	if p.bits == 512 {
		VPANDD(z[a], z[b], z[dst])
	} else {
		VPAND(y[a], y[b], y[dst])
	}
}

func (p *pack) xor(a, b, dst int) {
	if p.bits == 512 {
		VPXORD(z[a], z[b], z[dst])
	} else {
		VPXOR(y[a], y[b], y[dst])
	}
}

// packQ8 writes the function for q8_0: a scale, then 32 signed bytes, to which 128 is added.
func (s set) packQ8() {
	p := s.begin("packQ8", 34, 2)
	const flip = 15
	p.fill(128, flip)
	Label("block")
	for half := range 2 {
		p.transposed(2+16*half, 0)
		for i := range 4 {
			p.xor(flip, i, i)
			p.put(i, 4*half+i)
		}
	}
	p.scales(0, 0)
	p.next()
}

// packQ4 writes the function for q4_0: a scale, then 16 bytes: the low four bits of each are
// weights 0 to 15, and the high four bits the others.
func (s set) packQ4() {
	p := s.begin("packQ4", 18, 1)
	const mask = 15
	p.fill(15, mask)
	Label("block")
	p.transposed(2, 0)
	for i := range 4 {
		p.and(mask, i, 8)
		p.put(8, i)
		VPSRLW(Imm(4), p.v(i), p.v(i))
		p.and(mask, i, i)
		p.put(i, 4+i)
	}
	p.scales(0, 0)
	p.next()
}

// prefetch writes the function that asks for n bytes of memory, n above 0.
func prefetch() {
	TEXT("prefetch", NOSPLIT, "func(at *byte, n int)")
	Pragma("noescape")
	Load(Param("at"), reg.RSI)
	Load(Param("n"), reg.RCX)
	Label("line")
	PREFETCHT0(Mem{Base: reg.RSI})
	add(64, reg.RSI)
	SUBQ(U32(64), reg.RCX)
	JHI(LabelRef("line"))
	RET()
}
