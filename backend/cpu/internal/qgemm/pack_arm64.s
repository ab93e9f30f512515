#include "textflag.h"

// Packing of 8 rows of weights, which are at R8 to R15, into the panel at R0. R1 counts blocks, R2 is the
// memory that is asked for.

// FCVTL converts four f16, and is not known to Go's assembler.
#define FCVTL(d, n) WORD $(0x0E217800 | (n)<<5 | (d))

#define ROWS \
	MOVD panel+0(FP), R0 \
	MOVD w+8(FP), R8 \
	MOVD ahead+16(FP), R2 \
	MOVD stride+24(FP), R3 \
	MOVD blocks+32(FP), R1 \
	ADD R3, R8, R9 \
	ADD R3, R9, R10 \
	ADD R3, R10, R11 \
	ADD R3, R11, R12 \
	ADD R3, R12, R13 \
	ADD R3, R13, R14 \
	ADD R3, R14, R15

// SCALES leaves the scales of the rows, f16 each, in V24 and V25 as f32, and goes on behind them.
#define SCALES \
	VLD1.P 2(R8), V24.H[0] \
	VLD1.P 2(R9), V24.H[1] \
	VLD1.P 2(R10), V24.H[2] \
	VLD1.P 2(R11), V24.H[3] \
	VLD1.P 2(R12), V25.H[0] \
	VLD1.P 2(R13), V25.H[1] \
	VLD1.P 2(R14), V25.H[2] \
	VLD1.P 2(R15), V25.H[3] \
	FCVTL(24, 24) \
	FCVTL(25, 25)

// SIXTEEN loads 16 bytes of each row and leaves four bytes of each, one after the other, in V8 and V9,
// the next four in V10 and V11, and so on.
#define SIXTEEN \
	LOADROWS \
	TRANSPOSED(V0, V1, V2, V3, V8, V10, V12, V14) \
	TRANSPOSED(V4, V5, V6, V7, V9, V11, V13, V15)

// PAIRS is that for eight bytes of each.
#define PAIRS \
	LOADROWS \
	VZIP1 V1.D2, V0.D2, V8.D2 \
	VZIP1 V3.D2, V2.D2, V9.D2 \
	VZIP1 V5.D2, V4.D2, V10.D2 \
	VZIP1 V7.D2, V6.D2, V11.D2 \
	VZIP2 V1.D2, V0.D2, V12.D2 \
	VZIP2 V3.D2, V2.D2, V13.D2 \
	VZIP2 V5.D2, V4.D2, V14.D2 \
	VZIP2 V7.D2, V6.D2, V15.D2

#define LOADROWS \
	VLD1.P 16(R8), [V0.B16] \
	VLD1.P 16(R9), [V1.B16] \
	VLD1.P 16(R10), [V2.B16] \
	VLD1.P 16(R11), [V3.B16] \
	VLD1.P 16(R12), [V4.B16] \
	VLD1.P 16(R13), [V5.B16] \
	VLD1.P 16(R14), [V6.B16] \
	VLD1.P 16(R15), [V7.B16]

#define TRANSPOSED(a, b, c, d, k0, k1, k2, k3) \
	VZIP1 b.S4, a.S4, V16.S4 \
	VZIP2 b.S4, a.S4, V17.S4 \
	VZIP1 d.S4, c.S4, V18.S4 \
	VZIP2 d.S4, c.S4, V19.S4 \
	VZIP1 V18.D2, V16.D2, k0.D2 \
	VZIP2 V18.D2, V16.D2, k1.D2 \
	VZIP1 V19.D2, V17.D2, k2.D2 \
	VZIP2 V19.D2, V17.D2, k3.D2

#define LOW(a) VAND V22.B16, a.B16, a.B16

#define EACH(DO) \
	DO(V8) \
	DO(V9) \
	DO(V10) \
	DO(V11) \
	DO(V12) \
	DO(V13) \
	DO(V14) \
	DO(V15)

#define PUT \
	VST1.P [V8.B16, V9.B16, V10.B16, V11.B16], 64(R0) \
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(R0)

// func prefetch(at *byte, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVD at+0(FP), R0
	MOVD n+8(FP), R1

line:
	PRFM (R0), PLDL1KEEP
	ADD  $64, R0
	SUBS $64, R1, R1
	BGT  line
	RET

