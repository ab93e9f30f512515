// The functions of vec.go and activation.go that need an exponential, 4 elements at a time with NEON.

#include "textflag.h"
#include "neon_arm64.h"

// Constants for V16 to V31: those of exp in vec.go, then those of GELUTanh.
DATA constants<>+0(SB)/4, $0x42b20000  // 89
DATA constants<>+4(SB)/4, $0xc2d00000  // -104
DATA constants<>+8(SB)/4, $0x3fb8aa3b  // 1.44269504
DATA constants<>+12(SB)/4, $0x3f318000 // 0.693359375
DATA constants<>+16(SB)/4, $0xb95e8083 // -2.12194440e-4
DATA constants<>+20(SB)/4, $0x39506967 // 1.9875691500e-4
DATA constants<>+24(SB)/4, $0x3ab743ce // 1.3981999507e-3
DATA constants<>+28(SB)/4, $0x3c088908 // 8.3334519073e-3
DATA constants<>+32(SB)/4, $0x3d2aa9c1 // 4.1665795894e-2
DATA constants<>+36(SB)/4, $0x3e2aaaaa // 1.6666665459e-1
DATA constants<>+40(SB)/4, $0x3f000000 // 5.0000001201e-1
DATA constants<>+44(SB)/4, $0x3f800000 // 1
DATA constants<>+48(SB)/4, $0x0000007f // 127, an integer
DATA constants<>+52(SB)/4, $0xbfcc422a // -2·√(2/π)
DATA constants<>+56(SB)/4, $0xbd922279 // -2·√(2/π)·0.044715
DATA constants<>+60(SB)/4, $0xbe5b33b6 // 3 times that
GLOBL constants<>(SB), RODATA|NOPTR, $64

#define CONSTANTS \
	MOVD $constants<>(SB), R4 \
	VLD4R.P 16(R4), [V16.S4, V17.S4, V18.S4, V19.S4] \
	VLD4R.P 16(R4), [V20.S4, V21.S4, V22.S4, V23.S4] \
	VLD4R.P 16(R4), [V24.S4, V25.S4, V26.S4, V27.S4] \
	VLD4R.P 16(R4), [V28.S4, V29.S4, V30.S4, V31.S4]

// STEP is d = p·x + c.
#define STEP(d, c, p, x) \
	MOVV(d, c) \
	FMLA(d, p, x)

// REDUCED splits the exponential of V0, as reduced in vec.go does: V0 becomes exp(r) − 1 and V1 the integer n. V2 and V3
// are lost.
#define REDUCED \
	FMIN(0, 0, 16) \
	FMAX(0, 0, 17) \
	FMUL(1, 0, 18) \
	FRINTN(1, 1) \
	FMLS(0, 1, 19) \
	FMLS(0, 1, 20) \
	STEP(3, 22, 21, 0) \
	STEP(2, 23, 3, 0) \
	STEP(3, 24, 2, 0) \
	STEP(2, 25, 3, 0) \
	STEP(3, 26, 2, 0) \
	FMUL(2, 0, 0) \
	FMLA(0, 3, 2) \
	FCVTZS(1, 1)

// EXP replaces V0 by its exponential, as exp in vec.go does. V1, V2 and V3 are lost.
#define EXP \
	REDUCED \
	FADD(0, 0, 27) \
	HALVED(2, 1) \
	VSUB V2.S4, V1.S4, V3.S4 \
	VADD V28.S4, V2.S4, V2.S4 \
	VADD V28.S4, V3.S4, V3.S4 \
	VSHL $23, V2.S4, V2.S4 \
	VSHL $23, V3.S4, V3.S4 \
	FMUL(0, 0, 2) \
	FMUL(0, 0, 3)

#define ARGUMENTS \
	MOVD dst+0(FP), R0 \
	MOVD x+8(FP), R1 \
	MOVD n+16(FP), R3 \
	CONSTANTS

