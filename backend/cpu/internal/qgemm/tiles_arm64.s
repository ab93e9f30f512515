#include "textflag.h"

// Tiles for NEON with dot products (FEAT_DotProd), 8 outputs: see the program that writes the
// assembly for amd64 for the layout of x and of panels.
//
// Registers: R0 dst, R1 its stride, R2 init, R3 its stride, R4 x, R5 panel, R6 groups left,
// R7 kind, R8 weights of a group, R9 bytes of the rows of a group, R10 numbers of a group,
// R12 weights left, R13 to R16 rows. V0 to V7 sums of f32, V8 to V15 sums of integers,
// V16 and V17 weights, V18 to V21 x, V23 a mask for what sums begin with, V24 to V26 others.

// Instructions that Go's assembler does not know. SDOT adds to each int32 of d the products of
// four bytes of n with the four bytes of m that H and L choose.
#define SDOT(d, n, m, L, H) WORD $(0x4F80E000 | (L)<<21 | (H)<<11 | (m)<<16 | (n)<<5 | (d))
#define SCVTF(d, n) WORD $(0x4E21D800 | (n)<<5 | (d))
#define FMUL(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FADD(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))

// PARAMETERS loads them. Bits of kind: 0 groups are of 16, 1 there are minima, 2 bytes were
// made signed when they were packed, so sums begin with 0.
#define PARAMETERS(shift) \
	MOVD dst+0(FP), R0 \
	MOVD dstStride+8(FP), R1 \
	MOVD init+16(FP), R2 \
	MOVD initStride+24(FP), R3 \
	MOVD x+32(FP), R4 \
	MOVD panel+40(FP), R5 \
	MOVD groups+48(FP), R6 \
	MOVD kind+56(FP), R7 \
	AND $1, R7, R10 \
	MOVD $32, R8 \
	LSR R10, R8, R8 \
	LSL $shift, R8, R9 \
	LSR $2, R7, R10 \
	SUB $1, R10, R11 \
	VDUP R11, V23.D2

#define LOADSUMS(a, b) \
	VLD1 (R2), [a.S4, b.S4] \
	ADD R3, R2

#define STORESUMS(a, b) \
	VST1 [a.S4, b.S4], (R0) \
	ADD R1, R0

// BEGIN sets the sums of integers of a row.
#define BEGIN(a, b) \
	VLD1R.P 4(R11), [a.S4] \
	VAND V23.B16, a.B16, a.B16 \
	VMOV a.B16, b.B16

// WEIGHTS loads four bytes of each output.
#define WEIGHTS VLD1.P 32(R5), [V16.B16, V17.B16]

// DOT adds the products of these with four bytes of a row.
#define DOT(a, b, x, L, H) \
	SDOT(a, 16, x, L, H) \
	SDOT(b, 17, x, L, H)

// SCALE multiplies the sums of integers with scales.
#define SCALE(a, b) \
	VLD1R.P 4(R10), [V24.S4] \
	SCVTF(a, a) \
	SCVTF(b, b) \
	FMUL(25, 16, 24) \
	FMUL(26, 17, 24) \
	FMUL(a, a, 25) \
	FMUL(b, b, 26)

// MINIMUM adds minima times the scaled sum of x.
#define MINIMUM(a, b) \
	VLD1R.P 4(R10), [V24.S4] \
	FMUL(25, 16, 24) \
	FMUL(26, 17, 24) \
	FADD(a, a, 25) \
	FADD(b, b, 26)

#define ADDSUMS(acc0, acc1, a, b) \
	FADD(acc0, acc0, a) \
	FADD(acc1, acc1, b)

// func tile4DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile4DotProd(SB), NOSPLIT, $0-64
	PARAMETERS(2)
	LOADSUMS(V0, V1)
	LOADSUMS(V2, V3)
	LOADSUMS(V4, V5)
	LOADSUMS(V6, V7)

group:
	ADD R9, R4, R10
	ADD $16, R10, R11
	BEGIN(V8, V9)
	BEGIN(V10, V11)
	BEGIN(V12, V13)
	BEGIN(V14, V15)
	MOVD R8, R12
	MOVD R4, R13
	ADD  R8, R13, R14
	ADD  R8, R14, R15
	ADD  R8, R15, R16

