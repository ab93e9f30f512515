#include "textflag.h"

// Instructions that Go's assembler does not know, on four f32 or int32 where they are of vectors.
#define UMAX(d, n, m) WORD $(0x6EA06400 | (m)<<16 | (n)<<5 | (d))
#define UMAXV(d, n) WORD $(0x6EB0A800 | (n)<<5 | (d))
#define FADD(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB(d, n, m) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV(d, n, m) WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d))
#define FMIN(d, n, m) WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d))
#define FCVTZS(d, n) WORD $(0x4EA1B800 | (n)<<5 | (d))
#define SCVTF(d, n) WORD $(0x4E21D800 | (n)<<5 | (d))
#define FCMGT(d, n, m) WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGE(d, n, m) WORD $(0x6E20E400 | (m)<<16 | (n)<<5 | (d))
#define CMLT0(d, n) WORD $(0x4EA0A800 | (n)<<5 | (d))
#define NARROW32(d, n) WORD $(0x0E612800 | (n)<<5 | (d)) // XTN, and XTN2 into the upper half
#define NARROW32HIGH(d, n) WORD $(0x4E612800 | (n)<<5 | (d))
#define NARROW16(d, n) WORD $(0x0E212800 | (n)<<5 | (d))
#define NARROW16HIGH(d, n) WORD $(0x4E212800 | (n)<<5 | (d))
#define SADDLV(d, n) WORD $(0x4E303800 | (n)<<5 | (d))
#define TOHALF(d, n) WORD $(0x1E23C000 | (n)<<5 | (d)) // FCVT
#define FROMHALF(d, n) WORD $(0x1EE24000 | (n)<<5 | (d))

#define CONSTANT(bits, v) \
	MOVD $bits, R4 \
	VDUP R4, v.S4

#define ABS(v) VAND V24.B16, v.B16, v.B16

// ROUND makes of four numbers in x the integers nearest to x/d, step by step as toQ8ABlock does.
// V24 has masks of magnitudes, V25 ½, V26 127, V29 d, V30 1/d.
#define ROUND(x, number) \
	VAND V24.B16, x.B16, V16.B16 \
	FMUL(17, 16, 30) \
	FADD(17, 17, 25) \
	FMIN(17, 17, 26) \
	FCVTZS(18, 17) \
	SCVTF(17, 18) \
	FSUB(19, 17, 25) \
	FMUL(19, 19, 29) \
	FCMGT(19, 19, 16) \
	VADD V19.S4, V18.S4, V18.S4 \
	FADD(19, 17, 25) \
	FMUL(19, 19, 29) \
	FCMGE(19, 16, 19) \
	FCMGT(20, 26, 17) \
	VAND V20.B16, V19.B16, V19.B16 \
	VSUB V19.S4, V18.S4, V18.S4 \
	CMLT0(19, number) \
	VEOR V19.B16, V18.B16, V18.B16 \
	VSUB V19.S4, V18.S4, x.S4

// func quantizeNEON(dst *byte, src *float32, blocks int)
TEXT ·quantizeNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD R0, R5
	MOVD R1, R6
	MOVD R2, R7
	MOVD $0x7e00, R3
	CONSTANT(0x7fffffff, V24)
	CONSTANT(0x3f000000, V25)
	CONSTANT(0x42fe0000, V26)
	CONSTANT(0x3f800000, V27)
	CONSTANT(0x3c010204, V28)

	// First the scales of all blocks: one takes long, but several are on their way at once.
scale:
	VLD1.P 64(R6), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R6), [V4.S4, V5.S4, V6.S4, V7.S4]
	ABS(V0)
	ABS(V1)
	ABS(V2)
	ABS(V3)
	ABS(V4)
	ABS(V5)
	ABS(V6)
	ABS(V7)
	UMAX(0, 0, 1)
	UMAX(2, 2, 3)
	UMAX(4, 4, 5)
	UMAX(6, 6, 7)
	UMAX(0, 0, 2)
	UMAX(4, 4, 6)
	UMAX(0, 0, 4)
	UMAXV(0, 0)
	FMUL(0, 0, 28)
	TOHALF(0, 0)
	VMOV   V0.H[0], R4
	CMP    $0x7c00, R4
	CSEL   HS, R3, R4, R4
	MOVH   R4, (R5)
	ADD    $36, R5
	SUBS   $1, R7, R7
	BNE    scale

block:
	MOVHU (R0), R4
	SUB   $1, R4, R5
	MOVD  $0x7bff, R6
	CMP   R6, R5
	BHS   zeros // 0, or not finite
	VMOV  R4, V29.H[0]
	FROMHALF(29, 29)
	VDUP  V29.S[0], V29.S4
	FDIV(30, 27, 29)
	VLD1  (R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	ADD   $64, R1, R4
	VLD1  (R4), [V4.S4, V5.S4, V6.S4, V7.S4]
	ROUND(V0, 0)
	ROUND(V1, 1)
	ROUND(V2, 2)
	ROUND(V3, 3)
	ROUND(V4, 4)
	ROUND(V5, 5)
	ROUND(V6, 6)
	ROUND(V7, 7)
	NARROW32(0, 0)
	NARROW32HIGH(0, 1)
	NARROW32(2, 2)
	NARROW32HIGH(2, 3)
	NARROW32(4, 4)
	NARROW32HIGH(4, 5)
	NARROW32(6, 6)
	NARROW32HIGH(6, 7)
	NARROW16(0, 0)
	NARROW16HIGH(0, 2)
	NARROW16(1, 4)
	NARROW16HIGH(1, 6)
	SADDLV(2, 0)
	SADDLV(3, 1)
	VADD  V3.H8, V2.H8, V2.H8
	VMOV  V2.H[0], R4

store:
	MOVH R4, 2(R0)
	ADD  $4, R0, R4
	VST1 [V0.B16, V1.B16], (R4)
	ADD  $128, R1
	ADD  $36, R0
	SUBS $1, R2, R2
	BNE  block
	RET

zeros:
	MOVD ZR, R4
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	B    store
