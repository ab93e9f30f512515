// Sums, scalings and exponentials of vec.go, 8 elements at a time with AVX2 and
// FMA. In Go's assembler the destination stands last, and of VFMADD231PS a, b, c
// the meaning is c += a·b. VMAXPS and VMINPS give their first operand, as
// written here, where either is NaN.

#include "textflag.h"

#define CONST8(name, bits) \
	DATA name<>+0(SB)/4, $bits; \
	DATA name<>+4(SB)/4, $bits; \
	DATA name<>+8(SB)/4, $bits; \
	DATA name<>+12(SB)/4, $bits; \
	DATA name<>+16(SB)/4, $bits; \
	DATA name<>+20(SB)/4, $bits; \
	DATA name<>+24(SB)/4, $bits; \
	DATA name<>+28(SB)/4, $bits; \
	GLOBL name<>(SB), RODATA|NOPTR, $32

CONST8(top, 0x42b20000)      // 89
CONST8(bottom, 0xc2d00000)   // -104
CONST8(log2e, 0x3fb8aa3b)    // 1.44269504
CONST8(ln2hi, 0x3f318000)    // 0.693359375
CONST8(ln2lo, 0xb95e8083)    // -2.12194440e-4
CONST8(poly5, 0x39506967)    // 1.9875691500e-4
CONST8(poly4, 0x3ab743ce)    // 1.3981999507e-3
CONST8(poly3, 0x3c088908)    // 8.3334519073e-3
CONST8(poly2, 0x3d2aa9c1)    // 4.1665795894e-2
CONST8(poly1, 0x3e2aaaaa)    // 1.6666665459e-1
CONST8(poly0, 0x3f000000)    // 5.0000001201e-1
CONST8(one, 0x3f800000)      // 1
CONST8(most, 0x41900000)     // 18
CONST8(least, 0xc1900000)    // -18
CONST8(bias, 0x0000007f)     // 127, an integer
CONST8(gelu1, 0xbfcc422a)    // -2·√(2/π)
CONST8(gelu3, 0xbd922279)    // -2·√(2/π)·0.044715
CONST8(gelu9, 0xbe5b33b6)    // 3 times that
CONST8(minusinf, 0xff800000) // -∞
CONST8(minushalf, 0xbf000000)     // -½
CONST8(density, 0x3ecc422a)  // 1/√(2π)
CONST8(phip, 0x3e9c28f6)     // 0.305
CONST8(phi7, 0x3d164f88)     // 0.036696939
CONST8(phi6, 0xbe1ca64f)     // -0.152978162
CONST8(phi5, 0x3e3e2792)     // 0.185697817
CONST8(phi4, 0xbd1b794e)     // -0.0379574823
CONST8(phi3, 0x3df7d43f)     // 0.121010298
CONST8(phi2, 0x3dd3d059)     // 0.103424739
CONST8(phi1, 0x3dfacf83)     // 0.122466113
CONST8(phi0, 0x3df91e48)     // 0.121639785
CONST8(abs, 0x7fffffff)      // all bits but the sign

// REDUCED splits the exponential of Y0, as reduced in vec.go does: Y2 becomes
// exp(r) − 1 and Y1 n. Y0 and Y3 are lost. Y13 and Y14 hold the bounds of Y0, Y15 log2e.
#define REDUCED \
	VMINPS Y0, Y13, Y0; \
	VMAXPS Y0, Y14, Y0; \
	VMULPS Y15, Y0, Y1; \
	VROUNDPS $0, Y1, Y1; \
	VFNMADD231PS ln2hi<>(SB), Y1, Y0; \
	VFNMADD231PS ln2lo<>(SB), Y1, Y0; \
	VMOVUPS poly5<>(SB), Y2; \
	VFMADD213PS poly4<>(SB), Y0, Y2; \
	VFMADD213PS poly3<>(SB), Y0, Y2; \
	VFMADD213PS poly2<>(SB), Y0, Y2; \
	VFMADD213PS poly1<>(SB), Y0, Y2; \
	VFMADD213PS poly0<>(SB), Y0, Y2; \
	VMULPS Y0, Y0, Y3; \
	VFMADD213PS Y0, Y3, Y2

