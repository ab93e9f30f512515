// The kernels of package gemm with NEON.

#include "textflag.h"

// Instructions that the assembler does not have. Registers are their numbers.
#define FADD4(m, n, d) WORD $(0x4E20D400 | ((m)<<16) | ((n)<<5) | (d))
#define FADDP4(m, n, d) WORD $(0x6E20D400 | ((m)<<16) | ((n)<<5) | (d)) // n0+n1 n2+n3 m0+m1 m2+m3
#define FCVTL4(n, d) WORD $(0x0E217800 | ((n)<<5) | (d))
#define SHLL16(n, d) WORD $(0x2E613800 | ((n)<<5) | (d))

// WIDE loads 4 numbers into a register, as float32, and moves the address on.
#define WIDEF32(p, v, n) VLD1.P 16(p), [v.S4]
#define WIDEF16(p, v, n) VLD1.P 8(p), [v.H4]; FCVTL4(n, n)
#define WIDEBF16(p, v, n) VLD1.P 8(p), [v.H4]; SHLL16(n, n)

#define ZERO(v) VEOR v.B16, v.B16, v.B16
#define ZERO4(a, b, c, d) ZERO(a); ZERO(b); ZERO(c); ZERO(d)

// FOUR adds the products of a register of w with those of 4 rows.
#define FOUR(w, a, b, c, d) \
	VFMLA w.S4, V16.S4, a.S4; \
	VFMLA w.S4, V17.S4, b.S4; \
	VFMLA w.S4, V18.S4, c.S4; \
	VFMLA w.S4, V19.S4, d.S4

// ADDROW adds the lanes of 4 registers up, (l0+l1)+(l2+l3), and adds them to 4 columns.
#define ADDROW(a, b, c, d) \
	FADDP4(b, a, a); \
	FADDP4(d, c, c); \
	FADDP4(c, a, a); \
	VLD1 (R0), [V20.S4]; \
	FADD4(20, a, 20); \
	VST1 [V20.S4], (R0); \
	ADD R1, R0

#define DOTARGS \
	MOVD dst+0(FP), R0; \
	MOVD dstStride+8(FP), R1; \
	MOVD x+16(FP), R2; \
	MOVD xStride+24(FP), R3; \
	MOVD rows+32(FP), R4; \
	MOVD w+40(FP), R5; \
	MOVD wStride+48(FP), R6; \
	MOVD n+56(FP), R7; \
	LSR $2, R7

// DOT4 is a dotKernel for 4 columns. Sums of row r and column c are in register 4r+c.
#define DOT4(WIDE) \
	DOTARGS; \
rows4: \
	CMP $4, R4; \
	BLT rows1; \
	MOVD R2, R8; \
	ADD R3, R8, R9; \
	ADD R3, R9, R10; \
	ADD R3, R10, R11; \
	ADD R3, R11, R2; \
	MOVD R5, R12; \
	ADD R6, R12, R13; \
	ADD R6, R13, R14; \
	ADD R6, R14, R15; \
	ZERO4(V0, V1, V2, V3); \
	ZERO4(V4, V5, V6, V7); \
	ZERO4(V8, V9, V10, V11); \
	ZERO4(V12, V13, V14, V15); \
	MOVD R7, R16; \
	CBZ R16, sums4; \
loop4: \
	VLD1.P 16(R8), [V16.S4]; \
	VLD1.P 16(R9), [V17.S4]; \
	VLD1.P 16(R10), [V18.S4]; \
	VLD1.P 16(R11), [V19.S4]; \
	WIDE(R12, V20, 20); \
	WIDE(R13, V21, 21); \
	WIDE(R14, V22, 22); \
	WIDE(R15, V23, 23); \
	FOUR(V20, V0, V4, V8, V12); \
	FOUR(V21, V1, V5, V9, V13); \
	FOUR(V22, V2, V6, V10, V14); \
	FOUR(V23, V3, V7, V11, V15); \
	SUB $1, R16; \
	CBNZ R16, loop4; \
sums4: \
	ADDROW(0, 1, 2, 3); \
	ADDROW(4, 5, 6, 7); \
	ADDROW(8, 9, 10, 11); \
	ADDROW(12, 13, 14, 15); \
	SUB $4, R4; \
	B rows4; \
