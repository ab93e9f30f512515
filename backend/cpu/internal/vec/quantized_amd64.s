// The functions of quantized.go, a block at a time, 8 elements in a register.

#include "textflag.h"

DATA nibbles<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA nibbles<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nibbles<>(SB), RODATA|NOPTR, $16
DATA eights<>+0(SB)/8, $0x0808080808080808
DATA eights<>+8(SB)/8, $0x0808080808080808
GLOBL eights<>(SB), RODATA|NOPTR, $16

// SCALE puts the block's scale in all lanes of Y15.
#define SCALE \
	MOVWLZX (SI), AX; \
	VMOVD AX, X15; \
	VCVTPH2PS X15, X15; \
	VBROADCASTSS X15, Y15

// Q8 converts the block's 32 numbers to float32 in Y4 … Y7.
#define Q8 \
	VPMOVSXBD 2(SI), Y4; \
	VPMOVSXBD 10(SI), Y5; \
	VPMOVSXBD 18(SI), Y6; \
	VPMOVSXBD 26(SI), Y7; \
	VCVTDQ2PS Y4, Y4; \
	VCVTDQ2PS Y5, Y5; \
	VCVTDQ2PS Y6, Y6; \
	VCVTDQ2PS Y7, Y7

// Q4 does the same for q4_0. X13 holds the mask of 4 bits, X14 the number 8.
#define Q4 \
	VMOVDQU 2(SI), X5; \
	VPSRLW $4, X5, X7; \
	VPAND X13, X5, X5; \
	VPAND X13, X7, X7; \
	VPSUBB X14, X5, X5; \
	VPSUBB X14, X7, X7; \
	VPMOVSXBD X5, Y4; \
	VPSRLDQ $8, X5, X5; \
	VPMOVSXBD X7, Y6; \
	VPSRLDQ $8, X7, X7; \
	VPMOVSXBD X5, Y5; \
	VPMOVSXBD X7, Y7; \
	VCVTDQ2PS Y4, Y4; \
	VCVTDQ2PS Y5, Y5; \
	VCVTDQ2PS Y6, Y6; \
	VCVTDQ2PS Y7, Y7

#define STORE \
	VMULPS Y15, Y4, Y4; \
	VMULPS Y15, Y5, Y5; \
	VMULPS Y15, Y6, Y6; \
	VMULPS Y15, Y7, Y7; \
	VMOVUPS Y4, (DI); \
	VMOVUPS Y5, 32(DI); \
	VMOVUPS Y6, 64(DI); \
	VMOVUPS Y7, 96(DI); \
	ADDQ $128, DI

// func fromQ8Fast(dst *float32, src *byte, blocks int)
TEXT ·fromQ8Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
from8:
	SCALE
	Q8
	STORE
	ADDQ $34, SI
	DECQ CX
	JNZ from8
	VZEROUPPER
	RET

// func fromQ4Fast(dst *float32, src *byte, blocks int)
TEXT ·fromQ4Fast(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbles<>(SB), X13
	VMOVDQU eights<>(SB), X14
from4:
	SCALE
	Q4
	STORE
	ADDQ $18, SI
	DECQ CX
	JNZ from4
	VZEROUPPER
	RET
