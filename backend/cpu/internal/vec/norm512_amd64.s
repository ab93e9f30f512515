// Functions of vec_amd64.s and rotary_amd64.s, 16 elements at a time with AVX-512, with the same bits. Sums in float64
// are no faster so: the conversion bounds them.

#include "textflag.h"

// func normalizeWide(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)
TEXT ·normalizeWide(SB), NOSPLIT, $0-52
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gamma+16(FP), R8
	MOVQ beta+24(FP), R9
	MOVQ n+32(FP), CX
	VBROADCASTSS hi+40(FP), Z1
	VBROADCASTSS lo+44(FP), Z2
	VBROADCASTSS scale+48(FP), Z3
	XORQ AX, AX
normalize512:
	VMOVUPS (SI)(AX*4), Z0
	VSUBPS Z1, Z0, Z0
	VSUBPS Z2, Z0, Z0
	VMULPS Z3, Z0, Z0
	VMOVUPS (R8)(AX*4), Z4
	VFMADD213PS (R9)(AX*4), Z4, Z0
	VMOVUPS Z0, (DI)(AX*4)
	ADDQ $16, AX
	CMPQ AX, CX
	JLT normalize512
	VZEROUPPER
	RET

// func scaleByWide(dst, x, gamma *float32, n int, s float32)
TEXT ·scaleByWide(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gamma+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS s+32(FP), Z1
	XORQ AX, AX
scaleby512:
	VMULPS (SI)(AX*4), Z1, Z0
	VMULPS (DX)(AX*4), Z0, Z0
	VMOVUPS Z0, (DI)(AX*4)
	ADDQ $16, AX
	CMPQ AX, CX
	JLT scaleby512
	VZEROUPPER
	RET

// func rotateWide(first, second, a, b, cos, sin *float32, n int, sign float32)
TEXT ·rotateWide(SB), NOSPLIT, $0-60
	MOVQ first+0(FP), DI
	MOVQ second+8(FP), SI
	MOVQ a+16(FP), R8
	MOVQ b+24(FP), R9
	MOVQ cos+32(FP), R10
	MOVQ sin+40(FP), R11
	MOVQ n+48(FP), CX
	VBROADCASTSS sign+56(FP), Z7
	XORQ AX, AX
rotate512:
	VMOVUPS (R8)(AX*4), Z0
	VMOVUPS (R9)(AX*4), Z1
	VMOVUPS (R10)(AX*4), Z2
	VMULPS (R11)(AX*4), Z7, Z3
	VMULPS Z3, Z1, Z4
	VFMSUB231PS Z2, Z0, Z4
	VMULPS Z3, Z0, Z5
	VFMADD231PS Z2, Z1, Z5
	VMOVUPS Z4, (DI)(AX*4)
	VMOVUPS Z5, (SI)(AX*4)
	ADDQ $16, AX
	CMPQ AX, CX
	JLT rotate512
	VZEROUPPER
	RET

// func rotatePairsWide(dst, x, cos, sin *float32, n int, sign float32)
TEXT ·rotatePairsWide(SB), NOSPLIT, $0-44
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ cos+16(FP), R10
	MOVQ sin+24(FP), R11
	MOVQ n+32(FP), CX
	VBROADCASTSS sign+40(FP), Z7
rotatepairs512:
	VMOVUPS (SI), Z0
	VPERMILPS $0xb1, Z0, Z1 // coordinates changed over
	VPMOVZXDQ (R10), Z2
	VMOVSLDUP Z2, Z2 // 8 cosines, each twice
	VPMOVZXDQ (R11), Z4
	VMOVSLDUP Z4, Z4 // and sines
	VMULPS Z7, Z4, Z4
	VMULPS Z4, Z1, Z1
	VFMADDSUB213PS Z1, Z2, Z0 // minus in even elements, plus in odd ones
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	ADDQ $32, R10
	ADDQ $32, R11
	SUBQ $16, CX
	JNZ rotatepairs512
	VZEROUPPER
	RET
