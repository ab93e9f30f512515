// The functions of draw.go with NEON. Vector registers are given by their numbers to the instructions that Go's assembler
// does not know, the destination first, as in Arm's manual.

#include "textflag.h"

// On four float32 or int32.
#define FSUB(d, n, m) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FMAX(d, n, m) WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d)) // NaN if one is, as FMIN
#define FMIN(d, n, m) WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d))
#define FMAXV(d, n) WORD $(0x6E30F800 | (n)<<5 | (d))
#define UMINV(d, n) WORD $(0x6EB1A800 | (n)<<5 | (d))
#define FABS(d, n) WORD $(0x4EA0F800 | (n)<<5 | (d))
#define FCMEQ(d, n, m) WORD $(0x4E20E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGE(d, n, m) WORD $(0x6E20E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGT(d, n, m) WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d))
#define FCVTZU(d, n) WORD $(0x6EA1B800 | (n)<<5 | (d))

// On two float64 or int64, the lower two of four numbers or the upper two.
#define DOUBLE(d, n) WORD $(0x0E617800 | (n)<<5 | (d)) // FCVTL
#define DOUBLEHIGH(d, n) WORD $(0x4E617800 | (n)<<5 | (d))
#define FADDD(d, n, m) WORD $(0x4E60D400 | (m)<<16 | (n)<<5 | (d))
#define FSUBD(d, n, m) WORD $(0x4EE0D400 | (m)<<16 | (n)<<5 | (d))
#define FMAXD(d, n, m) WORD $(0x4E60F400 | (m)<<16 | (n)<<5 | (d))
#define FMLAD(d, n, m) WORD $(0x4E60CC00 | (m)<<16 | (n)<<5 | (d)) // d += n·m
#define FMLSD(d, n, m) WORD $(0x4EE0CC00 | (m)<<16 | (n)<<5 | (d)) // d -= n·m
#define FADDPD(d, n) WORD $(0x7E70D800 | (n)<<5 | (d)) // the sum of both
#define MOVV(d, n) WORD $(0x4EA01C00 | (n)<<16 | (n)<<5 | (d))
#define UMULL(d, n, m) WORD $(0x2EA0C000 | (m)<<16 | (n)<<5 | (d))
#define UMULLHIGH(d, n, m) WORD $(0x6EA0C000 | (m)<<16 | (n)<<5 | (d))
#define SHRN26(d, n) WORD $(0x0F268400 | (n)<<5 | (d))
#define SHRN26HIGH(d, n) WORD $(0x4F268400 | (n)<<5 | (d))
#define USHL(d, n, m) WORD $(0x6EE04400 | (m)<<16 | (n)<<5 | (d)) // by minus m to the right
#define NEGD(d, n) WORD $(0x6EE0B800 | (n)<<5 | (d))

#define ZERO(v) VEOR v.B16, v.B16, v.B16

// AGAIN ends a loop that took some numbers.
#define AGAIN(numbers) \
	SUBS $numbers, R3, R3 \
	BNE loop

// func largestNEON(x *float32, n int) (largest float32, bad uint32)
TEXT ·largestNEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	MOVD $0xff800000, R4
	VDUP R4, V0.S4
	VDUP R4, V1.S4
	MOVD $0x7f800000, R4
	VDUP R4, V2.S4
	VMOVI $255, V3.B16
loop:
	VLD1.P 32(R1), [V4.S4, V5.S4]
	FCMGT(6, 2, 4) // less than +∞
	FCMGT(7, 2, 5)
	FMAX(0, 0, 4)
	FMAX(1, 1, 5)
	VAND V6.B16, V3.B16, V3.B16
	VAND V7.B16, V3.B16, V3.B16
	AGAIN(8)
	FMAX(0, 0, 1)
	FMAXV(0, 0)
	FMOVS F0, largest+16(FP)
	UMINV(3, 3)
	VMOV V3.S[0], R4
	MVNW R4, R4
	MOVW R4, bad+20(FP)
	RET

