package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantize512 writes quantize for vectors of 16 numbers. It needs AVX512DQ.
func quantize512() {
	TEXT("quantizeAVX512", NOSPLIT, "func(dst *byte, src *float32, blocks int)")
	Pragma("noescape")
	dst, src, blocks := Load(Param("dst"), reg.RDI), Load(Param("src"), reg.RSI), Load(Param("blocks"), reg.RCX)
	left := Load(Param("blocks"), reg.RBX)
	to, from := Mem{Base: dst}, Mem{Base: src}
	const (
		abs       = 2 // and 3
		n         = 4 // and 5
		f         = 6
		bound     = 7
		d         = 8
		by        = 9 // 1/d
		inverse   = 15
		magnitude = 16 + iota
		one
		half
		most
		minusOne
		zero
	)
	all := func(v int, bits uint32) {
		MOVL(U32(bits), reg.EAX)
		VPBROADCASTD(reg.EAX, z[v])
	}
	all(magnitude, 0x7fffffff)
	all(one, math.Float32bits(1))
	all(half, math.Float32bits(0.5))
	all(most, math.Float32bits(127))
	all(minusOne, 0xffffffff)
	all(inverse, math.Float32bits(1.0/127))
	VPXORD(z[zero], z[zero], z[zero])
	MOVL(U32(0x7e00), reg.EDX)
	// fold joins the numbers of a vector by op.
	fold := func(v, tmp int, op func(ops ...Op)) {
		VEXTRACTI64X4(Imm(1), z[v], y[tmp])
		op(y[tmp], y[v], y[v])
		VEXTRACTI128(Imm(1), y[v], x[tmp])
		op(x[tmp], x[v], x[v])
		VPSHUFD(Imm(0x4e), x[v], x[tmp])
		op(x[tmp], x[v], x[v])
		VPSHUFD(Imm(0xb1), x[v], x[tmp])
		op(x[tmp], x[v], x[v])
	}

	Label("scale")
	for i := range 2 {
		VPANDD(from.Offset(64*i), z[magnitude], z[i])
	}
	VPMAXUD(z[0], z[1], z[0])
	fold(0, 1, func(ops ...Op) { VPMAXUD(ops[0], ops[1], ops[2]) })
	VMULSS(x[inverse], x[0], x[0])
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
	VMOVD(reg.EAX, x[d])
	VCVTPH2PS(x[d], x[d])
	VBROADCASTSS(x[d], z[d])
	VDIVPS(z[d], z[one], z[by])
	for i := range 2 {
		VMOVDQU32(from.Offset(64*i), z[i])
		VPANDD(z[magnitude], z[i], z[abs+i])
		VMULPS(z[by], z[abs+i], z[f])
		VADDPS(z[half], z[f], z[f])
		VMINPS(z[most], z[f], z[f])
		VCVTTPS2DQ(z[f], z[n+i])
		VCVTDQ2PS(z[n+i], z[f])
		VSUBPS(z[half], z[f], z[bound])
		VMULPS(z[d], z[bound], z[bound])
		VCMPPS(Imm(1), z[bound], z[abs+i], reg.K1) // abs < bound
		VADDPS(z[half], z[f], z[bound])
		VMULPS(z[d], z[bound], z[bound])
		VCMPPS(Imm(2), z[abs+i], z[bound], reg.K2) // bound ≤ abs
		VCMPPS(Imm(1), z[most], z[f], reg.K2, reg.K2)
		VPADDD(z[minusOne], z[n+i], reg.K1, z[n+i])
		VPSUBD(z[minusOne], z[n+i], reg.K2, z[n+i])
		VPMOVD2M(z[i], reg.K3) // signs
		VPSUBD(z[n+i], z[zero], reg.K3, z[n+i])
	}
	VPMOVSDB(z[n], to.Offset(4))
	VPMOVSDB(z[n+1], to.Offset(20))
	VPADDD(z[n], z[n+1], z[n])
	fold(n, f, func(ops ...Op) { VPADDD(ops[0], ops[1], ops[2]) })
	VMOVD(x[n], reg.EDX)
	MOVW(reg.DX, to.Offset(2))

	Label("next")
	add(128, src)
	add(36, dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()

	Label("zeros")
	MOVW(U16(0), to.Offset(2))
	VPXOR(y[0], y[0], y[0])
	VMOVDQU(y[0], to.Offset(4))
	JMP(LabelRef("next"))
}
