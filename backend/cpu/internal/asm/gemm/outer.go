package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const outerSignature = "func(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *float32, wStride, n, columns, ahead int)"

// outer512 writes the outer tile of up to 8 rows of x and a number of registers of columns.
func outer512(most, width int) {
	name := fmt.Sprintf("outer%dx%dAVX512", most, width)
	TEXT(name, NOSPLIT, outerSignature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s adds the products of rows of x with up to %d columns of w.", name, 16*width))
	o := outer{width: width}
	for range width {
		o.masks = append(o.masks, K())
	}
	left, mask, sixteen := Load(Param("columns"), GP64()).(reg.GPVirtual), GP64(), GP64()
	now := GP64()
	MOVQ(I32(16), sixteen)
	for _, k := range o.masks {
		MOVQ(sixteen, now)
		CMPQ(left, now)
		CMOVQLT(left, now)
		SUBQ(now, left)
		MOVQ(I32(1), mask)
		SHLXQ(now, mask, mask)
		DECQ(mask)
		KMOVW(mask.As32(), k)
	}
	sizes := []int{1}
	for n := 2; n <= most; n *= 2 {
		sizes = append([]int{n}, sizes...)
	}
	for _, n := range sizes {
		Label(fmt.Sprintf("rows%d", n))
		rest := Load(Param("rows"), GP64())
		CMPQ(rest, Imm(uint64(n)))
		JL(LabelRef(fmt.Sprintf("rows%d", n/2)))
		SUBQ(Imm(uint64(n)), rest)
		Store(rest, Param("rows"))
		o.tile(n)
		for _, m := range []string{"dst", "x"} {
			address, stride := Load(Param(m), GP64()).(reg.GPVirtual), Load(Param(m+"Stride"), GP64())
			LEAQ(Mem{Base: address, Index: stride, Scale: uint8(n)}, address)
			Store(address, Param(m))
		}
		JMP(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	Label("rows0")
	VZEROUPPER()
	RET()
}

type outer struct {
	width int
	masks []reg.OpmaskVirtual
}

// eight is the addresses of up to 8 rows of a parameter.
func eight(name string, n int) []rows {
	low := rows{base: Load(Param(name), GP64()).(reg.GPVirtual)}
	low.stride(4, Load(Param(name+"Stride"), GP64()).(reg.GPVirtual))
	if n <= 4 {
		return []rows{low}
	}
	high := low
	high.base = GP64()
	LEAQ(Mem{Base: low.base, Index: low.s1, Scale: 4}, high.base)
	return []rows{low, high}
}

func (o outer) tile(n int) {
	dst := eight("dst", n)
	acc := make([][]reg.VecVirtual, n)
	for r := range acc {
		for i := range o.width {
			z := ZMM()
			VMOVUPS_Z(dst[r/4].at(r%4, 64*i), o.masks[i], z)
			acc[r] = append(acc[r], z)
		}
	}
	x, from, count := eight("x", n), Load(Param("w"), GP64()).(reg.GPVirtual), Load(Param("n"), GP64())
	ws, step, ahead := Load(Param("wStride"), GP64()), Load(Param("xStep"), GP64()), Load(Param("ahead"), GP64())
	Label(fmt.Sprintf("loop%d", n))
	var w []reg.VecVirtual
	for i := range o.width {
		z := ZMM()
		VMOVUPS_Z(Mem{Base: from, Disp: 64 * i}, o.masks[i], z)
		w = append(w, z)
	}
	for i := range o.width {
		PREFETCHT0(Mem{Base: from, Index: ahead, Scale: 1, Disp: 64 * i})
	}
	for r := range acc {
		b := ZMM()
		VBROADCASTSS(x[r/4].at(r%4, 0), b)
		for i := range o.width {
			VFMADD231PS(w[i], b, acc[r][i])
		}
	}
	ADDQ(ws, from)
	for _, r := range x {
		ADDQ(step, r.base)
	}
	DECQ(count)
	JNZ(LabelRef(fmt.Sprintf("loop%d", n)))
	dst = eight("dst", n)
	for r := range acc {
		for i := range o.width {
			VMOVUPS(acc[r][i], o.masks[i], dst[r/4].at(r%4, 64*i))
		}
	}
}
