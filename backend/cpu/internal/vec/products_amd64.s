// The functions of products.go with AVX2 and FMA: 4 rows of x at a time, with 2 vectors
// of w. Sums stay in 8 registers until all numbers of a vector are multiplied.

#include "textflag.h"
#include "products_amd64.h"

// TWOROWS puts the sums of two columns of two rows into a register: a and b are of the
// first row, c and d of the second.
#define TWOROWS(a, b, c, d, x) \
	VHADDPS b, a, a; \
	VHADDPS d, c, c; \
	VHADDPS c, a, a; \
	VEXTRACTF128 $1, a, X12; \
	VADDPS X12, x, x

// func dotsAVX2(dst *float32, dstStride int, x *float32, xStride, rows int, w *float32, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsAVX2(SB), NOSPLIT, $0-88
	MOVQ wStride+48(FP), DX
	SHLQ $2, DX
rows:
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), BX
	MOVQ rows+32(FP), R13
	SHLQ $2, BX
	FOUR(SI, BX, R13)
	LEAQ (SI)(BX*4), SI
	MOVQ SI, x+16(FP)
	MOVQ next+64(FP), SI
	MOVQ nextStride+72(FP), DI
	MOVQ step+80(FP), BX
	MOVQ w+40(FP), CX
	MOVQ n+56(FP), R15
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	LEAQ (CX)(DX*1), R12
	XORQ AX, AX
loop:
	VMOVUPS (CX)(AX*4), Y8
	VMOVUPS (R12)(AX*4), Y9
	VMOVUPS (R8)(AX*4), Y10
	VMOVUPS (R9)(AX*4), Y11
	VMOVUPS (R10)(AX*4), Y12
	VMOVUPS (R11)(AX*4), Y13
	PREFETCHT0 (SI)
	PREFETCHT0 (SI)(DI*1)
	VFMADD231PS Y8, Y10, Y0
	VFMADD231PS Y9, Y10, Y1
	VFMADD231PS Y8, Y11, Y2
	VFMADD231PS Y9, Y11, Y3
	VFMADD231PS Y8, Y12, Y4
	VFMADD231PS Y9, Y12, Y5
	VFMADD231PS Y8, Y13, Y6
	VFMADD231PS Y9, Y13, Y7
	ADDQ BX, SI
	ADDQ $8, AX
	CMPQ AX, R15
	JLT loop
	TWOROWS(Y0, Y1, Y2, Y3, X0)
	TWOROWS(Y4, Y5, Y6, Y7, X4)
	MOVQ dst+0(FP), DI
	MOVQ dstStride+8(FP), R12
	SHLQ $2, R12
	FOUR(DI, R12, R13)
	VMOVSD (R8), X1
	VMOVHPS (R9), X1, X1
	VMOVSD (R10), X2
	VMOVHPS (R11), X2, X2
	VADDPS X1, X0, X0
	VADDPS X2, X4, X4
	VMOVLPS X0, (R8)
	VMOVHPS X0, (R9)
	VMOVLPS X4, (R10)
	VMOVHPS X4, (R11)
	LEAQ (DI)(R12*4), DI
	MOVQ DI, dst+0(FP)
	SUBQ $4, rows+32(FP)
	JGT rows
	VZEROUPPER
	RET

// func axpysAVX2(dst *float32, dstStride int, x *float32, xStride, rows int, w *float32, wStride, n int, next uintptr, nextStride int)
TEXT ·axpysAVX2(SB), NOSPLIT, $0-80
	MOVQ dst+0(FP), DI
	MOVQ dstStride+8(FP), R12
	MOVQ rows+32(FP), R13
	MOVQ wStride+48(FP), DX
	SHLQ $2, R12
	SHLQ $2, DX
rows:
	FOUR(DI, R12, R13)
	VMOVUPS (R8), Y0
	VMOVUPS 32(R8), Y1
	VMOVUPS (R9), Y2
	VMOVUPS 32(R9), Y3
	VMOVUPS (R10), Y4
	VMOVUPS 32(R10), Y5
	VMOVUPS (R11), Y6
	VMOVUPS 32(R11), Y7
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), BX
	SHLQ $2, BX
	FOUR(SI, BX, R13)
	LEAQ (SI)(BX*4), SI
	MOVQ SI, x+16(FP)
	MOVQ w+40(FP), CX
	MOVQ n+56(FP), R15
	MOVQ next+64(FP), SI
	MOVQ nextStride+72(FP), BX
	XORQ AX, AX
loop:
	VMOVUPS (CX), Y8
	VMOVUPS 32(CX), Y9
	VBROADCASTSS (R8)(AX*4), Y10
	VBROADCASTSS (R9)(AX*4), Y11
	VBROADCASTSS (R10)(AX*4), Y12
	VBROADCASTSS (R11)(AX*4), Y13
	PREFETCHT0 (SI)
	VFMADD231PS Y8, Y10, Y0
	VFMADD231PS Y9, Y10, Y1
	VFMADD231PS Y8, Y11, Y2
	VFMADD231PS Y9, Y11, Y3
	VFMADD231PS Y8, Y12, Y4
	VFMADD231PS Y9, Y12, Y5
	VFMADD231PS Y8, Y13, Y6
	VFMADD231PS Y9, Y13, Y7
	ADDQ BX, SI
	ADDQ DX, CX
	INCQ AX
	CMPQ AX, R15
	JLT loop
	FOUR(DI, R12, R13)
	VMOVUPS Y0, (R8)
	VMOVUPS Y1, 32(R8)
	VMOVUPS Y2, (R9)
	VMOVUPS Y3, 32(R9)
	VMOVUPS Y4, (R10)
	VMOVUPS Y5, 32(R10)
	VMOVUPS Y6, (R11)
	VMOVUPS Y7, 32(R11)
	LEAQ (DI)(R12*4), DI
	SUBQ $4, R13
	JGT rows
	VZEROUPPER
	RET
