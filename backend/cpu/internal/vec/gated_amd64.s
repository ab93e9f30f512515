// The functions of gated.go, 8 elements at a time with AVX2. For the order of operands
// see vec_amd64.s.

#include "textflag.h"

// func mulFast(dst, a, b *float32, n int)
TEXT ·mulFast(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	XORQ AX, AX
mulloop:
	VMOVUPS (SI)(AX*4), Y0
	VMULPS (DX)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT mulloop
	VZEROUPPER
	RET

// func clipFast(dst, x *float32, n int, limit float32)
TEXT ·clipFast(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS limit+24(FP), Y1
	XORQ AX, AX
cliploop:
	VMOVUPS (SI)(AX*4), Y0
	VMINPS Y0, Y1, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT cliploop
	VZEROUPPER
	RET

// func gateFast(dst, a, up *float32, n int, limit, shift float32)
TEXT ·gateFast(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ up+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS limit+32(FP), Y1
	VBROADCASTSS shift+36(FP), Y2
	VXORPS Y3, Y3, Y3
	VSUBPS Y1, Y3, Y3
	XORQ AX, AX
gateloop:
	VMOVUPS (DX)(AX*4), Y0
	VMINPS Y0, Y1, Y0
	VMAXPS Y0, Y3, Y0
	VADDPS Y2, Y0, Y0
	VMULPS (SI)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT gateloop
	VZEROUPPER
	RET