// EXP replaces Y0 by its exponential, as exp in vec.go does; Y1 to Y4 are lost.
// Y13, Y14 and Y15 hold top, bottom and log2e.
#define EXP \
	REDUCED; \
	VADDPS one<>(SB), Y2, Y2; \
	VCVTPS2DQ Y1, Y1; \
	VPSRAD $1, Y1, Y3; \
	VPSUBD Y3, Y1, Y4; \
	VPADDD bias<>(SB), Y3, Y3; \
	VPADDD bias<>(SB), Y4, Y4; \
	VPSLLD $23, Y3, Y3; \
	VPSLLD $23, Y4, Y4; \
	VMULPS Y3, Y2, Y0; \
	VMULPS Y4, Y0, Y0

#define EXPCONSTANTS \
	VMOVUPS top<>(SB), Y13; \
	VMOVUPS bottom<>(SB), Y14; \
	VMOVUPS log2e<>(SB), Y15

// SUM64 adds the 4 float64 of Y10 and Y11 up into X10.
#define SUM64 \
	VADDPD Y11, Y10, Y10; \
	VEXTRACTF128 $1, Y10, X11; \
	VADDPD X11, X10, X10; \
	VUNPCKHPD X10, X10, X11; \
	VADDSD X11, X10, X10

// func expAVX2(dst, x *float32, n int, shift float32) float64
TEXT ·expAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS shift+24(FP), Y12
	EXPCONSTANTS
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
exploop:
	VMOVUPS (SI), Y0
	VSUBPS Y12, Y0, Y0
	EXP
	VMOVUPS Y0, (DI)
	VEXTRACTF128 $1, Y0, X1
	VCVTPS2PD X0, Y0
	VCVTPS2PD X1, Y1
	VADDPD Y0, Y10, Y10
	VADDPD Y1, Y11, Y11
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ exploop
	SUM64
	VMOVSD X10, ret+32(FP)
	VZEROUPPER
	RET

// func softCapAVX2(x *float32, n int, limit float32)
TEXT ·softCapAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS limit+16(FP), Y12
	VMOVUPS most<>(SB), Y13
	VMOVUPS least<>(SB), Y14
	VMOVUPS log2e<>(SB), Y15
	VMOVUPS one<>(SB), Y7
	VADDPS Y7, Y7, Y8
softcaploop:
	VMOVUPS (DI), Y0
	VDIVPS Y12, Y0, Y0
	VADDPS Y0, Y0, Y0
	REDUCED
	VCVTPS2DQ Y1, Y1
	VPADDD bias<>(SB), Y1, Y1
	VPSLLD $23, Y1, Y1 // 2ⁿ
	VSUBPS Y7, Y1, Y3
	VFMADD213PS Y3, Y1, Y2 // e
	VADDPS Y8, Y2, Y1
	VDIVPS Y1, Y2, Y0
	VMULPS Y12, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ softcaploop
	VZEROUPPER
	RET

// func geluTanhAVX2(dst, x *float32, n int)
TEXT ·geluTanhAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONSTANTS
	VMOVUPS gelu1<>(SB), Y9
	VMOVUPS gelu3<>(SB), Y8
	VMOVUPS one<>(SB), Y7
gelutanhloop:
	VMOVUPS (SI), Y5
	VMULPS Y5, Y5, Y0
	VFMADD213PS Y9, Y8, Y0
	VMULPS Y5, Y0, Y0
	EXP
	VADDPS Y7, Y0, Y0
	VDIVPS Y0, Y5, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ gelutanhloop
	VZEROUPPER
	RET

// func geluTanhBackwardAVX2(dx, x, dy *float32, n int)
TEXT ·geluTanhBackwardAVX2(SB), NOSPLIT, $0-32
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	EXPCONSTANTS
	VMOVUPS gelu1<>(SB), Y9
	VMOVUPS gelu3<>(SB), Y8
	VMOVUPS one<>(SB), Y7
	VXORPS Y10, Y10, Y10
gelutanhbackwardloop:
	VMOVUPS (SI), Y5
	VMULPS Y5, Y5, Y6
	VMOVAPS Y6, Y0
	VFMADD213PS Y9, Y8, Y0
	VMULPS Y5, Y0, Y0
	EXP
	VADDPS Y7, Y0, Y1
	VDIVPS Y1, Y7, Y1 // s
	VMULPS Y1, Y0, Y0
	VMULPS Y1, Y0, Y3 // t
	VCMPPS $30, Y10, Y3, Y2 // t > 0, false where it is no number
	VFMADD132PS gelu9<>(SB), Y9, Y6
	VMULPS Y5, Y3, Y3
	VMULPS Y6, Y3, Y3
	VANDPS Y2, Y3, Y3
	VSUBPS Y3, Y1, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ gelutanhbackwardloop
	VZEROUPPER
	RET

