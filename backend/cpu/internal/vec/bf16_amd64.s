// The functions of bf16.go, 8 elements at a time with AVX2 and FMA. A bfloat16 is
// converted by a shift, because it is the upper half of a float32.

#include "textflag.h"

// func fromBF16Fast(dst *float32, src *uint16, n int)
TEXT ·fromBF16Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
fromloop:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ fromloop
	VZEROUPPER
	RET

// func fromBF16Wide(dst *float32, src *uint16, n int)
TEXT ·fromBF16Wide(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
from512loop:
	VPMOVZXWD (SI), Z0
	VPMOVZXWD 32(SI), Z1
	VPSLLD $16, Z0, Z0
	VPSLLD $16, Z1, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JNZ from512loop
	VZEROUPPER
	RET

DATA rounding<>+0(SB)/4, $1
DATA rounding<>+4(SB)/4, $0x7fff
DATA rounding<>+8(SB)/4, $0x40
GLOBL rounding<>(SB), RODATA|NOPTR, $12

// func toBF16Fast(dst *uint16, src *float32, n int)
TEXT ·toBF16Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VPBROADCASTD rounding<>+0(SB), Y13
	VPBROADCASTD rounding<>+4(SB), Y14
	VPBROADCASTD rounding<>+8(SB), Y15
toloop:
	VMOVUPS (SI), Y0
	VPSRLD $16, Y0, Y1
	VPAND Y13, Y1, Y2 // ties go to even
	VPADDD Y14, Y2, Y2
	VPADDD Y0, Y2, Y2
	VPSRLD $16, Y2, Y2
	VPOR Y15, Y1, Y1 // NaN stays NaN
	VCMPPS $3, Y0, Y0, Y3
	VPBLENDVB Y3, Y1, Y2, Y2
	VEXTRACTI128 $1, Y2, X1
	VPACKUSDW X1, X2, X2
	VMOVDQU X2, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ toloop
	VZEROUPPER
	RET