#define GRADIENTARGUMENTS \
	MOVD dx+0(FP), R0 \
	MOVD x+8(FP), R1 \
	MOVD dy+16(FP), R2 \
	MOVD n+24(FP), R3 \
	CONSTANTS

// QUOTIENT ends a loop that stores V5 / (1 + V0).
#define QUOTIENT \
	FADD(0, 0, 27) \
	FDIV(0, 5, 0) \
	VST1.P [V0.S4], 16(R0) \
	AGAIN(4)

// SLOPE makes V1 s and V0 s·e·s, with the exponential e in V0 and s = 1/(1 + e). V2 becomes a mask of where that is above
// 0, which it is not where it is no number.
#define SLOPE \
	FADD(1, 0, 27) \
	FDIV(1, 27, 1) \
	FMUL(0, 0, 1) \
	FMUL(0, 0, 1) \
	FCMGT0(2, 0)

// TIMESDY ends a loop that stores V0 times dy.
#define TIMESDY \
	VLD1.P 16(R2), [V1.S4] \
	FMUL(0, 0, 1) \
	VST1.P [V0.S4], 16(R0) \
	AGAIN(4)

// func expFast(dst, x *float32, n int, shift float32) float64
TEXT ·expFast(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R3
	ALL(shift+24(FP), F4, V4)
	CONSTANTS
	ZERO(V8)
	ZERO(V9)
loop:
	VLD1.P 16(R1), [V0.S4]
	FSUB(0, 0, 4)
	EXP
	VST1.P [V0.S4], 16(R0)
	DOUBLE(1, 0)
	DOUBLEHIGH(2, 0)
	FADDD(8, 8, 1)
	FADDD(9, 9, 2)
	AGAIN(4)
	FADDD(8, 8, 9)
	FADDPD(8, 8)
	FMOVD F8, ret+32(FP)
	RET

// func softCapFast(x *float32, n int, limit float32)
TEXT ·softCapFast(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R0
	MOVD n+8(FP), R3
	ALL(limit+16(FP), F4, V4)
	CONSTANTS
	MOVD $0x41900000, R4 // 18
	VDUP R4, V16.S4
	FNEG(17, 16)
	FADD(8, 27, 27)
loop:
	VLD1 (R0), [V0.S4]
	FDIV(0, 0, 4)
	FADD(0, 0, 0)
	REDUCED
	VADD V28.S4, V1.S4, V1.S4
	VSHL $23, V1.S4, V1.S4 // 2ⁿ
	FSUB(2, 1, 27)
	FMLA(2, 0, 1) // e
	FADD(1, 2, 8)
	FDIV(0, 2, 1)
	FMUL(0, 0, 4)
	VST1.P [V0.S4], 16(R0)
	AGAIN(4)
	RET

// func geluTanhFast(dst, x *float32, n int)
TEXT ·geluTanhFast(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	VLD1.P 16(R1), [V5.S4]
	FMUL(1, 5, 5)
	STEP(0, 29, 30, 1)
	FMUL(0, 0, 5)
	EXP
	QUOTIENT
	RET

// func geluTanhBackwardFast(dx, x, dy *float32, n int)
TEXT ·geluTanhBackwardFast(SB), NOSPLIT, $0-32
	GRADIENTARGUMENTS
loop:
	VLD1.P 16(R1), [V5.S4]
	FMUL(6, 5, 5)
	STEP(0, 29, 30, 6)
	FMUL(0, 0, 5)
	EXP
	SLOPE
	STEP(3, 29, 31, 6)
	FMUL(0, 0, 5)
	FMUL(0, 0, 3)
	VAND V2.B16, V0.B16, V0.B16
	FSUB(0, 1, 0)
	TIMESDY
	RET

// func swishFast(dst, x *float32, n int, minus float32)
TEXT ·swishFast(SB), NOSPLIT, $0-28
	ARGUMENTS
	ALL(minus+24(FP), F4, V4)
loop:
	VLD1.P 16(R1), [V5.S4]
	FMUL(0, 5, 4)
	EXP
	QUOTIENT
	RET

// func swishBackwardFast(dx, x, dy *float32, n int, minus float32)
TEXT ·swishBackwardFast(SB), NOSPLIT, $0-36
	GRADIENTARGUMENTS
	ALL(minus+32(FP), F4, V4)
loop:
	VLD1.P 16(R1), [V5.S4]
	FMUL(0, 5, 4)
	EXP
	SLOPE
	FMUL(0, 0, 5)
	FMUL(0, 0, 4)
	VAND V2.B16, V0.B16, V0.B16
	FSUB(0, 1, 0)
	TIMESDY
	RET

// The constants of normal in activation.go: its polynomial, then three.
DATA normal<>+0(SB)/4, $0x3d164f88  // 0.036696939
DATA normal<>+4(SB)/4, $0xbe1ca64f  // -0.152978162
DATA normal<>+8(SB)/4, $0x3e3e2792  // 0.185697817
DATA normal<>+12(SB)/4, $0xbd1b794e // -0.0379574823
DATA normal<>+16(SB)/4, $0x3df7d43f // 0.121010298
DATA normal<>+20(SB)/4, $0x3dd3d059 // 0.103424739
DATA normal<>+24(SB)/4, $0x3dfacf83 // 0.122466113
DATA normal<>+28(SB)/4, $0x3df91e48 // 0.121639785
DATA normal<>+32(SB)/4, $0xbf000000 // -½
DATA normal<>+36(SB)/4, $0x3e9c28f6 // 0.305
DATA normal<>+40(SB)/4, $0x3ecc422a // 1/√(2π)
GLOBL normal<>(SB), RODATA|NOPTR, $44

#define NORMALCONSTANTS \
	MOVD $normal<>(SB), R4 \
	VLD4R.P 16(R4), [V8.S4, V9.S4, V10.S4, V11.S4] \
	VLD4R.P 16(R4), [V12.S4, V13.S4, V14.S4, V15.S4] \
	VLD3R (R4), [V29.S4, V30.S4, V31.S4]

// NORMAL makes V3 the normal distribution function of V5, and V0 the exponential of -V5²/2, as normal in activation.go
// does. V1, V2 and V6 are lost.
#define NORMAL \
	FMUL(0, 5, 29) \
	FMUL(0, 0, 5) \
	EXP \
	FABS(6, 5) \
	STEP(1, 27, 6, 30) \
	FDIV(6, 27, 1) \
	STEP(1, 9, 8, 6) \
	STEP(2, 10, 1, 6) \
	STEP(1, 11, 2, 6) \
	STEP(2, 12, 1, 6) \
	STEP(1, 13, 2, 6) \
	STEP(2, 14, 1, 6) \
	STEP(1, 15, 2, 6) \
	FMUL(1, 1, 6) \
	FMUL(1, 1, 0) \
	FSUB(2, 27, 1) \
	FCMGE0(3, 5) \
	VBSL V1.B16, V2.B16, V3.B16

// func geluErfFast(dst, x *float32, n int)
TEXT ·geluErfFast(SB), NOSPLIT, $0-24
	ARGUMENTS
	NORMALCONSTANTS
loop:
	VLD1.P 16(R1), [V5.S4]
	NORMAL
	FMUL(0, 3, 5)
	VST1.P [V0.S4], 16(R0)
	AGAIN(4)
	RET

// func geluErfBackwardFast(dx, x, dy *float32, n int)
TEXT ·geluErfBackwardFast(SB), NOSPLIT, $0-32
	GRADIENTARGUMENTS
	NORMALCONSTANTS
loop:
	VLD1.P 16(R1), [V5.S4]
	NORMAL
	FCMGT0(2, 0) // false where it is no number
	FMUL(0, 0, 5)
	FMUL(0, 0, 31)
	VAND V2.B16, V0.B16, V0.B16
	FADD(0, 0, 3)
	TIMESDY
	RET
