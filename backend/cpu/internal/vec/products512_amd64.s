// The functions of products.go with AVX-512: 4 rows of x at a time. Sums stay in 16
// registers until all numbers of a vector are multiplied.

#include "textflag.h"

// FOUR puts the addresses of the next 4 rows in R8 … R11. Where fewer are left, the last
// one stands for those that are missing: it is computed again, to the same result.
#define FOUR(base, stride, rows) \
	MOVQ base, R8; \
	LEAQ (R8)(stride*1), R9; \
	CMPQ rows, $2; \
	CMOVQLT R8, R9; \
	LEAQ (R9)(stride*1), R10; \
	CMPQ rows, $3; \
	CMOVQLT R9, R10; \
	LEAQ (R10)(stride*1), R11; \
	CMPQ rows, $4; \
	CMOVQLT R10, R11

#define ZERO(a, b, c, d) \
	VPXORD a, a, a; \
	VPXORD b, b, b; \
	VPXORD c, c, c; \
	VPXORD d, d, d

// ROW adds the products of a register with 4 others, of one row with 4 columns.
#define ROW(x, a, b, c, d) \
	VFMADD231PS Z16, x, a; \
	VFMADD231PS Z17, x, b; \
	VFMADD231PS Z18, x, c; \
	VFMADD231PS Z19, x, d

// QUARTERS puts into each 128 bits of a the sums of these bits of a, b, c and d.
#define QUARTERS(a, b, c, d) \
	VUNPCKLPS b, a, Z16; \
	VUNPCKHPS b, a, Z17; \
	VUNPCKLPS d, c, Z18; \
	VUNPCKHPS d, c, Z19; \
	VADDPS Z17, Z16, Z16; \
	VADDPS Z19, Z18, Z18; \
	VUNPCKLPD Z18, Z16, Z17; \
	VUNPCKHPD Z18, Z16, Z19; \
	VADDPS Z19, Z17, a

// AHEAD asks for a part of 4 vectors that are read next.
#define AHEAD(p, stride, stride3) \
	PREFETCHT0 (p); \
	PREFETCHT0 (p)(stride*1); \
	PREFETCHT0 (p)(stride*2); \
	PREFETCHT0 (p)(stride3*1)

// func dotsAVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *float32, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsAVX512(SB), NOSPLIT, $0-88
	MOVQ n+56(FP), CX
	ANDQ $15, CX
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1 // of what is left at the end
	MOVQ wStride+48(FP), DX
	SHLQ $2, DX
	LEAQ (DX)(DX*2), BX
rows:
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), AX
	MOVQ rows+32(FP), CX
	SHLQ $2, AX
	FOUR(SI, AX, CX)
	LEAQ (SI)(AX*4), SI
	MOVQ SI, x+16(FP)
	MOVQ w+40(FP), SI
	MOVQ n+56(FP), CX
	MOVQ next+64(FP), DI
	MOVQ nextStride+72(FP), R12
	LEAQ (R12)(R12*2), R13
	MOVQ step+80(FP), R15
	ZERO(Z0, Z1, Z2, Z3)
	ZERO(Z4, Z5, Z6, Z7)
	ZERO(Z8, Z9, Z10, Z11)
	ZERO(Z12, Z13, Z14, Z15)
	XORQ AX, AX
	SUBQ $16, CX
	JLT rest
loop:
	VMOVUPS (SI), Z16
	VMOVUPS (SI)(DX*1), Z17
	VMOVUPS (SI)(DX*2), Z18
	VMOVUPS (SI)(BX*1), Z19
	VMOVUPS (R8)(AX*1), Z20
	VMOVUPS (R9)(AX*1), Z21
	VMOVUPS (R10)(AX*1), Z22
	VMOVUPS (R11)(AX*1), Z23
	AHEAD(DI, R12, R13)
	ROW(Z20, Z0, Z1, Z2, Z3)
	ROW(Z21, Z4, Z5, Z6, Z7)
	ROW(Z22, Z8, Z9, Z10, Z11)
	ROW(Z23, Z12, Z13, Z14, Z15)
	ADDQ R15, DI
	ADDQ $64, SI
	ADDQ $64, AX
	SUBQ $16, CX
	JGE loop
rest:
	ADDQ $16, CX
	JZ sums
	VMOVUPS.Z (SI), K1, Z16
	VMOVUPS.Z (SI)(DX*1), K1, Z17
	VMOVUPS.Z (SI)(DX*2), K1, Z18
	VMOVUPS.Z (SI)(BX*1), K1, Z19
	VMOVUPS.Z (R8)(AX*1), K1, Z20
	VMOVUPS.Z (R9)(AX*1), K1, Z21
	VMOVUPS.Z (R10)(AX*1), K1, Z22
	VMOVUPS.Z (R11)(AX*1), K1, Z23
	ROW(Z20, Z0, Z1, Z2, Z3)
	ROW(Z21, Z4, Z5, Z6, Z7)
	ROW(Z22, Z8, Z9, Z10, Z11)
	ROW(Z23, Z12, Z13, Z14, Z15)
