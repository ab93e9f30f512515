package main

import (
	"fmt"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// outer writes the outer tiles of a number of rows of x, and of what is left of them, and
// of a number of registers of columns. With AVX-512, and where there is one register, the
// last one may have fewer columns than lanes.
func (m isa) outer(t dtype, most, width int) {
	name := fmt.Sprintf("outer%dx%d%s%s", most, width*m.lanes, t.name, m.name)
	if !m.wide() && t != f32 && width == 1 {
		return // memory behind the last column cannot be left out
	}
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is an outerKernel for %d columns.", name, width*m.lanes))
	o := outer{isa: m, dtype: t, width: width}
	left := param("columns")
	switch {
	case m.wide():
		o.last = K()
		SUBQ(Imm(uint64(16*(width-1))), left)
		mask(left, o.last)
	case width == 1:
		table := GP64()
		LEAQ(masks(), table)
		NEGQ(left)
		o.lastLanes = YMM()
		VMOVUPS(Mem{Base: table, Index: left, Scale: 4, Disp: 32}, o.lastLanes)
	}
	// The most rows, 4 of them, then what is left.
	sizes := []int{8, 4, 3, 2, 1}
	for sizes[0] > most {
		sizes = sizes[1:]
	}
	for i, n := range sizes {
		Label(fmt.Sprintf("rows%d", n))
		rest := param("rows")
		fewer := "rows0"
		if i+1 < len(sizes) {
			fewer = fmt.Sprintf("rows%d", sizes[i+1])
		}
		CMPQ(rest, Imm(uint64(n)))
		JL(LabelRef(fewer))
		SUBQ(Imm(uint64(n)), rest)
		Store(rest, Param("rows"))
		o.tile(n, n == most && n > 1)
		if n == 2 || n == 3 {
			JMP(LabelRef("rows0"))
			continue
		}
		for _, name := range []string{"dst", "x"} {
			address, stride := param(name), param(name+"Stride")
			LEAQ(Mem{Base: address, Index: stride, Scale: uint8(n)}, address)
			Store(address, Param(name))
		}
		JMP(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	Label("rows0")
	VZEROUPPER()
	RET()
}

type outer struct {
	isa
	dtype
	width     int
	last      reg.OpmaskVirtual // of the last register's columns
	lastLanes reg.VecVirtual
}

// masked reports whether a register may have fewer columns than lanes.
func (o outer) masked(i int) bool { return i == o.width-1 && (o.wide() || o.width == 1) }

func (o outer) loadColumns(t dtype, from Mem, i int) reg.VecVirtual {
	z := o.vector()
	switch {
	case !o.masked(i):
		o.load(t, from, z)
	case o.wide():
		o.loadMasked(t, from, o.last, z)
	default:
		VMASKMOVPS(from, o.lastLanes, z)
	}
	return z
}

func (o outer) store(z reg.VecVirtual, to Mem, i int) {
	switch {
	case !o.masked(i):
		VMOVUPS(z, to)
	case o.wide():
		VMOVUPS(z, o.last, to)
	default:
		VMASKMOVPS(z, o.lastLanes, to)
	}
}

// addresses are those of up to 8 rows of a parameter, four by four.
func addresses(name string, n int) []vectors {
	low := vectors{base: param(name)}
	low.stride(n, param(name+"Stride"))
	if n <= 4 {
		return []vectors{low}
	}
	high := low
	high.base = GP64()
	LEAQ(Mem{Base: low.base, Index: low.s1, Scale: 4}, high.base)
	return []vectors{low, high}
}

// stretches are the parts of a sum before each of which memory of a row of dst that follows is
// asked for: half of it is left for the last one to come.
const stretches = 16

// tile adds the products of n rows of x to dst. Where sums are long enough to hide it, it
// asks for the rows of dst that follow, one after the other: all at once they would keep
// weights from being loaded.
func (o outer) tile(n int, ahead bool) {
	dst := addresses("dst", n)
	next, rows, every := GP64(), GP64(), GP64()
	if ahead {
		LEAQ(Mem{Base: dst[0].base, Index: dst[0].s1, Scale: uint8(n)}, next)
	}
	sums := make([][]reg.VecVirtual, n)
	for r := range sums {
		for i := range o.width {
			sums[r] = append(sums[r], o.loadColumns(f32, dst[r/4].at(r%4, 4*o.lanes*i), i))
		}
	}
	x, from, count := addresses("x", n), param("w"), param("n")
	stride, step, distance := param("wStride"), param("xStep"), param("ahead")
	loop := fmt.Sprintf("loop%d", n)
	if ahead {
		XORQ(rows, rows)
		CMPQ(count, Imm(64))
		JL(LabelRef(loop))
		MOVQ(count, every)
		SHRQ(Imm(uint64(bits.TrailingZeros(stretches))), every)
		MOVQ(I32(int32(n)), rows)
		Label("stretch")
		for at := 0; at < 4*o.lanes*o.width; at += 64 {
			PREFETCHT0(Mem{Base: next, Disp: at})
		}
		ADDQ(NewParamAddr("dstStride", 8), next)
		MOVQ(every, count)
	}
	Label(loop)
	bytes := o.bytes * o.lanes
	load := func(i int) reg.VecVirtual { return o.loadColumns(o.dtype, Mem{Base: from, Disp: bytes * i}, i) }
	var w []reg.VecVirtual
	for i := 0; i < o.width && n > 1; i++ {
		w = append(w, load(i))
	}
	for i := 0; i < bytes*o.width; i += 64 {
		PREFETCHT0(Mem{Base: from, Index: distance, Scale: 1, Disp: i})
	}
	for r := range sums {
		b := o.vector()
		VBROADCASTSS(x[r/4].at(r%4, 0), b)
		for i := range o.width {
			if n == 1 { // more registers are left for sums
				VFMADD231PS(load(i), b, sums[r][i])
			} else {
				VFMADD231PS(w[i], b, sums[r][i])
			}
		}
	}
	ADDQ(stride, from)
	for _, v := range x {
		ADDQ(step, v.base)
	}
	DECQ(count)
	JNZ(LabelRef(loop))
	if ahead { // rows is 0 where all is done, else 1 more than there are left to ask for
		DECQ(rows)
		JG(LabelRef("stretch"))
		JL(LabelRef("done"))
		MOVQ(NewParamAddr("n", 64), count)
		SHLQ(Imm(uint64(bits.TrailingZeros(uint(n)))), every) // n is a power of 2
		SUBQ(every, count)
		JMP(LabelRef(loop))
		Label("done")
	}
	dst = addresses("dst", n)
	for r := range sums {
		for i := range o.width {
			o.store(sums[r][i], dst[r/4].at(r%4, 4*o.lanes*i), i)
		}
	}
}
