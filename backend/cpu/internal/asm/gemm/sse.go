package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// SSE2 is on every amd64 processor. It has 16 registers of 4 lanes, and adds products in two
// instructions. Its kernels leave what is no whole register.

// dotSSE writes the dot tiles of 4 columns or one: 2 rows of x at a time, then one.
func dotSSE(columns int) {
	name := fmt.Sprintf("dot%dF32SSE", columns)
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is a dotKernel for %d columns.", name, columns))
	dst, rest, dstStride := vectors{base: param("dst")}, param("rows"), param("dstStride")
	dst.stride(2, dstStride)
	xs, ws := vectors{base: param("x")}, vectors{base: GP64()}
	xs.stride(2, param("xStride"))
	ws.stride(columns, param("wStride"))
	for _, n := range []int{2, 1} {
		Label(fmt.Sprintf("rows%d", n))
		CMPQ(rest, Imm(uint64(n)))
		JL(LabelRef(fmt.Sprintf("rows%d", n-1)))
		sums := make([][]reg.VecVirtual, n)
		for r := range sums {
			for range columns {
				s := XMM()
				XORPS(s, s)
				sums[r] = append(sums[r], s)
			}
		}
		from, count := GP64(), param("n")
		MOVQ(xs.base, from)
		at := vectors{from, xs.s1, nil, nil}
		Load(Param("w"), ws.base)
		SHRQ(Imm(2), count)
		JZ(LabelRef(fmt.Sprintf("sums%d", n)))
		Label(fmt.Sprintf("loop%d", n))
		var x []reg.VecVirtual
		for r := range n {
			v := XMM()
			MOVUPS(at.at(r, 0), v)
			x = append(x, v)
		}
		for c := range columns {
			w := XMM()
			MOVUPS(ws.at(c, 0), w)
			for r := range n {
				product := w
				if r < n-1 {
					product = XMM()
					MOVAPS(w, product)
				}
				MULPS(x[r], product)
				ADDPS(product, sums[r][c])
			}
		}
		ADDQ(Imm(16), from)
		ADDQ(Imm(16), ws.base)
		DECQ(count)
		JNZ(LabelRef(fmt.Sprintf("loop%d", n)))
		Label(fmt.Sprintf("sums%d", n))
		for r := range n {
			pairSSE(sums[r][0], sums[r][min(1, columns-1)])
			if columns == 1 {
				halvesSSE(sums[r][0], sums[r][0])
				ADDSS(dst.at(r, 0), sums[r][0])
				MOVSS(sums[r][0], dst.at(r, 0))
				continue
			}
			pairSSE(sums[r][2], sums[r][3])
			halvesSSE(sums[r][0], sums[r][2])
			old := XMM()
			MOVUPS(dst.at(r, 0), old)
			ADDPS(old, sums[r][0])
			MOVUPS(sums[r][0], dst.at(r, 0))
		}
		LEAQ(Mem{Base: dst.base, Index: dst.s1, Scale: uint8(n)}, dst.base)
		LEAQ(Mem{Base: xs.base, Index: xs.s1, Scale: uint8(n)}, xs.base)
		SUBQ(Imm(uint64(n)), rest)
		JMP(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	Label("rows0")
	RET()
}

// pairSSE makes a0+a2 b0+b2 a1+a3 b1+b3 of a, and halvesSSE the sums of halves of two of these.
func pairSSE(a, b reg.VecVirtual) {
	high := XMM()
	MOVAPS(a, high)
	UNPCKHPS(b, high)
	UNPCKLPS(b, a)
	ADDPS(high, a)
}

func halvesSSE(a, b reg.VecVirtual) {
	high := XMM()
	MOVAPS(a, high)
	UNPCKHPD(b, high)
	UNPCKLPD(b, a)
	ADDPS(high, a)
}

// outerSSE writes the outer tiles of a number of registers of columns: some rows of x at a time,
// then one.
func outerSSE(most, width int) {
	name := fmt.Sprintf("outer%dx%dF32SSE", most, 4*width)
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is an outerKernel for %d columns.", name, 4*width))
	rest, stride, step := param("rows"), param("wStride"), param("xStep")
	for _, n := range slices.Compact([]int{most, 1}) {
		Label(fmt.Sprintf("rows%d", n))
		CMPQ(rest, Imm(uint64(n)))
		JL(LabelRef(fmt.Sprintf("rows%d", n/4)))
		dst := addresses("dst", n)[0]
		sums := make([][]reg.VecVirtual, n)
		for r := range sums {
			for i := range width {
				s := XMM()
				MOVUPS(dst.at(r, 16*i), s)
				sums[r] = append(sums[r], s)
			}
		}
		x, from, count := addresses("x", n)[0], param("w"), param("n")
		Label(fmt.Sprintf("loop%d", n))
		load := func(i int) reg.VecVirtual {
			v := XMM()
			MOVUPS(Mem{Base: from, Disp: 16 * i}, v)
			return v
		}
		var w []reg.VecVirtual // for several rows
		for i := 0; i < width && n > 1; i++ {
			w = append(w, load(i))
		}
		for r := range n {
			number := XMM()
			MOVSS(x.at(r, 0), number)
			SHUFPS(Imm(0), number, number)
			for i := range width {
				var product reg.VecVirtual
				if n == 1 {
					product = load(i)
					MULPS(number, product)
				} else {
					product = XMM()
					MOVAPS(number, product)
					MULPS(w[i], product)
				}
				ADDPS(product, sums[r][i])
			}
		}
		ADDQ(stride, from)
		ADDQ(step, x.base)
		DECQ(count)
		JNZ(LabelRef(fmt.Sprintf("loop%d", n)))
		dst = addresses("dst", n)[0]
		for r := range sums {
			for i := range width {
				MOVUPS(sums[r][i], dst.at(r, 16*i))
			}
		}
		for _, name := range []string{"dst", "x"} {
			address, stride := param(name), param(name+"Stride")
			LEAQ(Mem{Base: address, Index: stride, Scale: uint8(n)}, address)
			Store(address, Param(name))
		}
		SUBQ(Imm(uint64(n)), rest)
		JMP(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	Label("rows0")
	RET()
}