// func packQ8DotProd(panel, w *byte, ahead uintptr, stride, blocks int)
TEXT ·packQ8DotProd(SB), NOSPLIT, $0-40
	ROWS

block:
	PRFM (R2), PLDL1KEEP
	PRFM 64(R2), PLDL1KEEP
	PRFM 128(R2), PLDL1KEEP
	PRFM 192(R2), PLDL1KEEP
	PRFM 256(R2), PLDL1KEEP
	ADD  $272, R2
	SCALES
	SIXTEEN
	PUT
	SIXTEEN
	PUT
	VST1.P [V24.S4, V25.S4], 32(R0)
	SUBS   $1, R1, R1
	BNE    block
	RET

// func packQ4DotProd(panel, w *byte, ahead uintptr, stride, blocks int)
TEXT ·packQ4DotProd(SB), NOSPLIT, $0-40
	ROWS
	VMOVI $15, V22.B16

block:
	PRFM (R2), PLDL1KEEP
	PRFM 64(R2), PLDL1KEEP
	PRFM 128(R2), PLDL1KEEP
	ADD  $144, R2
	SCALES
	SIXTEEN
	VMOV V8.B16, V0.B16
	VMOV V9.B16, V1.B16
	VMOV V10.B16, V2.B16
	VMOV V11.B16, V3.B16
	VMOV V12.B16, V4.B16
	VMOV V13.B16, V5.B16
	VMOV V14.B16, V6.B16
	VMOV V15.B16, V7.B16
	EACH(LOW)
	PUT
	VUSHR $4, V0.B16, V8.B16
	VUSHR $4, V1.B16, V9.B16
	VUSHR $4, V2.B16, V10.B16
	VUSHR $4, V3.B16, V11.B16
	VUSHR $4, V4.B16, V12.B16
	VUSHR $4, V5.B16, V13.B16
	VUSHR $4, V6.B16, V14.B16
	VUSHR $4, V7.B16, V15.B16
	PUT
	VST1.P [V24.S4, V25.S4], 32(R0)
	SUBS   $1, R1, R1
	BNE    block
	RET

// func packQ8I8MM(panel, w *byte, ahead uintptr, stride, blocks int)
TEXT ·packQ8I8MM(SB), NOSPLIT, $0-40
	ROWS

block:
	PRFM (R2), PLDL1KEEP
	PRFM 64(R2), PLDL1KEEP
	PRFM 128(R2), PLDL1KEEP
	PRFM 192(R2), PLDL1KEEP
	PRFM 256(R2), PLDL1KEEP
	ADD  $272, R2
	SCALES
	PAIRS
	PUT
	PAIRS
	PUT
	VST1.P [V24.S4, V25.S4], 32(R0)
	SUBS   $1, R1, R1
	BNE    block
	RET

// func packQ4I8MM(panel, w *byte, ahead uintptr, stride, blocks int)
TEXT ·packQ4I8MM(SB), NOSPLIT, $0-40
	ROWS
	VMOVI $15, V22.B16

block:
	PRFM (R2), PLDL1KEEP
	PRFM 64(R2), PLDL1KEEP
	PRFM 128(R2), PLDL1KEEP
	ADD  $144, R2
	SCALES
	PAIRS
	VMOV V8.B16, V0.B16
	VMOV V9.B16, V1.B16
	VMOV V10.B16, V2.B16
	VMOV V11.B16, V3.B16
	VMOV V12.B16, V4.B16
	VMOV V13.B16, V5.B16
	VMOV V14.B16, V6.B16
	VMOV V15.B16, V7.B16
	EACH(LOW)
	PUT
	VUSHR $4, V0.B16, V8.B16
	VUSHR $4, V1.B16, V9.B16
	VUSHR $4, V2.B16, V10.B16
	VUSHR $4, V3.B16, V11.B16
	VUSHR $4, V4.B16, V12.B16
	VUSHR $4, V5.B16, V13.B16
	VUSHR $4, V6.B16, V14.B16
	VUSHR $4, V7.B16, V15.B16
	PUT
	VST1.P [V24.S4, V25.S4], 32(R0)
	SUBS   $1, R1, R1
	BNE    block
	RET