sums:
	QUARTERS(Z0, Z1, Z2, Z3)
	QUARTERS(Z4, Z5, Z6, Z7)
	QUARTERS(Z8, Z9, Z10, Z11)
	QUARTERS(Z12, Z13, Z14, Z15)
	VSHUFF32X4 $0x44, Z4, Z0, Z1
	VSHUFF32X4 $0xee, Z4, Z0, Z2
	VSHUFF32X4 $0x44, Z12, Z8, Z3
	VSHUFF32X4 $0xee, Z12, Z8, Z5
	VADDPS Z2, Z1, Z1
	VADDPS Z5, Z3, Z3
	VSHUFF32X4 $0x88, Z3, Z1, Z0
	VSHUFF32X4 $0xdd, Z3, Z1, Z2
	VADDPS Z2, Z0, Z0 // 4 columns of 4 rows
	MOVQ dst+0(FP), SI
	MOVQ dstStride+8(FP), AX
	MOVQ rows+32(FP), CX
	SHLQ $2, AX
	FOUR(SI, AX, CX)
	VEXTRACTF128 $1, Y0, X1
	VEXTRACTF32X4 $2, Z0, X2
	VEXTRACTF32X4 $3, Z0, X3
	VADDPS (R8), X0, X0
	VADDPS (R9), X1, X1
	VADDPS (R10), X2, X2
	VADDPS (R11), X3, X3
	VMOVUPS X0, (R8)
	VMOVUPS X1, (R9)
	VMOVUPS X2, (R10)
	VMOVUPS X3, (R11)
	LEAQ (SI)(AX*4), SI
	MOVQ SI, dst+0(FP)
	SUBQ $4, rows+32(FP)
	JGT rows
	VZEROUPPER
	RET

// MASK sets the bits of a mask for the columns that are left, at most 16, and takes
// these off.
#define MASK(k) \
	MOVQ $16, CX; \
	CMPQ DX, CX; \
	CMOVQLT DX, CX; \
	SUBQ CX, DX; \
	MOVL $1, AX; \
	SHLL CX, AX; \
	DECL AX; \
	KMOVW AX, k

#define LOAD(p, a, b, c, d) \
	VMOVUPS.Z (p), K1, a; \
	VMOVUPS.Z 64(p), K2, b; \
	VMOVUPS.Z 128(p), K3, c; \
	VMOVUPS.Z 192(p), K4, d

#define STORE(p, a, b, c, d) \
	VMOVUPS a, K1, (p); \
	VMOVUPS b, K2, 64(p); \
	VMOVUPS c, K3, 128(p); \
	VMOVUPS d, K4, 192(p)

// func axpysAVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *float32, wStride, n, columns int, next uintptr, nextStride int)
TEXT ·axpysAVX512(SB), NOSPLIT, $0-88
	MOVQ columns+64(FP), DX
	MASK(K1)
	MASK(K2)
	MASK(K3)
	MASK(K4)
	MOVQ dst+0(FP), DI
	MOVQ dstStride+8(FP), R12
	SHLQ $2, R12
	MOVQ rows+32(FP), R13
	MOVQ wStride+48(FP), DX
	SHLQ $2, DX
rows:
	FOUR(DI, R12, R13)
	LOAD(R8, Z0, Z1, Z2, Z3)
	LOAD(R9, Z4, Z5, Z6, Z7)
	LOAD(R10, Z8, Z9, Z10, Z11)
	LOAD(R11, Z12, Z13, Z14, Z15)
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), BX
	SHLQ $2, BX
	FOUR(SI, BX, R13)
	LEAQ (SI)(BX*4), SI
	MOVQ SI, x+16(FP)
	MOVQ w+40(FP), CX
	MOVQ n+56(FP), R15
	MOVQ next+72(FP), SI
	MOVQ nextStride+80(FP), BX
	XORQ AX, AX
loop:
	LOAD(CX, Z16, Z17, Z18, Z19)
	VBROADCASTSS (R8)(AX*4), Z20
	VBROADCASTSS (R9)(AX*4), Z21
	VBROADCASTSS (R10)(AX*4), Z22
	VBROADCASTSS (R11)(AX*4), Z23
	PREFETCHT0 (SI)
	PREFETCHT0 64(SI)
	PREFETCHT0 128(SI)
	PREFETCHT0 192(SI)
	ROW(Z20, Z0, Z1, Z2, Z3)
	ROW(Z21, Z4, Z5, Z6, Z7)
	ROW(Z22, Z8, Z9, Z10, Z11)
	ROW(Z23, Z12, Z13, Z14, Z15)
	ADDQ BX, SI
	ADDQ DX, CX
	INCQ AX
	CMPQ AX, R15
	JLT loop
	FOUR(DI, R12, R13)
	STORE(R8, Z0, Z1, Z2, Z3)
	STORE(R9, Z4, Z5, Z6, Z7)
	STORE(R10, Z8, Z9, Z10, Z11)
	STORE(R11, Z12, Z13, Z14, Z15)
	LEAQ (DI)(R12*4), DI
	SUBQ $4, R13
	JGT rows
	VZEROUPPER
	RET