// Those of Exp, for V16 to V23.
DATA exponential<>+0(SB)/8, $-700.0
DATA exponential<>+8(SB)/8, $0x40871547652b82fe // 512/ln 2
DATA exponential<>+16(SB)/8, $0x4338000000000000 // 1.5·2⁵²
DATA exponential<>+24(SB)/8, $0x3f562e42fefa39ef // ln 2/512
DATA exponential<>+32(SB)/8, $0x3fc5555555555555 // 1/6
DATA exponential<>+40(SB)/8, $0.5
DATA exponential<>+48(SB)/8, $1.0
GLOBL exponential<>(SB), RODATA|NOPTR, $56

// EXP adds the exponentials of the two numbers in V1 to a sum, as Exp computes them. The table of its powers is at R5.
#define EXP(sum) \
	FSUBD(1, 1, 24) \
	FMAXD(1, 1, 16) \
	MOVV(2, 18) \
	FMLAD(2, 1, 17) \
	FSUBD(3, 2, 18) \
	FMLSD(1, 3, 19) \
	VMOV V2.D[0], R6 \
	VMOV V2.D[1], R7 \
	AND $511, R6, R6 \
	AND $511, R7, R7 \
	FMOVD (R5)(R6<<3), F3 \
	ADD R7<<3, R5, R7 \
	VLD1 (R7), V3.D[1] \
	VUSHR $9, V2.D2, V2.D2 \
	VSHL $52, V2.D2, V2.D2 \
	VADD V2.D2, V3.D2, V3.D2 \
	MOVV(4, 21) \
	FMLAD(4, 20, 1) \
	MOVV(5, 22) \
	FMLAD(5, 4, 1) \
	MOVV(4, 22) \
	FMLAD(4, 5, 1) \
	FMLAD(sum, 3, 4)