// NORMAL makes Y2 the normal distribution function of Y5, and Y0 the
// exponential of -Y5²/2, as normal in activation.go does. Y1, Y3, Y4 and Y6 are lost;
// Y7 holds one.
#define NORMAL \
	VMULPS minushalf<>(SB), Y5, Y0; \
	VMULPS Y5, Y0, Y0; \
	EXP; \
	VANDPS abs<>(SB), Y5, Y6; \
	VMULPS phip<>(SB), Y6, Y6; \
	VADDPS Y7, Y6, Y6; \
	VDIVPS Y6, Y7, Y6; \
	VMOVUPS phi7<>(SB), Y1; \
	VFMADD213PS phi6<>(SB), Y6, Y1; \
	VFMADD213PS phi5<>(SB), Y6, Y1; \
	VFMADD213PS phi4<>(SB), Y6, Y1; \
	VFMADD213PS phi3<>(SB), Y6, Y1; \
	VFMADD213PS phi2<>(SB), Y6, Y1; \
	VFMADD213PS phi1<>(SB), Y6, Y1; \
	VFMADD213PS phi0<>(SB), Y6, Y1; \
	VMULPS Y6, Y1, Y1; \
	VMULPS Y0, Y1, Y1; \
	VSUBPS Y1, Y7, Y2; \
	VBLENDVPS Y5, Y1, Y2, Y2

// func geluErfAVX2(dst, x *float32, n int)
TEXT ·geluErfAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONSTANTS
	VMOVUPS one<>(SB), Y7
geluerfloop:
	VMOVUPS (SI), Y5
	NORMAL
	VMULPS Y5, Y2, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ geluerfloop
	VZEROUPPER
	RET

// func geluErfBackwardAVX2(dx, x, dy *float32, n int)
TEXT ·geluErfBackwardAVX2(SB), NOSPLIT, $0-32
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	EXPCONSTANTS
	VMOVUPS one<>(SB), Y7
	VXORPS Y10, Y10, Y10
geluerfbackwardloop:
	VMOVUPS (SI), Y5
	NORMAL
	VCMPPS $30, Y10, Y0, Y4 // e > 0, false where it is no number
	VMULPS Y5, Y0, Y3
	VMULPS density<>(SB), Y3, Y3
	VANDPS Y4, Y3, Y3
	VADDPS Y3, Y2, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ geluerfbackwardloop
	VZEROUPPER
	RET