rows1: \
	CBZ R4, end; \
	MOVD R2, R8; \
	ADD R3, R2; \
	MOVD R5, R12; \
	ADD R6, R12, R13; \
	ADD R6, R13, R14; \
	ADD R6, R14, R15; \
	ZERO4(V0, V1, V2, V3); \
	MOVD R7, R16; \
	CBZ R16, sums1; \
loop1: \
	VLD1.P 16(R8), [V16.S4]; \
	WIDE(R12, V20, 20); \
	WIDE(R13, V21, 21); \
	WIDE(R14, V22, 22); \
	WIDE(R15, V23, 23); \
	VFMLA V20.S4, V16.S4, V0.S4; \
	VFMLA V21.S4, V16.S4, V1.S4; \
	VFMLA V22.S4, V16.S4, V2.S4; \
	VFMLA V23.S4, V16.S4, V3.S4; \
	SUB $1, R16; \
	CBNZ R16, loop1; \
sums1: \
	ADDROW(0, 1, 2, 3); \
	SUB $1, R4; \
	B rows1; \
end: \
	RET

// DOT1 is a dotKernel for one column.
#define DOT1(WIDE) \
	DOTARGS; \
rows: \
	CBZ R4, end; \
	MOVD R2, R8; \
	ADD R3, R2; \
	MOVD R5, R12; \
	ZERO(V0); \
	MOVD R7, R16; \
	CBZ R16, sum; \
loop: \
	VLD1.P 16(R8), [V16.S4]; \
	WIDE(R12, V20, 20); \
	VFMLA V20.S4, V16.S4, V0.S4; \
	SUB $1, R16; \
	CBNZ R16, loop; \
sum: \
	FADDP4(0, 0, 0); \
	FADDP4(0, 0, 0); \
	FMOVS (R0), F20; \
	FADDS F20, F0; \
	FMOVS F0, (R0); \
	ADD R1, R0; \
	SUB $1, R4; \
	B rows; \
end: \
	RET

#define OUTERARGS \
	MOVD dst+0(FP), R0; \
	MOVD dstStride+8(FP), R1; \
	MOVD x+16(FP), R2; \
	MOVD xStride+24(FP), R3; \
	MOVD xStep+32(FP), R4; \
	MOVD rows+40(FP), R5; \
	MOVD wStride+56(FP), R6

// func dot4F32NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot4F32NEON(SB), NOSPLIT, $0-72
	DOT4(WIDEF32)

// func dot4F16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot4F16NEON(SB), NOSPLIT, $0-72
	DOT4(WIDEF16)

// func dot4BF16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot4BF16NEON(SB), NOSPLIT, $0-72
	DOT4(WIDEBF16)

// func dot1F32NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot1F32NEON(SB), NOSPLIT, $0-72
	DOT1(WIDEF32)

// func dot1F16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot1F16NEON(SB), NOSPLIT, $0-72
	DOT1(WIDEF16)

// func dot1BF16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)
TEXT ·dot1BF16NEON(SB), NOSPLIT, $0-72
	DOT1(WIDEBF16)

// TIMES multiplies 12 columns, in V24 … V26, or 4, with a number of a row of x.
#define TIMES12(p, a, b, c) \
	VLD1R (p), [V27.S4]; \
	ADD R4, p; \
	VFMLA V27.S4, V24.S4, a.S4; \
	VFMLA V27.S4, V25.S4, b.S4; \
	VFMLA V27.S4, V26.S4, c.S4

#define TIMES4(p, a) \
	VLD1R (p), [V27.S4]; \
	ADD R4, p; \
	VFMLA V27.S4, V24.S4, a.S4

// EIGHT puts the addresses of 8 rows of x in R8 … R15, R2 behind them.
#define EIGHT \
	MOVD R2, R8; \
	ADD R3, R8, R9; \
	ADD R3, R9, R10; \
	ADD R3, R10, R11; \
	ADD R3, R11, R12; \
	ADD R3, R12, R13; \
	ADD R3, R13, R14; \
	ADD R3, R14, R15; \
	ADD R3, R15, R2

#define LOAD12(a, b, c) \
	VLD1 (R17), [a.S4, b.S4, c.S4]; \
	ADD R1, R17

