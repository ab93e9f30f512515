// The functions of products.go with AVX-512.

#include "textflag.h"
#include "products_amd64.h"

// func dotsAVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsAVX512(SB), NOSPLIT, $0-88
	MOVQ n+56(FP), CX
	ANDQ $15, CX
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1 // of what is left at the end
	DOTS
rows:
	NEXTROWS
	SUBQ $16, CX
	JLT rest
loop:
	VMOVUPS (SI), Z16
	VMOVUPS (SI)(DX*1), Z17
	VMOVUPS (SI)(DX*2), Z18
	VMOVUPS (SI)(BX*1), Z19
	PRODUCTS
	AHEAD
	ADDQ $64, SI
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
	SUMS
	JGT rows
	VZEROUPPER
	RET

// CONVERTED is a function for numbers of 16 bits.
#define CONVERTED(load) \
	DOTS; \
rows: \
	NEXTROWS; \
loop: \
	load((SI), Z16); \
	load((SI)(DX*1), Z17); \
	load((SI)(DX*2), Z18); \
	load((SI)(BX*1), Z19); \
	PRODUCTS; \
	AHEAD; \
	ADDQ $32, SI; \
	SUBQ $16, CX; \
	JNZ loop; \
	SUMS; \
	JGT rows; \
	VZEROUPPER; \
	RET

#define LOADF16(p, z) \
	VCVTPH2PS p, z

#define LOADBF16(p, z) \
	VPMOVZXWD p, z; \
	VPSLLD $16, z, z

// func dotsF16AVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsF16AVX512(SB), NOSPLIT, $0-88
	CONVERTED(LOADF16)

// func dotsBF16AVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsBF16AVX512(SB), NOSPLIT, $0-88
	CONVERTED(LOADBF16)

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
