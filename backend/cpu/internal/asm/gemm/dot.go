package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const dotSignature = "func(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)"

// dot512 writes the dot tiles of a number of columns: 4 rows of x at a time, then what is
// left of them.
func dot512(dtype string, columns int) {
	name := fmt.Sprintf("dot%dAVX512%s", columns, dtype)
	TEXT(name, NOSPLIT, dotSignature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s adds the products of rows of x with %d rows of w.", name, columns))
	bytes := 4
	if dtype != "F32" {
		bytes = 2
	}
	d := dots{dtype: dtype, bytes: bytes, columns: columns}
	d.dst = Load(Param("dst"), GP64()).(reg.GPVirtual)
	d.rows = Load(Param("rows"), GP64()).(reg.GPVirtual)
	d.x.base = Load(Param("x"), GP64()).(reg.GPVirtual)
	d.x.stride(4, Load(Param("xStride"), GP64()).(reg.GPVirtual))
	d.w.base = GP64()
	d.w.stride(columns, Load(Param("wStride"), GP64()).(reg.GPVirtual))
	d.count, d.ahead = GP64(), GP64()

	Load(Param("n"), d.count)
	ANDQ(Imm(15), d.count)
	d.tail = K()
	mask := GP64()
	MOVQ(I32(1), mask)
	SHLXQ(d.count, mask, mask)
	DECQ(mask)
	KMOVW(mask.As32(), d.tail)

	Label("four")
	CMPQ(d.rows, Imm(4))
	JL(LabelRef("rest"))
	d.tile(4)
	ds := Load(Param("dstStride"), GP64())
	LEAQ(Mem{Base: d.dst, Index: ds, Scale: 4}, d.dst)
	LEAQ(Mem{Base: d.x.base, Index: d.x.s1, Scale: 4}, d.x.base)
	SUBQ(Imm(4), d.rows)
	JMP(LabelRef("four"))
	Label("rest")
	CMPQ(d.rows, Imm(2))
	JG(LabelRef("three"))
	JE(LabelRef("two"))
	CMPQ(d.rows, Imm(0))
	JE(LabelRef("end"))
	d.tile(1)
	JMP(LabelRef("end"))
	Label("two")
	d.tile(2)
	JMP(LabelRef("end"))
	Label("three")
	d.tile(3)
	Label("end")
	VZEROUPPER()
	RET()
}

type dots struct {
	dtype                   string
	bytes, columns          int
	dst, rows, count, ahead reg.GPVirtual
	x, w                    rows
	tail                    reg.OpmaskVirtual
}

// tile is the products of n rows of x. It leaves x.base where it was.
func (d dots) tile(n int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, n) }
	acc := make([][]reg.VecVirtual, n)
	for r := range acc {
		for range d.columns {
			z := ZMM()
			zero(z)
			acc[r] = append(acc[r], z)
		}
	}
	Load(Param("w"), d.w.base)
	Load(Param("n"), d.count)
	SUBQ(Imm(16), d.count)
	JL(LabelRef(label("short")))
	if n == 4 {
		CMPQ(d.rows, Imm(4))
		JE(LabelRef(label("last")))
		LEAQ(Mem{Base: d.x.base, Index: d.x.s1, Scale: 4}, d.ahead)
		d.loop(label("more"), acc, rows{d.ahead, d.x.s1, d.x.s3, d.x.s5}, 4, 64)
		JMP(LabelRef(label("short")))
		Label(label("last"))
	}
	Load(Param("ahead"), d.ahead)
	ADDQ(d.w.base, d.ahead)
	d.loop(label("loop"), acc, rows{d.ahead, d.w.s1, d.w.s3, d.w.s5}, d.columns, 16*d.bytes)
	Label(label("short"))
	ADDQ(Imm(16), d.count)
	JZ(LabelRef(label("sums")))
	d.step(acc, true)
	Label(label("sums"))
	Load(Param("n"), d.count)
	back := GP64()
	MOVQ(d.count, back)
	ANDQ(I32(-16), back)
	NEGQ(back)
	LEAQ(Mem{Base: d.x.base, Index: back, Scale: 4}, d.x.base)
	d.add(acc)
}

func (d dots) loop(label string, acc [][]reg.VecVirtual, ahead rows, lines, step int) {
	Label(label)
	d.step(acc, false)
	for i := range lines {
		PREFETCHT0(ahead.at(i, 0))
	}
	ADDQ(Imm(64), d.x.base)
	ADDQ(Imm(uint64(16*d.bytes)), d.w.base)
	ADDQ(Imm(uint64(step)), ahead.base)
	SUBQ(Imm(16), d.count)
	JGE(LabelRef(label))
}

