package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dot writes the dot tiles of a number of columns: as many rows of x as registers hold at
// a time, then what is left of them.
func (m isa) dot(t dtype, columns int) {
	name := fmt.Sprintf("dot%d%s%s", columns, t.name, m.name)
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is a dotKernel for %d columns.", name, columns))
	d := dots{isa: m, dtype: t, columns: columns, dst: param("dst"), rest: param("rows")}
	d.x.base = param("x")
	d.x.stride(m.rows, param("xStride"))
	d.w.base = GP64()
	d.w.stride(columns, param("wStride"))
	d.count, d.ahead, d.early = GP64(), GP64(), GP64()
	XORQ(d.early, d.early)
	if t == q4 {
		d.constants()
	}
	if m.wide() && !t.block {
		d.tail = K()
		left := param("n")
		ANDQ(Imm(15), left)
		mask(left, d.tail)
	}
	Label("rows")
	CMPQ(d.rest, Imm(uint64(m.rows)))
	JL(LabelRef("rest"))
	d.tile(m.rows)
	stride := param("dstStride")
	d.next(d.dst, stride)
	d.next(d.x.base, d.x.s1)
	SUBQ(Imm(uint64(m.rows)), d.rest)
	JMP(LabelRef("rows"))
	Label("rest")
	for n := m.rows - 1; n > 0; n-- {
		CMPQ(d.rest, Imm(uint64(n)))
		JE(LabelRef(fmt.Sprintf("rest%d", n)))
	}
	JMP(LabelRef("end"))
	for n := m.rows - 1; n > 0; n-- {
		Label(fmt.Sprintf("rest%d", n))
		d.tile(n)
		JMP(LabelRef("end"))
	}
	Label("end")
	VZEROUPPER()
	RET()
}

// fewLeft is with how many rows that are left all of the w that follows is asked for. With
// more it is a row of w for each tile, as there is time.
const fewLeft = 16

type dots struct {
	isa
	dtype
	columns                 int
	dst, rest, count, ahead reg.GPVirtual
	early                   reg.GPVirtual // of which row of the w that follows each step asks for a line, in bytes
	x, w                    vectors
	tail                    reg.OpmaskVirtual
	table                   reg.VecVirtual // of q4_0: what 16 values stand for, or with AVX2 a mask of 4 bits
}

// numbers is how many numbers of each row a step multiplies.
func (d dots) numbers() int {
	if d.block {
		return 32
	}
	return d.lanes
}

// stepBytes is how many bytes these are in w.
func (d dots) stepBytes() int {
	if d.block {
		return d.bytes
	}
	return d.bytes * d.lanes
}

// next moves an address to the next rows.
func (d dots) next(address, stride reg.Register) {
	if d.rows == 4 {
		LEAQ(Mem{Base: address, Index: stride, Scale: 4}, address)
		return
	}
	LEAQ(Mem{Base: address, Index: stride, Scale: 2}, address)
	ADDQ(stride, address)
}

// tile is the products of n rows of x. It leaves x.base where it was.
func (d dots) tile(n int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, n) }
	sums := make([][]reg.VecVirtual, n)
	for r := range sums {
		for range d.columns {
			z := d.vector()
			d.zero(z)
			sums[r] = append(sums[r], z)
		}
	}
	Load(Param("w"), d.w.base)
	Load(Param("n"), d.count)
	SUBQ(Imm(uint64(d.numbers())), d.count)
	JL(LabelRef(label("short")))
	next := fetch{vectors{d.ahead, d.w.s1, d.w.s3, d.w.s5}, d.columns, d.stepBytes(), false}
	if n == d.rows {
		CMPQ(d.rest, Imm(uint64(n)))
		JE(LabelRef(label("last")))
		MOVQ(d.x.base, d.ahead)
		d.next(d.ahead, d.x.s1)
		x := fetch{vectors{d.ahead, d.x.s1, d.x.s3, d.x.s5}, n, 4 * d.numbers(), false}
		w := next
		w.base = param("ahead")
		ADDQ(d.w.base, w.base)
		CMPQ(d.rest, Imm(fewLeft))
		JG(LabelRef(label("many")))
		d.loop(label("few"), sums, x, w)
		JMP(LabelRef(label("short")))
		Label(label("many"))
		ADDQ(d.early, w.base)
		d.loop(label("more"), sums, x, fetch{w.vectors, 1, d.stepBytes(), true})
		ADDQ(d.w.s1, d.early)
		end, first := GP64(), GP64()
		XORQ(first, first)
		MOVQ(d.w.s1, end)
		IMUL3Q(Imm(uint64(d.columns)), end, end)
		CMPQ(d.early, end)
		CMOVQGE(first, d.early)
		JMP(LabelRef(label("short")))
		Label(label("last"))
	}
	Load(Param("ahead"), d.ahead)
	ADDQ(d.w.base, d.ahead)
	d.loop(label("loop"), sums, next)
	Label(label("short"))
	if d.wide() && !d.block {
		ADDQ(Imm(16), d.count)
		JZ(LabelRef(label("sums")))
		d.step(sums, true)
		Label(label("sums"))
	}
	back := param("n")
	ANDQ(I32(-d.numbers()), back)
	NEGQ(back)
	LEAQ(Mem{Base: d.x.base, Index: back, Scale: 4}, d.x.base)
	d.add(sums)
}