// func swishAVX2(dst, x *float32, n int, minus float32)
TEXT ·swishAVX2(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS minus+24(FP), Y9
	EXPCONSTANTS
	VMOVUPS one<>(SB), Y7
swishloop:
	VMOVUPS (SI), Y5
	VMULPS Y5, Y9, Y0
	EXP
	VADDPS Y7, Y0, Y0
	VDIVPS Y0, Y5, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ swishloop
	VZEROUPPER
	RET

// func swishBackwardAVX2(dx, x, dy *float32, n int, minus float32)
TEXT ·swishBackwardAVX2(SB), NOSPLIT, $0-36
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS minus+32(FP), Y9
	EXPCONSTANTS
	VMOVUPS one<>(SB), Y7
	VXORPS Y10, Y10, Y10
swishbackwardloop:
	VMOVUPS (SI), Y5
	VMULPS Y5, Y9, Y0
	EXP
	VADDPS Y7, Y0, Y1
	VDIVPS Y1, Y7, Y1 // s
	VMULPS Y1, Y0, Y0
	VMULPS Y1, Y0, Y3 // t
	VCMPPS $30, Y10, Y3, Y2 // t > 0, false where it is no number
	VMULPS Y5, Y3, Y3
	VMULPS Y9, Y3, Y3
	VANDPS Y2, Y3, Y3
	VSUBPS Y3, Y1, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ swishbackwardloop
	VZEROUPPER
	RET

// func reluAVX2(dst, x *float32, n int)
TEXT ·reluAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VXORPS Y10, Y10, Y10
reluloop:
	VMOVUPS (SI), Y5
	VMAXPS Y5, Y10, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ reluloop
	VZEROUPPER
	RET

// func reluBackwardAVX2(dx, x, dy *float32, n int)
TEXT ·reluBackwardAVX2(SB), NOSPLIT, $0-32
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	VMOVUPS one<>(SB), Y7
	VXORPS Y10, Y10, Y10
relubackwardloop:
	VMOVUPS (SI), Y5
	VCMPPS $30, Y10, Y5, Y0 // x > 0
	VANDPS Y7, Y0, Y0
	VCMPPS $3, Y5, Y5, Y1 // x is no number
	VANDPS Y5, Y1, Y1
	VORPS Y1, Y0, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ relubackwardloop
	VZEROUPPER
	RET

// func addAVX2(dst, a, b *float32, n int)
TEXT ·addAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
addloop:
	VMOVUPS (SI), Y0
	VADDPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ addloop
	VZEROUPPER
	RET

// func scaleAVX2(x *float32, n int, s float32)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS s+16(FP), Y1
scaleloop:
	VMULPS (DI), Y1, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ scaleloop
	VZEROUPPER
	RET

// func scaleByAVX2(dst, x, gamma *float32, n int, s float32)
TEXT ·scaleByAVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gamma+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS s+32(FP), Y1
	XORQ AX, AX
scalebyloop:
	VMULPS (SI)(AX*4), Y1, Y0
	VMULPS (DX)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT scalebyloop
	VZEROUPPER
	RET

// func maxAVX2(x *float32, n int) float32
TEXT ·maxAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VMOVUPS minusinf<>(SB), Y0
maxloop:
	VMOVUPS (SI), Y1
	VMAXPS Y0, Y1, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ maxloop
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0x4e, X0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0xb1, X0, X1
	VMAXPS X1, X0, X0
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// func sumAVX2(x *float32, n int) float64
TEXT ·sumAVX2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
sumloop:
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VADDPD Y0, Y10, Y10
	VADDPD Y1, Y11, Y11
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ sumloop
	SUM64
	VMOVSD X10, ret+16(FP)
	VZEROUPPER
	RET

// func sumSquaresAVX2(x *float32, n int, mean float64) float64
TEXT ·sumSquaresAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSD mean+16(FP), Y12
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
squaresloop:
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VSUBPD Y12, Y0, Y0
	VSUBPD Y12, Y1, Y1
	VFMADD231PD Y0, Y0, Y10
	VFMADD231PD Y1, Y1, Y11
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ squaresloop
	SUM64
	VMOVSD X10, ret+24(FP)
	VZEROUPPER
	RET

// func normalizeAVX2(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)
TEXT ·normalizeAVX2(SB), NOSPLIT, $0-52
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gamma+16(FP), R8
	MOVQ beta+24(FP), R9
	MOVQ n+32(FP), CX
	VBROADCASTSS hi+40(FP), Y1
	VBROADCASTSS lo+44(FP), Y2
	VBROADCASTSS scale+48(FP), Y3
	XORQ AX, AX
normalizeloop:
	VMOVUPS (SI)(AX*4), Y0
	VSUBPS Y1, Y0, Y0
	VSUBPS Y2, Y0, Y0
	VMULPS Y3, Y0, Y0
	VMOVUPS (R8)(AX*4), Y4
	VFMADD213PS (R9)(AX*4), Y4, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT normalizeloop
	VZEROUPPER
	RET

// func dotAVX2(w, x *float32, n int) float32
TEXT ·dotAVX2(SB), NOSPLIT, $0-28
	MOVQ w+0(FP), SI
	MOVQ x+8(FP), DX
	MOVQ n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ $32, CX
	JLT dotrest
dotloop:
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS 64(SI), Y6
	VMOVUPS 96(SI), Y7
	VFMADD231PS (DX), Y4, Y0
	VFMADD231PS 32(DX), Y5, Y1
	VFMADD231PS 64(DX), Y6, Y2
	VFMADD231PS 96(DX), Y7, Y3
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE dotloop
dotrest:
	ADDQ $32, CX
	JZ dotdone
dottail:
	VMOVUPS (SI), Y4
	VFMADD231PS (DX), Y4, Y0
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ dottail
dotdone:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0x4e, X0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0xb1, X0, X1
	VADDPS X1, X0, X0
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET
