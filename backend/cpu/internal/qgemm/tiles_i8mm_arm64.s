#include "textflag.h"

// Tiles for NEON with products of matrices (FEAT_I8MM). Registers are those of tiles_arm64.s, but that V16
// to V19 are weights, eight bytes of two outputs each, and V20 and V21 eight bytes of two rows each. So a sum
// of integers has two outputs of a row, and then those of the next row.

// Instructions that Go's assembler does not know. SMMLA adds to d the products of the two rows of n, of
// eight bytes each, with the two of m.
#define SMMLA(d, n, m) WORD $(0x4E80A400 | (m)<<16 | (n)<<5 | (d))
#define SCVTF(d, n) WORD $(0x4E21D800 | (n)<<5 | (d))
#define FMUL(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FADD(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))

// PARAMETERS loads them: see tiles_arm64.s.
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

#define WEIGHTS VLD1.P 64(R5), [V16.B16, V17.B16, V18.B16, V19.B16]

// PRODUCTS adds those of two rows with all weights.
#define PRODUCTS(a, b, c, d, x) \
	SMMLA(a, x, 16) \
	SMMLA(b, x, 17) \
	SMMLA(c, x, 18) \
	SMMLA(d, x, 19)

#define ZERO(a) VEOR a.B16, a.B16, a.B16

// SPLIT makes of the sums of two rows those of the first one in a and b, and of the other in c and d.
#define SPLIT(a, b, c, d) \
	VZIP1 b.D2, a.D2, V24.D2 \
	VZIP2 b.D2, a.D2, V25.D2 \
	VZIP1 d.D2, c.D2, V26.D2 \
	VZIP2 d.D2, c.D2, d.D2 \
	VMOV V24.B16, a.B16 \
	VMOV V26.B16, b.B16 \
	VMOV V25.B16, c.B16

// BEGIN adds to the sums of integers of a row what they begin with.
#define BEGIN(a, b) \
	VLD1R.P 4(R11), [V24.S4] \
	VAND V23.B16, V24.B16, V24.B16 \
	VADD V24.S4, a.S4, a.S4 \
	VADD V24.S4, b.S4, b.S4

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

// func tile4I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile4I8MM(SB), NOSPLIT, $0-64
	PARAMETERS(2)
	LOADSUMS(V0, V1)
	LOADSUMS(V2, V3)
	LOADSUMS(V4, V5)
	LOADSUMS(V6, V7)

group:
	ADD R9, R4, R10
	ADD $16, R10, R11
	ZERO(V8)
	ZERO(V9)
	ZERO(V10)
	ZERO(V11)
	ZERO(V12)
	ZERO(V13)
	ZERO(V14)
	ZERO(V15)
	MOVD R8, R12
	MOVD R4, R13
	ADD  R8, R13, R14
	ADD  R8, R14, R15
	ADD  R8, R15, R16

inputs:
	VLD1.P 16(R13), [V27.B16]
	VLD1.P 16(R14), [V28.B16]
	VLD1.P 16(R15), [V29.B16]
	VLD1.P 16(R16), [V30.B16]
	VZIP1  V28.D2, V27.D2, V20.D2
	VZIP1  V30.D2, V29.D2, V21.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	PRODUCTS(12, 13, 14, 15, 21)
	VZIP2  V28.D2, V27.D2, V20.D2
	VZIP2  V30.D2, V29.D2, V21.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	PRODUCTS(12, 13, 14, 15, 21)
	SUBS   $16, R12, R12
	BNE    inputs
	SPLIT(V8, V9, V10, V11)
	SPLIT(V12, V13, V14, V15)
	BEGIN(V8, V9)
	BEGIN(V10, V11)
	BEGIN(V12, V13)
	BEGIN(V14, V15)
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

// func tile2I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile2I8MM(SB), NOSPLIT, $0-64
	PARAMETERS(1)
	LOADSUMS(V0, V1)
	LOADSUMS(V2, V3)

group:
	ADD R9, R4, R10
	ADD $8, R10, R11
	ZERO(V8)
	ZERO(V9)
	ZERO(V10)
	ZERO(V11)
	MOVD R8, R12
	MOVD R4, R13
	ADD  R8, R13, R14

inputs:
	VLD1.P 16(R13), [V27.B16]
	VLD1.P 16(R14), [V28.B16]
	VZIP1  V28.D2, V27.D2, V20.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	VZIP2  V28.D2, V27.D2, V20.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	SUBS   $16, R12, R12
	BNE    inputs
	SPLIT(V8, V9, V10, V11)
	BEGIN(V8, V9)
	BEGIN(V10, V11)
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

// tile1I8MM takes a row for two that are alike.
//
// func tile1I8MM(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups, kind int)
TEXT ·tile1I8MM(SB), NOSPLIT, $0-64
	PARAMETERS(0)
	LOADSUMS(V0, V1)

group:
	ADD R9, R4, R10
	ADD $4, R10, R11
	ZERO(V8)
	ZERO(V9)
	ZERO(V10)
	ZERO(V11)
	MOVD R8, R12
	MOVD R4, R13

inputs:
	VLD1.P 16(R13), [V27.B16]
	VZIP1  V27.D2, V27.D2, V20.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	VZIP2  V27.D2, V27.D2, V20.D2
	WEIGHTS
	PRODUCTS(8, 9, 10, 11, 20)
	SUBS   $16, R12, R12
	BNE    inputs
	SPLIT(V8, V9, V10, V11)
	BEGIN(V8, V9)
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