#define STORE12(a, b, c) \
	VST1 [a.S4, b.S4, c.S4], (R0); \
	ADD R1, R0

// func outer8x12F32NEON(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)
TEXT ·outer8x12F32NEON(SB), NOSPLIT, $0-88
	OUTERARGS
rows8:
	CMP $8, R5
	BLT rows1
	EIGHT
	MOVD R0, R17
	LOAD12(V0, V1, V2)
	LOAD12(V3, V4, V5)
	LOAD12(V6, V7, V8)
	LOAD12(V9, V10, V11)
	LOAD12(V12, V13, V14)
	LOAD12(V15, V16, V17)
	LOAD12(V18, V19, V20)
	LOAD12(V21, V22, V23)
	MOVD w+48(FP), R16
	MOVD n+64(FP), R7
loop8:
	VLD1 (R16), [V24.S4, V25.S4, V26.S4]
	ADD R6, R16
	TIMES12(R8, V0, V1, V2)
	TIMES12(R9, V3, V4, V5)
	TIMES12(R10, V6, V7, V8)
	TIMES12(R11, V9, V10, V11)
	TIMES12(R12, V12, V13, V14)
	TIMES12(R13, V15, V16, V17)
	TIMES12(R14, V18, V19, V20)
	TIMES12(R15, V21, V22, V23)
	SUB $1, R7
	CBNZ R7, loop8
	STORE12(V0, V1, V2)
	STORE12(V3, V4, V5)
	STORE12(V6, V7, V8)
	STORE12(V9, V10, V11)
	STORE12(V12, V13, V14)
	STORE12(V15, V16, V17)
	STORE12(V18, V19, V20)
	STORE12(V21, V22, V23)
	SUB $8, R5
	B rows8
rows1:
	CBZ R5, end
	MOVD R2, R8
	ADD R3, R2
	MOVD R0, R17
	LOAD12(V0, V1, V2)
	MOVD w+48(FP), R16
	MOVD n+64(FP), R7
loop1:
	VLD1 (R16), [V24.S4, V25.S4, V26.S4]
	ADD R6, R16
	TIMES12(R8, V0, V1, V2)
	SUB $1, R7
	CBNZ R7, loop1
	STORE12(V0, V1, V2)
	SUB $1, R5
	B rows1
end:
	RET

#define LOAD4(a) \
	VLD1 (R17), [a.S4]; \
	ADD R1, R17

#define STORE4(a) \
	VST1 [a.S4], (R0); \
	ADD R1, R0

// func outer8x4F32NEON(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)
TEXT ·outer8x4F32NEON(SB), NOSPLIT, $0-88
	OUTERARGS
rows8:
	CMP $8, R5
	BLT rows1
	EIGHT
	MOVD R0, R17
	LOAD4(V0)
	LOAD4(V1)
	LOAD4(V2)
	LOAD4(V3)
	LOAD4(V4)
	LOAD4(V5)
	LOAD4(V6)
	LOAD4(V7)
	MOVD w+48(FP), R16
	MOVD n+64(FP), R7
loop8:
	VLD1 (R16), [V24.S4]
	ADD R6, R16
	TIMES4(R8, V0)
	TIMES4(R9, V1)
	TIMES4(R10, V2)
	TIMES4(R11, V3)
	TIMES4(R12, V4)
	TIMES4(R13, V5)
	TIMES4(R14, V6)
	TIMES4(R15, V7)
	SUB $1, R7
	CBNZ R7, loop8
	STORE4(V0)
	STORE4(V1)
	STORE4(V2)
	STORE4(V3)
	STORE4(V4)
	STORE4(V5)
	STORE4(V6)
	STORE4(V7)
	SUB $8, R5
	B rows8
rows1:
	CBZ R5, end
	MOVD R2, R8
	ADD R3, R2
	MOVD R0, R17
	LOAD4(V0)
	MOVD w+48(FP), R16
	MOVD n+64(FP), R7
loop1:
	VLD1 (R16), [V24.S4]
	ADD R6, R16
	TIMES4(R8, V0)
	SUB $1, R7
	CBNZ R7, loop1
	STORE4(V0)
	SUB $1, R5
	B rows1
end:
	RET