// step multiplies 16 numbers of each row, or those that are left.
func (d dots) step(acc [][]reg.VecVirtual, tail bool) {
	var x []reg.VecVirtual
	for r := range acc {
		z := ZMM()
		if tail {
			VMOVUPS_Z(d.x.at(r, 0), d.tail, z)
		} else {
			VMOVUPS(d.x.at(r, 0), z)
		}
		x = append(x, z)
	}
	for c := range d.columns {
		z, from := ZMM(), d.w.at(c, 0)
		switch {
		case d.dtype == "F32" && tail:
			VMOVUPS_Z(from, d.tail, z)
		case d.dtype == "F32":
			VMOVUPS(from, z)
		case tail:
			VMOVDQU16_Z(from, d.tail, z.AsY())
			if d.dtype == "F16" {
				VCVTPH2PS(z.AsY(), z)
			} else {
				VPMOVZXWD(z.AsY(), z)
				VPSLLD(Imm(16), z, z)
			}
		case d.dtype == "F16":
			VCVTPH2PS(from, z)
		default:
			VPMOVZXWD(from, z)
			VPSLLD(Imm(16), z, z)
		}
		for r := range acc {
			VFMADD231PS(x[r], z, acc[r][c])
		}
	}
}

// add reduces each sum of 16 lanes and adds it to dst. Lanes are added up in the same
// order for every tile: ((q0+q2)+(q1+q3)) of the quarters, of which (l0+l2)+(l1+l3).
func (d dots) add(acc [][]reg.VecVirtual) {
	n := len(acc)
	ds := Load(Param("dstStride"), GP64()).(reg.GPVirtual)
	dst := rows{base: d.dst}
	dst.stride(n, ds)
	if n == 4 {
		for c := 0; c < d.columns; {
			width := min(4, d.columns-c)
			if width == 3 {
				width = 2
			}
			var q []reg.VecVirtual
			for i := range width {
				q = append(q, quarters(acc[0][c+i], acc[1][c+i], acc[2][c+i], acc[3][c+i]))
			}
			s := within(q)
			for r := range 4 {
				x := reg.Register(s.AsX())
				if r > 0 {
					x = XMM()
					VEXTRACTF32X4(Imm(uint64(r)), s, x)
				}
				addTo(dst.at(r, 4*c), x, width)
			}
			c += width
		}
		return
	}
	for r := range n {
		for c := 0; c < d.columns; {
			width := min(4, d.columns-c)
			if width == 3 {
				width = 2
			}
			var q []reg.VecVirtual
			for i := range width {
				z := acc[r][c+i]
				y := YMM()
				VEXTRACTF64X4(Imm(1), z, y)
				VADDPS(y, z.AsY(), y)
				x := XMM()
				VEXTRACTF32X4(Imm(1), y, x)
				VADDPS(x, y.AsX(), x)
				q = append(q, x)
			}
			addTo(dst.at(r, 4*c), within(q), width)
			c += width
		}
	}
}

// quarters adds up the quarters of four registers: quarter i of the result is of the i-th.
func quarters(a, b, c, d reg.VecVirtual) reg.VecVirtual {
	t, u, v := ZMM(), ZMM(), ZMM()
	VSHUFF32X4(Imm(0x44), b, a, t) // a0 a1 b0 b1
	VSHUFF32X4(Imm(0xee), b, a, u) // a2 a3 b2 b3
	VADDPS(u, t, t)
	VSHUFF32X4(Imm(0x44), d, c, u)
	VSHUFF32X4(Imm(0xee), d, c, v)
	VADDPS(v, u, u)
	w := ZMM()
	VSHUFF32X4(Imm(0x88), u, t, w)
	VSHUFF32X4(Imm(0xdd), u, t, v)
	VADDPS(v, w, w)
	return w
}

// like returns a new register as wide as r.
func like(r reg.Register) reg.VecVirtual {
	switch r.Size() {
	case 64:
		return ZMM()
	case 32:
		return YMM()
	}
	return XMM()
}

// within adds up the lanes of each quarter of 1, 2 or 4 registers: lane i of a quarter of
// the result is of the i-th.
func within(q []reg.VecVirtual) reg.VecVirtual {
	pair := func(a, b reg.VecVirtual) reg.VecVirtual { // a0+a2 b0+b2 a1+a3 b1+b3
		lo, hi := like(a), like(a)
		VUNPCKLPS(b, a, lo)
		VUNPCKHPS(b, a, hi)
		VADDPS(hi, lo, lo)
		return lo
	}
	halves := func(a, b reg.VecVirtual) reg.VecVirtual {
		lo, hi := like(a), like(a)
		VUNPCKLPD(b, a, lo)
		VUNPCKHPD(b, a, hi)
		VADDPS(hi, lo, lo)
		return lo
	}
	switch len(q) {
	case 4:
		return halves(pair(q[0], q[1]), pair(q[2], q[3]))
	case 2:
		p := pair(q[0], q[1])
		return halves(p, p)
	}
	p := pair(q[0], q[0])
	return halves(p, p)
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
