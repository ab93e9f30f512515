// Blocks of q8_0 and q4_0 with AVX-512, two registers for a block. A
// register holds the 16 values of a 4-bit number. A permutation, which uses the low 4
// bits of each index, looks them up.

#include "textflag.h"

DATA values<>+0(SB)/4, $-8.0
DATA values<>+4(SB)/4, $-7.0
DATA values<>+8(SB)/4, $-6.0
DATA values<>+12(SB)/4, $-5.0
DATA values<>+16(SB)/4, $-4.0
DATA values<>+20(SB)/4, $-3.0
DATA values<>+24(SB)/4, $-2.0
DATA values<>+28(SB)/4, $-1.0
DATA values<>+32(SB)/4, $0.0
DATA values<>+36(SB)/4, $1.0
DATA values<>+40(SB)/4, $2.0
DATA values<>+44(SB)/4, $3.0
DATA values<>+48(SB)/4, $4.0
DATA values<>+52(SB)/4, $5.0
DATA values<>+56(SB)/4, $6.0
DATA values<>+60(SB)/4, $7.0
GLOBL values<>(SB), RODATA|NOPTR, $64

// SCALE puts the scale of the block at an offset in all lanes of a register.
#define SCALE(offset, x, z) \
	MOVWLZX offset(SI), AX; \
	VMOVD AX, x; \
	VCVTPH2PS x, x; \
	VBROADCASTSS x, z

// STORE puts a block's 32 numbers, times its scale, into memory.
#define STORE \
	VMULPS Z4, Z5, Z5; \
	VMULPS Z4, Z6, Z6; \
	VMOVUPS Z5, (DI); \
	VMOVUPS Z6, 64(DI); \
	ADDQ $128, DI

// func fromQ8Wide(dst *float32, src *byte, blocks int)
TEXT ·fromQ8Wide(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
from8:
	SCALE(0, X4, Z4)
	VPMOVSXBD 2(SI), Z5
	VPMOVSXBD 18(SI), Z6
	VCVTDQ2PS Z5, Z5
	VCVTDQ2PS Z6, Z6
	STORE
	ADDQ $34, SI
	DECQ CX
	JNZ from8
	VZEROUPPER
	RET

// func fromQ4Wide(dst *float32, src *byte, blocks int)
TEXT ·fromQ4Wide(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVUPS values<>(SB), Z15
from4:
	SCALE(0, X4, Z4)
	VPMOVZXBD 2(SI), Z5
	VPSRLD $4, Z5, Z6
	VPERMPS Z15, Z5, Z5
	VPERMPS Z15, Z6, Z6
	STORE
	ADDQ $18, SI
	DECQ CX
	JNZ from4
	VZEROUPPER
	RET
