package main

import (
	"fmt"
	"maps"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// superBlock says where the numbers of a K type lie, in a block of 256. Its low four bits are four pieces of 32
// bytes: the low halves of a piece are 32 numbers that follow one another, and the high halves are others.
type superBlock struct {
	name   string
	bytes  int
	group  int // number of weights that share a scale
	offset int // that all bytes have, and that is subtracted
	low    int // where the low bits begin

	high     int // where the bits above begin, of 32 bytes each; 0: none
	highMask string
	shift    func(piece int) (low, high int) // of bits above, to the left
	highPer  int                             // pieces that have their bits above in the same 32 bytes
	starts   func(piece int) (low, high int) // the first ones of each half

	header func(o *oneK)
}

func pairs64(piece int) (low, high int) { return 64 * piece, 64*piece + 32 }

var (
	q4k = superBlock{name: "Q4K", bytes: 144, group: 32, low: 16, starts: pairs64, header: (*oneK).kHeader}
	q5k = superBlock{
		name: "Q5K", bytes: 176, group: 32, low: 48, starts: pairs64, header: (*oneK).kHeader,
		high: 16, highMask: "bytes16", highPer: 4, shift: func(piece int) (int, int) { return 4 - 2*piece, 3 - 2*piece },
	}
	q6k = superBlock{
		name: "Q6K", bytes: 210, group: 16, offset: 32, header: (*oneK).q6Header,
		high: 128, highMask: "bytes48", highPer: 2, shift: func(piece int) (int, int) { return 4 - 2*(piece%2), -2 * (piece % 2) },
		starts: func(piece int) (int, int) {
			low := 128*(piece/2) + 32*(piece%2)
			return low, low + 64
		},
	}
)

func (b superBlock) minima() bool { return b.offset == 0 }

// oneK is a kernel for one row and a K type that is being written. x is packed, as for a tile of one row. Blocks are
// read row by row, whole vectors of them. Sums of four products then are words, so that VPACKSSDW and VPMADDWD add up
// neighbours of two vectors in two instructions; four vectors become one with the sums of four rows in each
// 128 bits, and those of all rows are put beside each other, a vector for each group.
//
// With 512 bits there are registers for all. With 256 scales of a block are kept in memory until they are needed, and so are
// sums of groups that are not the next.
type oneK struct {
	one
	superBlock
	local Mem
}

// Registers of a oneK.
const (
	oneKSums = 0 // of two rows: of low and high halves; then of the next two
	oneKRaw  = 4
	oneKTmp  = 5
	oneKHalf = 6 // sums of two rows, and 7
	oneKRest = 8 // with 256 bits: sums of rows 0 to 3, of low halves and then of high halves; the others are where sums were
	oneKOnes = 10
	oneKHigh = 11 // mask of the bits above
	oneKXLow = 12
	oneKXTop = 13
	oneKAcc  = 14
	oneKLow  = 15 // mask of the low bits

	// With 512 bits only.
	oneKRests  = 16 // as oneKRest, up to 21
	oneKScales = 22 // bytes: four groups of each row in each register; the minima of types that have such follow, in 24 and 25
	oneKScale  = 26 // of scales, and of minima
	oneKBegin  = 28 // what sums of low and high halves begin with
)

// rest is where the sums of rows 4j to 4j+3 are, of low halves or high ones.
func (o *oneK) rest(j, half int) int {
	switch {
	case j+1 == o.lanes()/4:
		return oneKSums + half
	case o.bits == 512:
		return oneKRests + 2*j + half
	}
	return oneKRest + half
}

// groupSums are where the sums of groups of low or high halves are at the end of pieces.
func (o *oneK) groupSums(half int) []int {
	if o.bits == 512 {
		return [][]int{{8, 9, 30, 31}, {oneKRests, oneKRests + 2, oneKRests + 4, oneKSums + 2}}[half]
	}
	return [][]int{{oneKSums + 2, oneKSums + 3}, {oneKHalf, oneKHalf + 1}}[half]
}

// Slots of vectors in memory, with 256 bits.
const (
	scaleSlots = 0  // then minima
	sumSlots   = 16 // of groups
	beginSlots = 32 // as oneKBegin
	slots      = 34
)

func (o *oneK) slot(i int) Mem { return o.local.Offset(i * o.bits / 8) }

// oneK writes the kernel of a K type.
func (s set) oneK(b superBlock) {
	TEXT("one"+b.name+s.name, 0, signature)
	var local Mem
	if s.bits == 256 {
		local = AllocLocal(slots * s.bits / 8)
	}
	o := &oneK{s.beginOne(oneKAcc), b, local}
	o.load(data("bytes15"), oneKLow)
	o.load(data("words1"), oneKOnes)
	if b.high > 0 {
		o.load(data(b.highMask), oneKHigh)
	}
	o.loops(b.bytes, 256/b.group*(b.group+12), oneKAcc, func() {
		b.header(o)
		for piece := 0; piece < 4; piece += s.bits / 256 {
			o.pieces(piece)
		}
	})
}

// inputs is where 16 or 32 numbers of x begin.
func (o *oneK) inputs(number int) Mem {
	return o.x.Offset(number/o.group*(o.group+12) + number%o.group)
}

// loadX loads the numbers of x that meet the low or the high halves of pieces.
func (o *oneK) loadX(starts []int, v int) {
	if o.group == 32 {
		VMOVDQU(o.inputs(starts[0]), y[v])
		if len(starts) > 1 {
			VINSERTI64X4(Imm(1), o.inputs(starts[1]), z[v], z[v])
		}
		return
	}
	VMOVDQU(o.inputs(starts[0]), x[v])
	VINSERTI128(Imm(1), o.inputs(starts[0]+16), y[v], y[v])
	if len(starts) > 1 {
		VINSERTI32X4(Imm(2), o.inputs(starts[1]), z[v], z[v])
		VINSERTI32X4(Imm(3), o.inputs(starts[1]+16), z[v], z[v])
	}
}

// pieces adds up products of one piece, or two with 512 bits.
func (o *oneK) pieces(first int) {
	var starts, shifts [2][]int
	for p := first; p < first+o.bits/256; p++ {
		low, high := o.superBlock.starts(p)
		starts[0], starts[1] = append(starts[0], low), append(starts[1], high)
		if o.high > 0 {
			low, high = o.shift(p)
			shifts[0], shifts[1] = append(shifts[0], low), append(shifts[1], high)
		}
	}
	for half, v := range []int{oneKXLow, oneKXTop} {
		o.loadX(starts[half], v)
		if o.offset > 0 {
			o.begin(half, v)
		}
	}
	for j := range o.lanes() / 4 {
		for i := range 4 {
			o.rowProducts(4*j+i, first, shifts, oneKSums+2*(i%2))
			o.ask(o.bytes, first*256/o.bits*o.lanes()+4*j+i, 1024/o.bits*o.lanes())
			if i%2 == 1 {
				for half := range 2 {
					to := oneKHalf + half
					if i == 3 {
						to = oneKSums + 2 + half
					}
					o.addNeighbours(oneKSums+half, oneKSums+2+half, to)
				}
			}
		}
		for half := range 2 {
			o.addNeighbours(oneKHalf+half, oneKSums+2+half, o.rest(j, half))
		}
	}
	for half := range 2 {
		o.arrange(half)
	}
	o.finishGroups(first, starts)
}

// begin sets what sums begin with: −Σ offset·x.
func (o *oneK) begin(half, xv int) {
	const zero, sum = oneKTmp, oneKSums
	o.zero(zero)
	o.load(data(fmt.Sprint("bytes", o.offset)), oneKRaw)
	if !o.vnni {
		o.productWords(xv, oneKRaw, sum)
	} else {
		o.zero(sum)
		o.dot(xv, oneKRaw, sum)
	}
	if o.bits == 512 {
		VPSUBD(z[sum], z[zero], z[oneKBegin+half])
		return
	}
	VPSUBD(y[sum], y[zero], y[sum])
	o.store(sum, o.slot(beginSlots+half))
}

// productWords is sum = Σ w·x of four bytes each, without an instruction for it.
func (o *oneK) productWords(xv, w, sum int) {
	VPMADDUBSW(y[xv], y[w], y[sum])
	VPMADDWD(y[oneKOnes], y[sum], y[sum])
}

// product is sum = Σ w·x of low or high halves.
func (o *oneK) product(half, xv, w, sum int) {
	switch {
	case !o.vnni:
		o.productWords(xv, w, sum)
		if o.offset > 0 {
			VPADDD(o.slot(beginSlots+half), y[sum], y[sum])
		}
		return
	case o.offset == 0:
		o.zero(sum)
	case o.bits == 512:
		o.move(oneKBegin+half, sum)
	default:
		o.load(o.slot(beginSlots+half), sum)
	}
	o.dot(xv, w, sum)
}

// rowProducts multiplies pieces of a row, low halves to register sum and high ones to the next.
func (o *oneK) rowProducts(row, first int, shifts [2][]int, sum int) {
	o.load(o.row(row, o.low+32*first), oneKRaw)
	for half, xv := range []int{oneKXLow, oneKXTop} {
		w := oneKTmp
		if half == 1 {
			w = oneKRaw
			VPSRLW(Imm(4), o.v(oneKRaw), o.v(oneKRaw))
		}
		o.and(oneKLow, oneKRaw, w)
		if o.high > 0 {
			o.orHigh(o.row(row, o.high+32*(first/o.highPer)), shifts[half], w, sum+half)
		}
		o.product(half, xv, w, sum+half)
	}
}

// orHigh is dst |= bits of m that are shifted. Register tmp is overwritten.
func (o *oneK) orHigh(m Mem, shifts []int, dst, tmp int) {
	if o.bits == 512 {
		VBROADCASTI64X4(m, z[tmp])
		VPROLVD(rotations(shifts), z[tmp], z[tmp])
		VPTERNLOGD(Imm(0xf8), z[oneKHigh], z[tmp], z[dst]) // dst | tmp & mask
		return
	}
	VMOVDQU(m, y[tmp])
	switch n := shifts[0]; {
	case n > 0:
		VPSLLW(Imm(uint64(n)), y[tmp], y[tmp])
	case n < 0:
		VPSRLW(Imm(uint64(-n)), y[tmp], y[tmp])
	}
	VPAND(y[oneKHigh], y[tmp], y[tmp])
	VPOR(y[tmp], y[dst], y[dst])
}

// addNeighbours is dst = a0+a1, a2+a3, b0+b1, b2+b3 of each 128 bits. Numbers of a and b fit words.
func (o *oneK) addNeighbours(a, b, dst int) {
	VPACKSSDW(o.v(b), o.v(a), o.v(dst))
	VPMADDWD(o.v(oneKOnes), o.v(dst), o.v(dst))
}

// arrange makes the sums of groups of low or high halves, a vector for each, in order.
func (o *oneK) arrange(half int) {
	r := func(j int) reg.VecPhysical { return o.v(o.rest(j, half)) }
	to := func(i int) reg.VecPhysical { return o.v(o.groupSums(half)[i]) }
	t, u := o.v(oneKRaw), o.v(oneKTmp)
	if o.bits == 256 {
		if o.group == 16 {
			VPERM2I128(Imm(0x20), r(1), r(0), to(0))
			VPERM2I128(Imm(0x31), r(1), r(0), to(1))
			return
		}
		VPERM2I128(Imm(0x20), r(1), r(0), t)
		VPERM2I128(Imm(0x31), r(1), r(0), u)
		VPADDD(t, u, to(0))
		return
	}
	const even, odd = 0x88, 0xdd // lanes of 128 bits: two of the first vector, then two of the second
	h := func(i int) reg.VecPhysical { return z[oneKHalf+i] }
	VSHUFI32X4(Imm(even), r(1), r(0), t)
	VSHUFI32X4(Imm(even), r(3), r(2), h(0))
	VSHUFI32X4(Imm(odd), r(1), r(0), u)
	VSHUFI32X4(Imm(odd), r(3), r(2), h(1))
	if o.group == 32 {
		VPADDD(t, u, t)
		VPADDD(h(0), h(1), h(0))
		VSHUFI32X4(Imm(even), h(0), t, to(0))
		VSHUFI32X4(Imm(odd), h(0), t, to(1))
		return
	}
	VSHUFI32X4(Imm(even), h(0), t, to(0))
	VSHUFI32X4(Imm(even), h(1), u, to(1))
	VSHUFI32X4(Imm(odd), h(0), t, to(2))
	VSHUFI32X4(Imm(odd), h(1), u, to(3))
}

// finishGroups adds the sums of pieces to the results, in the order of groups. With 256 bits the high halves of q6_k come after the
// low ones of the next piece.
func (o *oneK) finishGroups(first int, starts [2][]int) {
	per := 32 / o.group // groups of a start
	if o.bits == 256 && o.group == 16 {
		for i, v := range o.groupSums(0) {
			o.finishGroup(starts[0][0]/16+i, v)
		}
		for i, v := range o.groupSums(1) {
			o.store(v, o.slot(sumSlots+starts[1][0]/16+i))
		}
		if first%2 == 1 {
			for g := starts[1][0]/16 - 2; g < starts[1][0]/16+2; g++ {
				o.load(o.slot(sumSlots+g), oneKHalf)
				o.finishGroup(g, oneKHalf)
			}
		}
		return
	}
	sums := map[int]int{}
	for half := range 2 {
		for i, start := range starts[half] {
			for j := range per {
				sums[start/o.group+j] = o.groupSums(half)[per*i+j]
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(sums)) {
		o.finishGroup(g, sums[g])
	}
}

// finishGroup adds the sum of group g, in a register, to the results.
func (o *oneK) finishGroup(g, sum int) {
	numbers := o.x.Offset(g*(o.group+12) + o.group)
	const t = oneKTmp
	VCVTDQ2PS(o.v(sum), o.v(sum))
	o.scaled(g, 0, numbers, t)
	VMULPS(o.v(t), o.v(sum), o.v(sum))
	if o.minima() {
		o.scaled(g, 1, numbers.Offset(8), t)
		VSUBPS(o.v(t), o.v(sum), o.v(sum))
	}
	VADDPS(o.v(sum), o.v(oneKAcc), o.v(oneKAcc))
}

// scaled is dst = the scale of group g, or its minimum, times the number at m.
func (o *oneK) scaled(g, kind int, m Mem, dst int) {
	if o.bits == 512 {
		o.scaleOf(g+8*kind, oneKScales+(g+8*kind)/4, oneKScale+kind, dst)
		VMULPS_BCST(m, z[dst], z[dst])
		return
	}
	VBROADCASTSS(m, y[dst])
	VMULPS(o.slot(scaleSlots+8*kind+g), y[dst], y[dst])
}

// scaleOf is dst = byte i mod 4 of each lane, as a number, times register by. Those of q6_k, which are signed, are taken
// as the highest byte: 2²⁴ times as large, which is exact.
func (o *oneK) scaleOf(i, v, by, dst int) {
	control := "byte"
	if o.group == 16 {
		control = "top"
	}
	VPSHUFB(data(fmt.Sprint(control, i%4)), o.v(v), o.v(dst))
	VCVTDQ2PS(o.v(dst), o.v(dst))
	VMULPS(o.v(by), o.v(dst), o.v(dst))
}

// kHeader reads the scales and the minima, with their signs changed, of a block of q4_k or q5_k.
func (o *oneK) kHeader() {
	o.transposed(0, 0) // words of each row: both f16, then 12 bytes
	// Six bits of each: those of groups 0 to 3 in bytes; of the others four bits are in bytes, which scales and
	// minima share, and two above those of groups 0 to 3.
	const t = oneKTmp
	to, by := 6, []int{8, 9}
	if o.bits == 512 {
		to, by = oneKScales, []int{oneKScale, oneKScale + 1}
	}
	o.half(0, false, by[0], t)
	o.half(0, true, by[1], t)
	for kind, by := range by {
		o.andData("bytes63", 1+kind, to)
		if kind == 1 {
			VPSRLD(Imm(4), o.v(3), o.v(3))
		}
		o.and(oneKLow, 3, to+1)
		VPSRLD(Imm(2), o.v(1+kind), o.v(t))
		o.andData("bytes48", t, t)
		o.or(t, to+1, to+1)
		if o.bits == 512 {
			to += 2
			continue
		}
		for i := range 8 {
			o.scaleOf(i, to+i/4, by, t)
			o.store(t, o.slot(scaleSlots+8*kind+i))
		}
	}
}

// q6Header reads the scales of a block of q6_k.
func (o *oneK) q6Header() {
	to, by := 0, oneKHalf
	o.transposed(192, 0)
	if o.bits == 512 {
		to, by = oneKScales, oneKScale
		for i := range 4 {
			o.move(i, to+i)
		}
	}
	o.blendHalves(208, oneKHalf, oneKTmp)
	VMULPS(data("lower24"), o.v(oneKHalf), o.v(by))
	if o.bits == 256 {
		for i := range 16 {
			o.scaleOf(i, to+i/4, by, oneKTmp)
			o.store(oneKTmp, o.slot(scaleSlots+i))
		}
	}
}

// andData is dst = v & data.
func (o *oneK) andData(name string, v, dst int) {
	if o.bits == 512 {
		VPANDD(data(name), z[v], z[dst])
	} else {
		VPAND(data(name), y[v], y[dst])
	}
}
