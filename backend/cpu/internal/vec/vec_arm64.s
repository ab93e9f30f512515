// The functions of vec.go, gated.go, rotary.go and backward.go that need no exponential, and ReLU: 8 elements at a time
// with NEON.

#include "textflag.h"
#include "neon_arm64.h"

#define LOAD(p, a, b) VLD1.P 32(p), [a.S4, b.S4]
#define STORE(a, b, p) VST1.P [a.S4, b.S4], 32(p)

#define ARGUMENTS2 \
	MOVD dst+0(FP), R0 \
	MOVD x+8(FP), R1 \
	MOVD n+16(FP), R3

#define ARGUMENTS3 \
	MOVD dst+0(FP), R0 \
	MOVD a+8(FP), R1 \
	MOVD b+16(FP), R2 \
	MOVD n+24(FP), R3

// func addFast(dst, a, b *float32, n int)
TEXT ·addFast(SB), NOSPLIT, $0-32
	ARGUMENTS3
loop:
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	FADD(0, 0, 2)
	FADD(1, 1, 3)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func mulFast(dst, a, b *float32, n int)
TEXT ·mulFast(SB), NOSPLIT, $0-32
	ARGUMENTS3
loop:
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func scaleFast(x *float32, n int, s float32)
TEXT ·scaleFast(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R0
	MOVD n+8(FP), R3
	ALL(s+16(FP), F4, V4)
loop:
	VLD1 (R0), [V0.S4, V1.S4]
	FMUL(0, 0, 4)
	FMUL(1, 1, 4)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func scaleByFast(dst, x, gamma *float32, n int, s float32)
TEXT ·scaleByFast(SB), NOSPLIT, $0-36
	ARGUMENTS3
	ALL(s+32(FP), F4, V4)
loop:
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	FMUL(0, 0, 4)
	FMUL(1, 1, 4)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func clipFast(dst, x *float32, n int, limit float32)
TEXT ·clipFast(SB), NOSPLIT, $0-28
	ARGUMENTS2
	ALL(limit+24(FP), F4, V4)
loop:
	LOAD(R1, V0, V1)
	FMIN(0, 0, 4)
	FMIN(1, 1, 4)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func gateFast(dst, a, up *float32, n int, limit, shift float32)
TEXT ·gateFast(SB), NOSPLIT, $0-40
	ARGUMENTS3
	ALL(limit+32(FP), F4, V4)
	ALL(shift+36(FP), F5, V5)
	FNEG(6, 4)
loop:
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	FMIN(2, 2, 4)
	FMIN(3, 3, 4)
	FMAX(2, 2, 6)
	FMAX(3, 3, 6)
	FADD(2, 2, 5)
	FADD(3, 3, 5)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func reluFast(dst, x *float32, n int)
TEXT ·reluFast(SB), NOSPLIT, $0-24
	ARGUMENTS2
	ZERO(V4)
loop:
	LOAD(R1, V0, V1)
	FMAX(0, 0, 4)
	FMAX(1, 1, 4)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func reluBackwardFast(dx, x, dy *float32, n int)
TEXT ·reluBackwardFast(SB), NOSPLIT, $0-32
	ARGUMENTS3
	MOVD $0x3f800000, R4 // 1
	VDUP R4, V4.S4
loop:
	VLD1.P 16(R1), [V0.S4]
	VLD1.P 16(R2), [V1.S4]
	FCMGT0(2, 0)
	VAND V4.B16, V2.B16, V2.B16
	FCMEQ(3, 0, 0)
	VBIF V3.B16, V0.B16, V2.B16 // x where it is no number
	FMUL(0, 2, 1)
	VST1.P [V0.S4], 16(R0)
	AGAIN(4)
	RET

// func maxFast(x *float32, n int) float32
TEXT ·maxFast(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	MOVD $0xff800000, R4 // -∞
	VDUP R4, V0.S4
	VDUP R4, V1.S4
loop:
	LOAD(R1, V2, V3)
	FCMGT(4, 2, 0) // false where it is no number
	FCMGT(5, 3, 1)
	VBIT V4.B16, V2.B16, V0.B16
	VBIT V5.B16, V3.B16, V1.B16
	AGAIN(8)
	FMAX(0, 0, 1)
	FMAXV(0, 0)
	FMOVS F0, ret+16(FP)
	RET

// func sumFast(x *float32, n int) float64
TEXT ·sumFast(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	ZERO(V4)
	ZERO(V5)
	ZERO(V6)
	ZERO(V7)
loop:
	LOAD(R1, V0, V1)
	DOUBLE(2, 0)
	DOUBLEHIGH(0, 0)
	DOUBLE(3, 1)
	DOUBLEHIGH(1, 1)
	FADDD(4, 4, 2)
	FADDD(5, 5, 0)
	FADDD(6, 6, 3)
	FADDD(7, 7, 1)
	AGAIN(8)
	SUMD(4, 5, 6, 7)
	FMOVD F4, ret+16(FP)
	RET

// func sumSquaresFast(x *float32, n int, mean float64) float64
TEXT ·sumSquaresFast(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	FMOVD mean+16(FP), F8
	VDUP V8.D[0], V8.D2
	ZERO(V4)
	ZERO(V5)
	ZERO(V6)
	ZERO(V7)
loop:
	LOAD(R1, V0, V1)
	DOUBLE(2, 0)
	DOUBLEHIGH(0, 0)
	DOUBLE(3, 1)
	DOUBLEHIGH(1, 1)
	FSUBD(2, 2, 8)
	FSUBD(0, 0, 8)
	FSUBD(3, 3, 8)
	FSUBD(1, 1, 8)
	FMLAD(4, 2, 2)
	FMLAD(5, 0, 0)
	FMLAD(6, 3, 3)
	FMLAD(7, 1, 1)
	AGAIN(8)
	SUMD(4, 5, 6, 7)
	FMOVD F4, ret+24(FP)
	RET

// func dotFast(w, x *float32, n int) float32
TEXT ·dotFast(SB), NOSPLIT, $0-28
	MOVD w+0(FP), R1
	MOVD x+8(FP), R2
	MOVD n+16(FP), R3
	ZERO(V4)
	ZERO(V5)
	ZERO(V6)
	ZERO(V7)
	TBZ $3, R3, loop
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	FMLA(4, 0, 2)
	FMLA(5, 1, 3)
	SUBS $8, R3, R3
	BEQ done
loop:
	VLD1.P 64(R1), [V16.S4, V17.S4, V18.S4, V19.S4]
	VLD1.P 64(R2), [V20.S4, V21.S4, V22.S4, V23.S4]
	FMLA(4, 16, 20)
	FMLA(5, 17, 21)
	FMLA(6, 18, 22)
	FMLA(7, 19, 23)
	AGAIN(16)
done:
	FADD(4, 4, 5)
	FADD(6, 6, 7)
	FADD(4, 4, 6)
	FADDP(4, 4, 4)
	FADDP(4, 4, 4)
	FMOVS F4, ret+24(FP)
	RET

// NORMED leaves (x − mean)·scale of 8 elements in V0 and V1. V4 and V5 have the mean's parts, V6 the scale.
#define NORMED \
	LOAD(R1, V0, V1) \
	FSUB(0, 0, 4) \
	FSUB(1, 1, 4) \
	FSUB(0, 0, 5) \
	FSUB(1, 1, 5) \
	FMUL(0, 0, 6) \
	FMUL(1, 1, 6)

// func normalizeFast(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)
TEXT ·normalizeFast(SB), NOSPLIT, $0-52
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD gamma+16(FP), R2
	MOVD beta+24(FP), R4
	MOVD n+32(FP), R3
	ALL(hi+40(FP), F4, V4)
	ALL(lo+44(FP), F5, V5)
	ALL(scale+48(FP), F6, V6)
loop:
	NORMED
	LOAD(R2, V2, V3)
	LOAD(R4, V16, V17)
	FMLA(16, 0, 2)
	FMLA(17, 1, 3)
	STORE(V16, V17, R0)
	AGAIN(8)
	RET

// func normalizeSumsFast(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64)
TEXT ·normalizeSumsFast(SB), NOSPLIT, $0-64
	MOVD x+0(FP), R1
	MOVD dy+8(FP), R2
	MOVD gamma+16(FP), R4
	MOVD n+24(FP), R3
	FMOVD mean+32(FP), F6
	VDUP V6.D[0], V6.D2
	ZERO(V16)
	ZERO(V17)
	ZERO(V18)
	ZERO(V19)
	ZERO(V20)
	ZERO(V21)
loop:
	VLD1.P 16(R1), [V0.S4]
	VLD1.P 16(R2), [V2.S4]
	VLD1.P 16(R4), [V4.S4]
	FMUL(2, 2, 4)
	DOUBLEHIGH(1, 0)
	DOUBLE(0, 0)
	DOUBLEHIGH(3, 2)
	DOUBLE(2, 2)
	FSUBD(0, 0, 6)
	FSUBD(1, 1, 6)
	FMLAD(16, 0, 0)
	FMLAD(17, 1, 1)
	FADDD(18, 18, 2)
	FADDD(19, 19, 3)
	FMLAD(20, 0, 2)
	FMLAD(21, 1, 3)
	AGAIN(4)
	FADDD(16, 16, 17)
	FADDD(18, 18, 19)
	FADDD(20, 20, 21)
	FADDPD(16, 16)
	FADDPD(18, 18)
	FADDPD(20, 20)
	FMOVD F16, squares+40(FP)
	FMOVD F18, grad+48(FP)
	FMOVD F20, product+56(FP)
	RET

// func normalizeBackwardFast(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32)
TEXT ·normalizeBackwardFast(SB), NOSPLIT, $0-60
	MOVD dx+0(FP), R0
	MOVD x+8(FP), R1
	MOVD dy+16(FP), R2
	MOVD gamma+24(FP), R4
	MOVD n+32(FP), R3
	ALL(hi+40(FP), F4, V4)
	ALL(lo+44(FP), F5, V5)
	ALL(scale+48(FP), F6, V6)
	ALL(grad+52(FP), F7, V7)
	ALL(product+56(FP), F8, V8)
loop:
	NORMED
	LOAD(R2, V2, V3)
	LOAD(R4, V16, V17)
	FMUL(2, 2, 16)
	FMUL(3, 3, 17)
	FSUB(2, 2, 7)
	FSUB(3, 3, 7)
	FMLS(2, 0, 8)
	FMLS(3, 1, 8)
	FMUL(2, 2, 6)
	FMUL(3, 3, 6)
	STORE(V2, V3, R0)
	AGAIN(8)
	RET

// func addNormalizedFast(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)
TEXT ·addNormalizedFast(SB), NOSPLIT, $0-48
	MOVD dgamma+0(FP), R0
	MOVD dbeta+8(FP), R4
	MOVD x+16(FP), R1
	MOVD dy+24(FP), R2
	MOVD n+32(FP), R3
	ALL(mean+40(FP), F4, V4)
	ALL(scale+44(FP), F6, V6)
loop:
	LOAD(R1, V0, V1)
	FSUB(0, 0, 4)
	FSUB(1, 1, 4)
	FMUL(0, 0, 6)
	FMUL(1, 1, 6)
	LOAD(R2, V2, V3)
	VLD1 (R0), [V16.S4, V17.S4]
	VLD1 (R4), [V18.S4, V19.S4]
	FMLA(16, 0, 2)
	FMLA(17, 1, 3)
	FADD(18, 18, 2)
	FADD(19, 19, 3)
	STORE(V16, V17, R0)
	STORE(V18, V19, R4)
	AGAIN(8)
	RET

// func softmaxBackwardFast(d, p *float32, n int, mean float32)
TEXT ·softmaxBackwardFast(SB), NOSPLIT, $0-28
	MOVD d+0(FP), R0
	MOVD p+8(FP), R1
	MOVD n+16(FP), R3
	ALL(mean+24(FP), F4, V4)
loop:
	VLD1 (R0), [V0.S4, V1.S4]
	LOAD(R1, V2, V3)
	FSUB(0, 0, 4)
	FSUB(1, 1, 4)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	STORE(V0, V1, R0)
	AGAIN(8)
	RET

// func adamWFast(w, m, v, grad *float32, n int, o *AdamW)
TEXT ·adamWFast(SB), NOSPLIT, $0-48
	MOVD w+0(FP), R0
	MOVD m+8(FP), R1
	MOVD v+16(FP), R2
	MOVD grad+24(FP), R4
	MOVD n+32(FP), R3
	MOVD o+40(FP), R5
	VLD4R.P 16(R5), [V16.S4, V17.S4, V18.S4, V19.S4] // scale, beta1, rest1, beta2
	VLD4R.P 16(R5), [V20.S4, V21.S4, V22.S4, V23.S4] // rest2, correct1, correct2, epsilon
	VLD2R (R5), [V24.S4, V25.S4]                     // decay, rate
loop:
	VLD1.P 16(R4), [V0.S4]
	VLD1 (R1), [V1.S4]
	VLD1 (R2), [V2.S4]
	VLD1 (R0), [V3.S4]
	FMUL(0, 0, 16) // g
	FMUL(1, 1, 17)
	FMLA(1, 0, 18) // m
	VST1.P [V1.S4], 16(R1)
	FMUL(4, 0, 20)
	FMUL(4, 4, 0)
	FMLA(4, 2, 19) // v
	VST1.P [V4.S4], 16(R2)
	FMUL(4, 4, 22)
	FSQRT(4, 4)
	FADD(4, 4, 23)
	FMUL(1, 1, 21)
	FDIV(1, 1, 4)
	FMLA(1, 3, 24)
	FMLS(3, 1, 25)
	VST1.P [V3.S4], 16(R0)
	AGAIN(4)
	RET

// func rotateFast(first, second, a, b, cos, sin *float32, n int, sign float32)
TEXT ·rotateFast(SB), NOSPLIT, $0-60
	MOVD first+0(FP), R0
	MOVD second+8(FP), R4
	MOVD a+16(FP), R1
	MOVD b+24(FP), R2
	MOVD cos+32(FP), R5
	MOVD sin+40(FP), R6
	MOVD n+48(FP), R3
	ALL(sign+56(FP), F8, V8)
loop:
	LOAD(R1, V0, V1)
	LOAD(R2, V2, V3)
	LOAD(R5, V4, V5)
	LOAD(R6, V6, V7)
	FMUL(6, 6, 8)
	FMUL(7, 7, 8)
	FMUL(16, 0, 4)
	FMUL(17, 1, 5)
	FMUL(18, 2, 4)
	FMUL(19, 3, 5)
	FMLS(16, 2, 6) // a·cos − b·sin
	FMLS(17, 3, 7)
	FMLA(18, 0, 6) // b·cos + a·sin
	FMLA(19, 1, 7)
	STORE(V16, V17, R0)
	STORE(V18, V19, R4)
	AGAIN(8)
	RET

// func rotatePairsFast(dst, x, cos, sin *float32, n int, sign float32)
TEXT ·rotatePairsFast(SB), NOSPLIT, $0-44
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD cos+16(FP), R5
	MOVD sin+24(FP), R6
	MOVD n+32(FP), R3
	ALL(sign+40(FP), F8, V8)
loop:
	VLD2.P 32(R1), [V0.S4, V1.S4] // a and b
	VLD1.P 16(R5), [V4.S4]
	VLD1.P 16(R6), [V6.S4]
	FMUL(6, 6, 8)
	FMUL(2, 0, 4)
	FMUL(3, 1, 4)
	FMLS(2, 1, 6)
	FMLA(3, 0, 6)
	VST2.P [V2.S4, V3.S4], 32(R0)
	AGAIN(8)
	RET
