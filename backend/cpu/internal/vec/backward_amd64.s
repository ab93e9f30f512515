// The gradients of backward.go, 8 elements at a time with AVX2 and FMA. For the order
// of operands see vec_amd64.s.

#include "textflag.h"

// SUM64 puts the sum of the 4 float64 in a in its first lane. x is the lower half of a.
#define SUM64(a, x, tmp) \
	VEXTRACTF128 $1, a, tmp; \
	VADDPD tmp, x, x; \
	VUNPCKHPD x, x, tmp; \
	VADDSD tmp, x, x

// func normalizeSumsFast(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64)
TEXT ·normalizeSumsFast(SB), NOSPLIT, $0-64
	MOVQ x+0(FP), SI
	MOVQ dy+8(FP), DX
	MOVQ gamma+16(FP), R8
	MOVQ n+24(FP), CX
	VBROADCASTSD mean+32(FP), Y15
	VXORPD Y6, Y6, Y6
	VXORPD Y7, Y7, Y7
	VXORPD Y8, Y8, Y8
	VXORPD Y9, Y9, Y9
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
	XORQ AX, AX
normalizesumsloop:
	VMOVUPS (DX)(AX*4), Y0
	VMULPS (R8)(AX*4), Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VCVTPS2PD X0, Y0
	VCVTPS2PD X1, Y1
	VCVTPS2PD (SI)(AX*4), Y2
	VCVTPS2PD 16(SI)(AX*4), Y3
	VSUBPD Y15, Y2, Y2
	VSUBPD Y15, Y3, Y3
	VFMADD231PD Y2, Y2, Y6
	VFMADD231PD Y3, Y3, Y7
	VADDPD Y0, Y8, Y8
	VADDPD Y1, Y9, Y9
	VFMADD231PD Y0, Y2, Y10
	VFMADD231PD Y1, Y3, Y11
	ADDQ $8, AX
	CMPQ AX, CX
	JLT normalizesumsloop
	VADDPD Y7, Y6, Y6
	VADDPD Y9, Y8, Y8
	VADDPD Y11, Y10, Y10
	SUM64(Y6, X6, X0)
	SUM64(Y8, X8, X0)
	SUM64(Y10, X10, X0)
	VMOVSD X6, squares+40(FP)
	VMOVSD X8, grad+48(FP)
	VMOVSD X10, product+56(FP)
	VZEROUPPER
	RET

// func normalizeBackwardFast(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32)
TEXT ·normalizeBackwardFast(SB), NOSPLIT, $0-60
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ gamma+24(FP), R8
	MOVQ n+32(FP), CX
	VBROADCASTSS hi+40(FP), Y11
	VBROADCASTSS lo+44(FP), Y12
	VBROADCASTSS scale+48(FP), Y13
	VBROADCASTSS grad+52(FP), Y14
	VBROADCASTSS product+56(FP), Y15
	XORQ AX, AX
normalizebackwardloop:
	VMOVUPS (SI)(AX*4), Y0
	VSUBPS Y11, Y0, Y0
	VSUBPS Y12, Y0, Y0
	VMULPS Y13, Y0, Y0
	VMOVUPS (DX)(AX*4), Y1
	VMULPS (R8)(AX*4), Y1, Y1
	VSUBPS Y14, Y1, Y1
	VFNMADD231PS Y15, Y0, Y1
	VMULPS Y13, Y1, Y1
	VMOVUPS Y1, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT normalizebackwardloop
	VZEROUPPER
	RET

// func addNormalizedFast(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)
TEXT ·addNormalizedFast(SB), NOSPLIT, $0-48
	MOVQ dgamma+0(FP), DI
	MOVQ dbeta+8(FP), R8
	MOVQ x+16(FP), SI
	MOVQ dy+24(FP), DX
	MOVQ n+32(FP), CX
	VBROADCASTSS mean+40(FP), Y14
	VBROADCASTSS scale+44(FP), Y15
	XORQ AX, AX
addnormalizedloop:
	VMOVUPS (DX)(AX*4), Y0
	VADDPS (R8)(AX*4), Y0, Y1
	VMOVUPS Y1, (R8)(AX*4)
	VMOVUPS (SI)(AX*4), Y1
	VSUBPS Y14, Y1, Y1
	VMULPS Y15, Y1, Y1
	VFMADD213PS (DI)(AX*4), Y0, Y1
	VMOVUPS Y1, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT addnormalizedloop
	VZEROUPPER
	RET

// func softmaxBackwardFast(d, p *float32, n int, mean float32)
TEXT ·softmaxBackwardFast(SB), NOSPLIT, $0-28
	MOVQ d+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS mean+24(FP), Y15
	XORQ AX, AX
softmaxbackwardloop:
	VMOVUPS (DI)(AX*4), Y0
	VSUBPS Y15, Y0, Y0
	VMULPS (SI)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT softmaxbackwardloop
	VZEROUPPER
	RET

// func adamWFast(w, m, v, grad *float32, n int, o *AdamW)
TEXT ·adamWFast(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), DI
	MOVQ m+8(FP), R8
	MOVQ v+16(FP), R9
	MOVQ grad+24(FP), SI
	MOVQ n+32(FP), CX
	MOVQ o+40(FP), DX
	VBROADCASTSS 0(DX), Y6   // scale
	VBROADCASTSS 4(DX), Y7   // beta1
	VBROADCASTSS 8(DX), Y8   // rest1
	VBROADCASTSS 12(DX), Y9  // beta2
	VBROADCASTSS 16(DX), Y10 // rest2
	VBROADCASTSS 20(DX), Y11 // correct1
	VBROADCASTSS 24(DX), Y12 // correct2
	VBROADCASTSS 28(DX), Y13 // epsilon
	VBROADCASTSS 32(DX), Y14 // decay
	VBROADCASTSS 36(DX), Y15 // rate
	XORQ AX, AX
adamwloop:
	VMULPS (SI)(AX*4), Y6, Y0 // g
	VMULPS (R8)(AX*4), Y7, Y1
	VFMADD231PS Y0, Y8, Y1    // m
	VMOVUPS Y1, (R8)(AX*4)
	VMULPS Y0, Y10, Y2
	VMULPS Y0, Y2, Y2
	VFMADD231PS (R9)(AX*4), Y9, Y2 // v
	VMOVUPS Y2, (R9)(AX*4)
	VMULPS Y12, Y2, Y2
	VSQRTPS Y2, Y2
	VADDPS Y13, Y2, Y2
	VMULPS Y11, Y1, Y1
	VDIVPS Y2, Y1, Y1
	VMOVUPS (DI)(AX*4), Y3
	VFMADD231PS Y3, Y14, Y1
	VFNMADD231PS Y1, Y15, Y3
	VMOVUPS Y3, (DI)(AX*4)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT adamwloop
	VZEROUPPER
	RET
