// The functions of f16.go, 8 elements at a time with F16C and FMA.

#include "textflag.h"

// func fromF16Fast(dst *float32, src *uint16, n int)
TEXT ·fromF16Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
fromloop:
	VCVTPH2PS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ fromloop
	VZEROUPPER
	RET

// func fromF16Wide(dst *float32, src *uint16, n int)
TEXT ·fromF16Wide(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
from512loop:
	VCVTPH2PS (SI), Z0
	VCVTPH2PS 32(SI), Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JNZ from512loop
	VZEROUPPER
	RET

// func toF16Fast(dst *uint16, src *float32, n int)
TEXT ·toF16Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
toloop:
	VMOVUPS (SI), Y0
	VCVTPS2PH $0, Y0, (DI) // 0: to the nearest, ties to even
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ toloop
	VZEROUPPER
	RET