// func expSumNEON(x *float32, n int, best float64) float64
TEXT ·expSumNEON(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	FMOVD best+16(FP), F24
	VDUP V24.D[0], V24.D2
	MOVD $exponential<>(SB), R4
	VLD4R.P 32(R4), [V16.D2, V17.D2, V18.D2, V19.D2]
	VLD3R (R4), [V20.D2, V21.D2, V22.D2]
	MOVD $·exp2(SB), R5
	ZERO(V6)
	ZERO(V7)
loop:
	VLD1.P 16(R1), [V0.S4]
	DOUBLE(1, 0)
	EXP(6)
	DOUBLEHIGH(1, 0)
	EXP(7)
	AGAIN(4)
	FADDD(6, 6, 7)
	FADDPD(6, 6)
	FMOVD F6, ret+24(FP)
	RET

// Those of weight, for V16 to V28.
DATA weighing<>+0(SB)/4, $0x00800000 // the smallest normal number
DATA weighing<>+4(SB)/4, $0xff800000 // −∞
DATA weighing<>+8(SB)/4, $0x7f7fffff // the largest number
DATA weighing<>+12(SB)/4, $0x41ffffff // what comes before 32
DATA weighing<>+16(SB)/4, $0x4d000000 // 2²⁷
DATA weighing<>+20(SB)/4, $0xb8aa3b29 // log₂ e, in units of 2⁻³¹
DATA weighing<>+24(SB)/4, $0x00078809 // the polynomial
DATA weighing<>+28(SB)/4, $0x0054a612
DATA weighing<>+32(SB)/4, $0x0274f388
DATA weighing<>+36(SB)/4, $0x0e353290
DATA weighing<>+40(SB)/4, $0x3d7f7506
DATA weighing<>+44(SB)/4, $0xb17217df
GLOBL weighing<>(SB), RODATA|NOPTR, $48

#define WEIGHING \
	MOVD $weighing<>(SB), R4 \
	VLD4R.P 16(R4), [V16.S4, V17.S4, V18.S4, V19.S4] \
	VLD4R.P 16(R4), [V20.S4, V21.S4, V22.S4, V23.S4] \
	VLD4R.P 16(R4), [V24.S4, V25.S4, V26.S4, V27.S4] \
	VDUP V29.S[0], V29.S4 \
	VDUP V30.S[0], V30.S4 \
	MOVD $1<<31, R4 \
	VDUP R4, V28.D2 \
	ZERO(V7)

// TERM is q − v·V1/2³², of four numbers.
#define TERM(v, d, q) \
	UMULL(5, v, 1) \
	UMULLHIGH(6, v, 1) \
	VUZP2 V6.S4, V5.S4, V5.S4 \
	VSUB V5.S4, q.S4, d.S4

// WEIGH puts the weights of the four numbers at R1 in V2 and V3, and adds them to V7. best is in V29, scale in V30. From a
// distance of 28 on weights are 0, so larger ones, and those of −∞, may be what comes before 32.
#define WEIGH \
	VLD1.P 16(R1), [V0.S4] \
	FCMEQ(4, 0, 17) \
	FABS(1, 0) \
	FCMGE(1, 1, 16) \
	VAND V1.B16, V0.B16, V0.B16 \
	FSUB(0, 29, 0) \
	FMIN(0, 0, 18) \
	FCMGE(1, 0, 16) \
	VAND V1.B16, V0.B16, V0.B16 \
	FMUL(0, 0, 30) \
	FMIN(0, 0, 19) \
	VBIT V4.B16, V19.B16, V0.B16 \
	FMUL(0, 0, 20) \
	FCVTZU(0, 0) \
	UMULL(2, 0, 21) \
	UMULLHIGH(3, 0, 21) \
	SHRN26(1, 2) \
	SHRN26HIGH(1, 3) \
	VUSHR $58, V2.D2, V2.D2 \
	VUSHR $58, V3.D2, V3.D2 \
	NEGD(2, 2) \
	NEGD(3, 3) \
	TERM(22, V0, V23) \
	TERM(0, V0, V24) \
	TERM(0, V0, V25) \
	TERM(0, V0, V26) \
	TERM(0, V0, V27) \
	UMULL(5, 0, 1) \
	UMULLHIGH(6, 0, 1) \
	VUSHR $33, V5.D2, V5.D2 \
	VUSHR $33, V6.D2, V6.D2 \
	VSUB V5.D2, V28.D2, V5.D2 \
	VSUB V6.D2, V28.D2, V6.D2 \
	VSHL $9, V5.D2, V5.D2 \
	VSHL $9, V6.D2, V6.D2 \
	USHL(2, 5, 2) \
	USHL(3, 6, 3) \
	VADD V2.D2, V7.D2, V7.D2 \
	VADD V3.D2, V7.D2, V7.D2

// func weightsNEON(dst *uint64, x *float32, n int, best, scale float32) uint64
TEXT ·weightsNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R3
	FMOVS best+24(FP), F29
	FMOVS scale+28(FP), F30
	WEIGHING
loop:
	WEIGH
	VST1.P [V2.D2, V3.D2], 32(R0)
	AGAIN(4)
	VADDP V7.D2, V7.D2, V7.D2
	FMOVD F7, ret+32(FP)
	RET

// func weightSumNEON(x *float32, n int, best, scale float32) uint64
TEXT ·weightSumNEON(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	FMOVS best+16(FP), F29
	FMOVS scale+20(FP), F30
	WEIGHING
loop:
	WEIGH
	AGAIN(4)
	VADDP V7.D2, V7.D2, V7.D2
	FMOVD F7, ret+24(FP)
	RET

// func aboveNEON(dst *uint16, x *float32, n int, floor float32)
TEXT ·aboveNEON(SB), NOSPLIT, $0-28
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R3
	FMOVS floor+24(FP), F4
	VDUP V4.S[0], V4.S4
	MOVD $0x8040201008040201, R4 // a bit for each of 8 bytes
	VDUP R4, V5.D2
loop:
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	FCMGE(0, 0, 4)
	FCMGE(1, 1, 4)
	FCMGE(2, 2, 4)
	FCMGE(3, 3, 4)
	VUZP1 V1.H8, V0.H8, V0.H8
	VUZP1 V3.H8, V2.H8, V2.H8
	VUZP1 V2.B16, V0.B16, V0.B16
	VAND V5.B16, V0.B16, V0.B16
	VADDP V0.B16, V0.B16, V0.B16
	VADDP V0.B16, V0.B16, V0.B16
	VADDP V0.B16, V0.B16, V0.B16
	VMOV V0.H[0], R4
	MOVH.P R4, 2(R0)
	AGAIN(16)
	RET