inputs:
	VLD1.P 16(R13), [V18.B16]
	VLD1.P 16(R14), [V19.B16]
	VLD1.P 16(R15), [V20.B16]
	VLD1.P 16(R16), [V21.B16]
	WEIGHTS
	DOT(8, 9, 18, 0, 0)
	DOT(10, 11, 19, 0, 0)
	DOT(12, 13, 20, 0, 0)
	DOT(14, 15, 21, 0, 0)
	WEIGHTS
	DOT(8, 9, 18, 1, 0)
	DOT(10, 11, 19, 1, 0)
	DOT(12, 13, 20, 1, 0)
	DOT(14, 15, 21, 1, 0)
	WEIGHTS
	DOT(8, 9, 18, 0, 1)
	DOT(10, 11, 19, 0, 1)
	DOT(12, 13, 20, 0, 1)
	DOT(14, 15, 21, 0, 1)
	WEIGHTS
	DOT(8, 9, 18, 1, 1)
	DOT(10, 11, 19, 1, 1)
	DOT(12, 13, 20, 1, 1)
	DOT(14, 15, 21, 1, 1)
	SUBS   $16, R12, R12
	BNE    inputs
	VLD1.P 32(R5), [V16.S4, V17.S4]
	SCALE(8, 9)
	SCALE(10, 11)
	SCALE(12, 13)
	SCALE(14, 15)
	TBZ    $1, R7, add
	VLD1.P 32(R5), [V16.S4, V17.S4]
	ADD    $16, R10
	MINIMUM(8, 9)
	MINIMUM(10, 11)
	MINIMUM(12, 13)
	MINIMUM(14, 15)

add:
	ADDSUMS(0, 1, 8, 9)
	ADDSUMS(2, 3, 10, 11)
	ADDSUMS(4, 5, 12, 13)
	ADDSUMS(6, 7, 14, 15)
	ADD  R9, R4
	ADD  $48, R4
	SUBS $1, R6, R6
	BNE  group
	STORESUMS(V0, V1)
	STORESUMS(V2, V3)
	STORESUMS(V4, V5)
	STORESUMS(V6, V7)
	RET

// func tile2DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile2DotProd(SB), NOSPLIT, $0-64
	PARAMETERS(1)
	LOADSUMS(V0, V1)
	LOADSUMS(V2, V3)

group:
	ADD R9, R4, R10
	ADD $8, R10, R11
	BEGIN(V8, V9)
	BEGIN(V10, V11)
	MOVD R8, R12
	MOVD R4, R13
	ADD  R8, R13, R14

inputs:
	VLD1.P 16(R13), [V18.B16]
	VLD1.P 16(R14), [V19.B16]
	WEIGHTS
	DOT(8, 9, 18, 0, 0)
	DOT(10, 11, 19, 0, 0)
	WEIGHTS
	DOT(8, 9, 18, 1, 0)
	DOT(10, 11, 19, 1, 0)
	WEIGHTS
	DOT(8, 9, 18, 0, 1)
	DOT(10, 11, 19, 0, 1)
	WEIGHTS
	DOT(8, 9, 18, 1, 1)
	DOT(10, 11, 19, 1, 1)
	SUBS   $16, R12, R12
	BNE    inputs
	VLD1.P 32(R5), [V16.S4, V17.S4]
	SCALE(8, 9)
	SCALE(10, 11)
	TBZ    $1, R7, add
	VLD1.P 32(R5), [V16.S4, V17.S4]
	ADD    $8, R10
	MINIMUM(8, 9)
	MINIMUM(10, 11)

add:
	ADDSUMS(0, 1, 8, 9)
	ADDSUMS(2, 3, 10, 11)
	ADD  R9, R4
	ADD  $24, R4
	SUBS $1, R6, R6
	BNE  group
	STORESUMS(V0, V1)
	STORESUMS(V2, V3)
	RET

// func tile1DotProd(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile1DotProd(SB), NOSPLIT, $0-64
	PARAMETERS(0)
	LOADSUMS(V0, V1)

group:
	ADD R9, R4, R10
	ADD $4, R10, R11
	BEGIN(V8, V9)
	MOVD R8, R12
	MOVD R4, R13

inputs:
	VLD1.P 16(R13), [V18.B16]
	WEIGHTS
	DOT(8, 9, 18, 0, 0)
	WEIGHTS
	DOT(8, 9, 18, 1, 0)
	WEIGHTS
	DOT(8, 9, 18, 0, 1)
	WEIGHTS
	DOT(8, 9, 18, 1, 1)
	SUBS   $16, R12, R12
	BNE    inputs
	VLD1.P 32(R5), [V16.S4, V17.S4]
	SCALE(8, 9)
	TBZ    $1, R7, add
	VLD1.P 32(R5), [V16.S4, V17.S4]
	ADD    $4, R10
	MINIMUM(8, 9)

add:
	ADDSUMS(0, 1, 8, 9)
	ADD  R9, R4
	ADD  $12, R4
	SUBS $1, R6, R6
	BNE  group
	STORESUMS(V0, V1)
	RET
