// The functions of rotary.go, 8 elements at a time with AVX2 and FMA. For the order of
// operands see vec_amd64.s.

#include "textflag.h"

// func rotateFast(first, second, a, b, cos, sin *float32, n int, sign float32)
TEXT ·rotateFast(SB), NOSPLIT, $0-60
	MOVQ first+0(FP), DI
	MOVQ second+8(FP), SI
	MOVQ a+16(FP), R8
	MOVQ b+24(FP), R9
	MOVQ cos+32(FP), R10
	MOVQ sin+40(FP), R11
	MOVQ n+48(FP), CX
	VBROADCASTSS sign+56(FP), Y7
	XORQ AX, AX
rotateloop:
	VMOVUPS (R8)(AX*4), Y0
	VMOVUPS (R9)(AX*4), Y1
	VMOVUPS (R10)(AX*4), Y2
	VMULPS (R11)(AX*4), Y7, Y3
	VMULPS Y3, Y1, Y4
	VFMSUB231PS Y2, Y0, Y4 // a·cos − b·sin
	VMULPS Y3, Y0, Y5
	VFMADD231PS Y2, Y1, Y5 // b·cos + a·sin
	VMOVUPS Y4, (DI)(AX*4)
	VMOVUPS Y5, (SI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT rotateloop
	VZEROUPPER
	RET

// func rotatePairsFast(dst, x, cos, sin *float32, n int, sign float32)
TEXT ·rotatePairsFast(SB), NOSPLIT, $0-44
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ cos+16(FP), R10
	MOVQ sin+24(FP), R11
	MOVQ n+32(FP), CX
	VBROADCASTSS sign+40(FP), Y7
	XORQ AX, AX
	XORQ BX, BX
rotatepairsloop:
	VMOVUPS (SI)(AX*4), Y0
	VPERMILPS $0xb1, Y0, Y1 // coordinates changed over
	VBROADCASTF128 (R10)(BX*4), Y2 // 4 cosines, each twice
	VUNPCKLPS Y2, Y2, Y3
	VUNPCKHPS Y2, Y2, Y2
	VBLENDPS $0xf0, Y2, Y3, Y2
	VBROADCASTF128 (R11)(BX*4), Y4 // and sines
	VUNPCKLPS Y4, Y4, Y5
	VUNPCKHPS Y4, Y4, Y4
	VBLENDPS $0xf0, Y4, Y5, Y4
	VMULPS Y7, Y4, Y4
	VMULPS Y4, Y1, Y1
	VFMADDSUB213PS Y1, Y2, Y0 // minus in even elements, plus in odd ones
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $4, BX
	ADDQ $8, AX
	CMPQ AX, CX
	JLT rotatepairsloop
	VZEROUPPER
	RET
