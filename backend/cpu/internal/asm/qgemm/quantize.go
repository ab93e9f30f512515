package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constant is 32 bytes of memory with a number in each four.
func constant(name string, number func(i int) uint32) Mem {
	m := GLOBL(name, 8|16) // RODATA, NOPTR
	for i := range 8 {
		DATA(4*i, U32(number(i)))
	}
	return m
}

func floats(name string, f float32) Mem {
	return constant(name, func(int) uint32 { return math.Float32bits(f) })
}

// quantize writes the function that makes blocks of q8_a, step by step as toQ8ABlock does. It
// needs F16C too, which every processor with AVX2 has.
func quantize() {
	magnitude := constant("magnitude", func(int) uint32 { return 0x7fffffff })
	order := constant("order", func(i int) uint32 { return uint32(i/2 + i%2*4) })
	one, half, most, inverse := floats("one", 1), floats("half", 0.5), floats("most", 127), floats("inverse", 1.0/127)

	TEXT("quantizeAVX2", NOSPLIT, "func(dst *byte, src *float32, blocks int)")
	Pragma("noescape")
	dst, src, blocks := Load(Param("dst"), reg.RDI), Load(Param("src"), reg.RSI), Load(Param("blocks"), reg.RCX)
	left := Load(Param("blocks"), reg.RBX)
	MOVL(U32(0x7e00), reg.EDX)
	to, from := Mem{Base: dst}, Mem{Base: src}
	const (
		abs   = 4 // to 7
		d     = 8
		by    = 9 // 1/d
		n     = 10
		f     = 11
		bound = 12
		wrong = 13
	)
	// fold joins the eight numbers of a vector by op.
	fold := func(v, tmp int, op func(ops ...Op)) {
		VEXTRACTI128(Imm(1), y[v], x[tmp])
		op(x[tmp], x[v], x[v])
		VPSHUFD(Imm(0x4e), x[v], x[tmp])
		op(x[tmp], x[v], x[v])
		VPSHUFD(Imm(0xb1), x[v], x[tmp])
		op(x[tmp], x[v], x[v])
	}

	// First the scales of all blocks: one takes long, but several are on their way at once.
	Label("scale")
	for i := range 4 {
		VMOVDQU(from.Offset(32*i), y[i])
		VPAND(magnitude, y[i], y[i])
	}
	VPMAXUD(y[0], y[1], y[0])
	VPMAXUD(y[2], y[3], y[2])
	VPMAXUD(y[0], y[2], y[0])
	fold(0, 1, func(ops ...Op) { VPMAXUD(ops[0], ops[1], ops[2]) })
	VMULSS(inverse, x[0], x[0])
	VCVTPS2PH(Imm(0), x[0], x[0])
	VMOVD(x[0], reg.EAX)
	MOVWLZX(reg.AX, reg.EAX)
	CMPL(reg.EAX, U32(0x7c00))
	CMOVLCC(reg.EDX, reg.EAX) // ≥, unsigned
	MOVW(reg.AX, to)
	add(128, src)
	add(36, dst)
	DECQ(left)
	JNZ(LabelRef("scale"))

	Load(Param("dst"), reg.RDI)
	Load(Param("src"), reg.RSI)
	Label("block")
	MOVWLZX(to, reg.EAX)
	LEAL(Mem{Base: reg.RAX, Disp: -1}, reg.EDX)
	CMPL(reg.EDX, U32(0x7bff))
	JAE(LabelRef("zeros")) // 0, or not finite
	VPBROADCASTW(to, x[d])
	VCVTPH2PS(x[d], y[d])
	VMOVUPS(one, y[by])
	VDIVPS(y[d], y[by], y[by])
	for i := range 4 {
		VMOVDQU(from.Offset(32*i), y[i])
		VPAND(magnitude, y[i], y[abs+i])
	}
	for i := range 4 {
		VMULPS(y[by], y[abs+i], y[f])
		VADDPS(half, y[f], y[f])
		VMINPS(most, y[f], y[f])
		VCVTTPS2DQ(y[f], y[n])
		VCVTDQ2PS(y[n], y[f])
		VSUBPS(half, y[f], y[bound])
		VMULPS(y[d], y[bound], y[bound])
		VCMPPS(Imm(1), y[bound], y[abs+i], y[wrong]) // abs < bound
		VPADDD(y[wrong], y[n], y[n])
		VADDPS(half, y[f], y[bound])
		VMULPS(y[d], y[bound], y[bound])
		VCMPPS(Imm(2), y[abs+i], y[bound], y[wrong]) // bound ≤ abs
		VCMPPS(Imm(1), most, y[f], y[bound])
		VPAND(y[bound], y[wrong], y[wrong])
		VPSUBD(y[wrong], y[n], y[n])
		VPSIGND(y[i], y[n], y[i])
	}
	VPADDD(y[0], y[1], y[n])
	VPADDD(y[2], y[3], y[f])
	VPADDD(y[n], y[f], y[n])
	fold(n, f, func(ops ...Op) { VPADDD(ops[0], ops[1], ops[2]) })
	VMOVD(x[n], reg.EDX)
	VPACKSSDW(y[1], y[0], y[0])
	VPACKSSDW(y[3], y[2], y[2])
	VPACKSSWB(y[2], y[0], y[0])
	VMOVDQU(order, y[n])
	VPERMD(y[0], y[n], y[0])

	Label("store")
	MOVW(reg.DX, to.Offset(2))
	VMOVDQU(y[0], to.Offset(4))
	add(128, src)
	add(36, dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()

	Label("zeros")
	XORL(reg.EDX, reg.EDX)
	VPXOR(y[0], y[0], y[0])
	JMP(LabelRef("store"))
}
