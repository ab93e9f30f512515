// Sums, scalings and exponentials of vec.go, 8 elements at a time with AVX2 and FMA.
//
// In Go's assembler the destination is the last operand. VFMADD231PS a, b, c computes
// c += a·b. VMAXPS and VMINPS return the first operand, in the order written here, if
// one of the two is NaN.

#include "textflag.h"
#include "exp_amd64.h"

CONST8(minusinf, 0xff800000) // -∞
CONST8(most, 0x41900000)     // 18
CONST8(least, 0xc1900000)    // -18

// SUM64 puts the sum of the float64 in Y10 and Y11 in X10.
#define SUM64 \
	VADDPD Y11, Y10, Y10; \
	VEXTRACTF128 $1, Y10, X11; \
	VADDPD X11, X10, X10; \
	VUNPCKHPD X10, X10, X11; \
	VADDSD X11, X10, X10

// func expFast(dst, x *float32, n int, shift float32) float64
TEXT ·expFast(SB), NOSPLIT, $0-40
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

// func softCapFast(x *float32, n int, limit float32)
TEXT ·softCapFast(SB), NOSPLIT, $0-20
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

// func addFast(dst, a, b *float32, n int)
TEXT ·addFast(SB), NOSPLIT, $0-32
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

// func scaleFast(x *float32, n int, s float32)
TEXT ·scaleFast(SB), NOSPLIT, $0-20
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

// func scaleByFast(dst, x, gamma *float32, n int, s float32)
TEXT ·scaleByFast(SB), NOSPLIT, $0-36
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

// func maxFast(x *float32, n int) float32
TEXT ·maxFast(SB), NOSPLIT, $0-20
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

// func sumFast(x *float32, n int) float64
TEXT ·sumFast(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VXORPD Y8, Y8, Y8
	VXORPD Y9, Y9, Y9
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
	SUBQ $16, CX
	JLT sumrest
sumloop:
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VCVTPS2PD 32(SI), Y2
	VCVTPS2PD 48(SI), Y3
	VADDPD Y0, Y8, Y8
	VADDPD Y1, Y9, Y9
	VADDPD Y2, Y10, Y10
	VADDPD Y3, Y11, Y11
	ADDQ $64, SI
	SUBQ $16, CX
	JGE sumloop
sumrest:
	ADDQ $16, CX
	JZ sumdone
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VADDPD Y0, Y8, Y8
	VADDPD Y1, Y9, Y9
sumdone:
	VADDPD Y8, Y10, Y10
	VADDPD Y9, Y11, Y11
	SUM64
	VMOVSD X10, ret+16(FP)
	VZEROUPPER
	RET

// func sumSquaresFast(x *float32, n int, mean float64) float64
TEXT ·sumSquaresFast(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSD mean+16(FP), Y12
	VXORPD Y8, Y8, Y8
	VXORPD Y9, Y9, Y9
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
	SUBQ $16, CX
	JLT squaresrest
squaresloop:
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VCVTPS2PD 32(SI), Y2
	VCVTPS2PD 48(SI), Y3
	VSUBPD Y12, Y0, Y0
	VSUBPD Y12, Y1, Y1
	VSUBPD Y12, Y2, Y2
	VSUBPD Y12, Y3, Y3
	VFMADD231PD Y0, Y0, Y8
	VFMADD231PD Y1, Y1, Y9
	VFMADD231PD Y2, Y2, Y10
	VFMADD231PD Y3, Y3, Y11
	ADDQ $64, SI
	SUBQ $16, CX
	JGE squaresloop
squaresrest:
	ADDQ $16, CX
	JZ squaresdone
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VSUBPD Y12, Y0, Y0
	VSUBPD Y12, Y1, Y1
	VFMADD231PD Y0, Y0, Y8
	VFMADD231PD Y1, Y1, Y9
squaresdone:
	VADDPD Y8, Y10, Y10
	VADDPD Y9, Y11, Y11
	SUM64
	VMOVSD X10, ret+24(FP)
	VZEROUPPER
	RET

// func normalizeFast(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)
TEXT ·normalizeFast(SB), NOSPLIT, $0-52
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

// func dotFast(w, x *float32, n int) float32
TEXT ·dotFast(SB), NOSPLIT, $0-28
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