// fetch is memory that is asked for at each step: bytes of a number of rows.
type fetch struct {
	vectors
	rows, bytes int
	far         bool // into the L2 cache
}

// loop multiplies whole steps.
func (d dots) loop(label string, sums [][]reg.VecVirtual, ahead ...fetch) {
	Label(label)
	if d.block {
		d.stepBlock(sums)
	} else {
		d.step(sums, false)
	}
	for _, f := range ahead {
		for r := range f.rows {
			for at := 0; at < f.bytes; at += 64 {
				if f.far {
					PREFETCHT1(f.at(r, at))
				} else {
					PREFETCHT0(f.at(r, at))
				}
			}
		}
		ADDQ(I32(f.bytes), f.base)
	}
	ADDQ(Imm(uint64(4*d.numbers())), d.x.base)
	ADDQ(Imm(uint64(d.stepBytes())), d.w.base)
	SUBQ(Imm(uint64(d.numbers())), d.count)
	JGE(LabelRef(label))
}

// step multiplies a register of each row, or what is left of them.
func (d dots) step(sums [][]reg.VecVirtual, tail bool) {
	load := func(t dtype, from Mem) reg.VecVirtual {
		z := d.vector()
		if tail {
			d.loadMasked(t, from, d.tail, z)
		} else {
			d.load(t, from, z)
		}
		return z
	}
	var x []reg.VecVirtual
	for r := range sums {
		x = append(x, load(f32, d.x.at(r, 0)))
	}
	for c := range d.columns {
		w := load(d.dtype, d.w.at(c, 0))
		for r := range sums {
			VFMADD231PS(x[r], w, sums[r][c])
		}
	}
}

// constants fills the table.
func (d *dots) constants() {
	d.table = d.vector()
	if d.wide() {
		VMOVUPS(fours(), d.table)
		return
	}
	four := GP32()
	MOVL(U32(15), four)
	x := XMM()
	VMOVD(four, x)
	VPBROADCASTD(x, d.table)
}

// stepBlock multiplies a block of each row of w. A number is what its bits stand for times the
// scale, rounded to float32, as where blocks are converted to memory.
func (d dots) stepBlock(sums [][]reg.VecVirtual) {
	parts := 32 / d.lanes
	x := make([][]reg.VecVirtual, parts)
	if d.wide() { // registers suffice
		for p := range x {
			for r := range sums {
				z := d.vector()
				VMOVUPS(d.x.at(r, 4*d.lanes*p), z)
				x[p] = append(x[p], z)
			}
		}
	}
	for c := range d.columns {
		scale := d.vector()
		if d.wide() {
			y := YMM()
			VPBROADCASTW(d.w.at(c, 0), y)
			VCVTPH2PS(y, scale)
		} else {
			x := XMM()
			VPBROADCASTW(d.w.at(c, 0), x)
			VCVTPH2PS(x, scale)
		}
		for p := range parts {
			w := d.vector()
			d.unpack(d.w, c, p, w)
			VMULPS(scale, w, w)
			for r := range sums {
				if d.wide() {
					VFMADD231PS(x[p][r], w, sums[r][c])
				} else {
					VFMADD231PS(d.x.at(r, 4*d.lanes*p), w, sums[r][c])
				}
			}
		}
	}
}

// unpack puts what the p-th register of numbers of a block stands for into w.
func (d dots) unpack(from vectors, c, p int, w reg.VecVirtual) {
	if d.dtype == q8 {
		VPMOVSXBD(from.at(c, 2+d.lanes*p), w)
		VCVTDQ2PS(w, w)
		return
	}
	parts := 16 / d.lanes // of the low halves of bytes; then come the high halves
	VPMOVZXBD(from.at(c, 2+d.lanes*(p%parts)), w)
	if p >= parts {
		VPSRLD(Imm(4), w, w)
	}
	if d.wide() {
		VPERMPS(d.table, w, w) // of an index it reads 4 bits
		return
	}
	if p < parts {
		VPAND(d.table, w, w)
	}
	VCVTDQ2PS(w, w)
	VADDPS(minusEight(), w, w)
}

// add adds up the lanes of each sum and adds the results to dst. The order is the same in
// every tile: with AVX-512 (q0+q2)+(q1+q3) of quarters q, of which (l0+l2)+(l1+l3).
func (d dots) add(sums [][]reg.VecVirtual) {
	dst := vectors{base: d.dst}
	dst.stride(len(sums), param("dstStride"))
	for c := 0; c < d.columns; {
		width := min(4, d.columns-c)
		if width == 3 {
			width = 2
		}
		if len(sums) == 4 {
			var q []reg.Register
			for i := range width {
				q = append(q, quarters(sums[0][c+i], sums[1][c+i], sums[2][c+i], sums[3][c+i]))
			}
			z := lanes(q)
			for r := range 4 {
				x := XMM()
				VEXTRACTF32X4(Imm(uint64(r)), z, x)
				addTo(dst.at(r, 4*c), x, width)
			}
		} else {
			for r := range sums {
				var q []reg.Register
				for i := range width {
					q = append(q, d.quarter(sums[r][c+i]))
				}
				addTo(dst.at(r, 4*c), lanes(q), width)
			}
		}
		c += width
	}
}

// quarter adds up the quarters of a register, or the halves with AVX2.
func (d dots) quarter(z reg.VecVirtual) reg.Register {
	x := XMM()
	if !d.wide() {
		VEXTRACTF128(Imm(1), z, x)
		VADDPS(x, z.AsX(), x)
		return x
	}
	y := YMM()
	VEXTRACTF64X4(Imm(1), z, y)
	VADDPS(y, z.AsY(), y)
	VEXTRACTF32X4(Imm(1), y, x)
	VADDPS(x, y.AsX(), x)
	return x
}

// quarters adds up the quarters of four registers: quarter i of the result is of the i-th.
func quarters(a, b, c, d reg.VecVirtual) reg.Register {
	t, u, v, w := ZMM(), ZMM(), ZMM(), ZMM()
	VSHUFF32X4(Imm(0x44), b, a, t) // a0 a1 b0 b1
	VSHUFF32X4(Imm(0xee), b, a, u) // a2 a3 b2 b3
	VADDPS(u, t, t)
	VSHUFF32X4(Imm(0x44), d, c, u)
	VSHUFF32X4(Imm(0xee), d, c, v)
	VADDPS(v, u, u)
	VSHUFF32X4(Imm(0x88), u, t, w)
	VSHUFF32X4(Imm(0xdd), u, t, v)
	VADDPS(v, w, w)
	return w
}

// lanes adds up the lanes of each quarter of 1, 2 or 4 registers: lane i of a quarter of
// the result is of the i-th.
func lanes(q []reg.Register) reg.Register {
	new := func() reg.Register {
		if q[0].Size() == 64 {
			return ZMM()
		}
		return XMM()
	}
	pair := func(a, b reg.Register) reg.Register { // a0+a2 b0+b2 a1+a3 b1+b3
		low, high := new(), new()
		VUNPCKLPS(b, a, low)
		VUNPCKHPS(b, a, high)
		VADDPS(high, low, low)
		return low
	}
	first := pair(q[0], q[min(1, len(q)-1)])
	second := first
	if len(q) == 4 {
		second = pair(q[2], q[3])
	}
	low, high := new(), new()
	VUNPCKLPD(second, first, low)
	VUNPCKHPD(second, first, high)
	VADDPS(high, low, low)
	return low
}

// addTo adds the first n lanes to memory.
func addTo(m Mem, x reg.Register, n int) {
	switch n {
	case 4:
		VADDPS(m, x, x)
		VMOVUPS(x, m)
	case 2:
		y := XMM()
		VMOVSD(m, y)
		VADDPS(y, x, x)
		VMOVSD(x, m)
	case 1:
		VADDSS(m, x, x)
		VMOVSS(x, m)
	}
}
