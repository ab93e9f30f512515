// Blocks of q8_0 and q4_0 with AVX-512, two registers for a block. A
// register holds the 16 values of a 4-bit number. A permutation, which uses the low 4
// bits of each index, looks them up.

#include "textflag.h"
#include "products_amd64.h"

DATA values<>+0(SB)/4, $-8.0
DATA values<>+4(SB)/4, $-7.0
DATA values<>+8(SB)/4, $-6.0
DATA values<>+12(SB)/4, $-5.0
DATA values<>+16(SB)/4, $-4.0
DATA values<>+20(SB)/4, $-3.0
DATA values<>+24(SB)/4, $-2.0
DATA values<>+28(SB)/4, $-1.0
DATA values<>+32(SB)/4, $0.0
DATA values<>+36(SB)/4, $1.0
DATA values<>+40(SB)/4, $2.0
DATA values<>+44(SB)/4, $3.0
DATA values<>+48(SB)/4, $4.0
DATA values<>+52(SB)/4, $5.0
DATA values<>+56(SB)/4, $6.0
DATA values<>+60(SB)/4, $7.0
GLOBL values<>(SB), RODATA|NOPTR, $64

// SCALE puts the scale of the block at an offset in all lanes of a register.
#define SCALE(offset, x, z) \
	MOVWLZX offset(SI), AX; \
	VMOVD AX, x; \
	VCVTPH2PS x, x; \
	VBROADCASTSS x, z

// TOTAL puts the sum of all lanes of Z0 and Z1 in X0.
#define TOTAL \
	VADDPS Z1, Z0, Z0; \
	VEXTRACTF64X4 $1, Z0, Y1; \
	VADDPS Y1, Y0, Y0; \
	VEXTRACTF128 $1, Y0, X1; \
	VADDPS X1, X0, X0; \
	VPERMILPS $0x4e, X0, X1; \
	VADDPS X1, X0, X0; \
	VPERMILPS $0xb1, X0, X1; \
	VADDPS X1, X0, X0

// func dotQ8AVX512(w *byte, x *float32, blocks int) float32
TEXT ·dotQ8AVX512(SB), NOSPLIT, $0-28
	MOVQ w+0(FP), SI
	MOVQ x+8(FP), DX
	MOVQ blocks+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	TESTQ $1, CX
	JZ pairs8
	SCALE(0, X4, Z4)
	VPMOVSXBD 2(SI), Z5
	VPMOVSXBD 18(SI), Z6
	VCVTDQ2PS Z5, Z5
	VCVTDQ2PS Z6, Z6
	VMULPS (DX), Z5, Z5
	VFMADD231PS 64(DX), Z6, Z5
	VFMADD231PS Z5, Z4, Z0
	ADDQ $34, SI
	ADDQ $128, DX
pairs8:
	SHRQ $1, CX
	JZ done8
loop8:
	SCALE(0, X4, Z4)
	SCALE(34, X7, Z7)
	VPMOVSXBD 2(SI), Z5
	VPMOVSXBD 18(SI), Z6
	VPMOVSXBD 36(SI), Z8
	VPMOVSXBD 52(SI), Z9
	VCVTDQ2PS Z5, Z5
	VCVTDQ2PS Z6, Z6
	VCVTDQ2PS Z8, Z8
	VCVTDQ2PS Z9, Z9
	VMULPS (DX), Z5, Z5
	VMULPS 128(DX), Z8, Z8
	VFMADD231PS 64(DX), Z6, Z5
	VFMADD231PS 192(DX), Z9, Z8
	VFMADD231PS Z5, Z4, Z0
	VFMADD231PS Z8, Z7, Z1
	ADDQ $68, SI
	ADDQ $256, DX
	DECQ CX
	JNZ loop8
done8:
	TOTAL
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func dotQ4AVX512(w *byte, x *float32, blocks int) float32
TEXT ·dotQ4AVX512(SB), NOSPLIT, $0-28
	MOVQ w+0(FP), SI
	MOVQ x+8(FP), DX
	MOVQ blocks+16(FP), CX
	VMOVUPS values<>(SB), Z15
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	TESTQ $1, CX
	JZ pairs4
	SCALE(0, X4, Z4)
	VPMOVZXBD 2(SI), Z5
	VPSRLD $4, Z5, Z6
	VPERMPS Z15, Z5, Z5
	VPERMPS Z15, Z6, Z6
	VMULPS (DX), Z5, Z5
	VFMADD231PS 64(DX), Z6, Z5
	VFMADD231PS Z5, Z4, Z0
	ADDQ $18, SI
	ADDQ $128, DX
pairs4:
	SHRQ $1, CX
	JZ done4
loop4:
	SCALE(0, X4, Z4)
	SCALE(18, X7, Z7)
	VPMOVZXBD 2(SI), Z5
	VPMOVZXBD 20(SI), Z8
	VPSRLD $4, Z5, Z6
	VPSRLD $4, Z8, Z9
	VPERMPS Z15, Z5, Z5
	VPERMPS Z15, Z6, Z6
	VPERMPS Z15, Z8, Z8
	VPERMPS Z15, Z9, Z9
	VMULPS (DX), Z5, Z5
	VMULPS 128(DX), Z8, Z8
	VFMADD231PS 64(DX), Z6, Z5
	VFMADD231PS 192(DX), Z9, Z8
	VFMADD231PS Z5, Z4, Z0
	VFMADD231PS Z8, Z7, Z1
	ADDQ $36, SI
	ADDQ $256, DX
	DECQ CX
	JNZ loop4
done4:
	TOTAL
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// STORE puts a block's 32 numbers, times its scale, into memory.
#define STORE \
	VMULPS Z4, Z5, Z5; \
	VMULPS Z4, Z6, Z6; \
	VMOVUPS Z5, (DI); \
	VMOVUPS Z6, 64(DI); \
	ADDQ $128, DI

// func fromQ8AVX512(dst *float32, src *byte, blocks int)
TEXT ·fromQ8AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
from8:
	SCALE(0, X4, Z4)
	VPMOVSXBD 2(SI), Z5
	VPMOVSXBD 18(SI), Z6
	VCVTDQ2PS Z5, Z5
	VCVTDQ2PS Z6, Z6
	STORE
	ADDQ $34, SI
	DECQ CX
	JNZ from8
	VZEROUPPER
	RET

// func fromQ4AVX512(dst *float32, src *byte, blocks int)
TEXT ·fromQ4AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVUPS values<>(SB), Z15
from4:
	SCALE(0, X4, Z4)
	VPMOVZXBD 2(SI), Z5
	VPSRLD $4, Z5, Z6
	VPERMPS Z15, Z5, Z5
	VPERMPS Z15, Z6, Z6
	STORE
	ADDQ $18, SI
	DECQ CX
	JNZ from4
	VZEROUPPER
	RET

// BLOCKSCALE puts the scale of a block in all lanes of a register.
#define BLOCKSCALE(p, y, z) \
	VPBROADCASTW p, y; \
	VCVTPH2PS y, z

// BLOCKS is a function that multiplies blocks of 4 columns with rows of x. first and
// second load 16 numbers of a block, the latter from an offset on.
#define BLOCKS(first, second, offset, bytes) \
	DOTS; \
rows: \
	NEXTROWS; \
loop: \
	BLOCKSCALE((SI), Y24, Z24); \
	BLOCKSCALE((SI)(DX*1), Y25, Z25); \
	BLOCKSCALE((SI)(DX*2), Y26, Z26); \
	BLOCKSCALE((SI)(BX*1), Y27, Z27); \
	first(2(SI), Z24, Z16); \
	first(2(SI)(DX*1), Z25, Z17); \
	first(2(SI)(DX*2), Z26, Z18); \
	first(2(SI)(BX*1), Z27, Z19); \
	PRODUCTS; \
	AHEAD; \
	second(offset(SI), Z24, Z16); \
	second(offset(SI)(DX*1), Z25, Z17); \
	second(offset(SI)(DX*2), Z26, Z18); \
	second(offset(SI)(BX*1), Z27, Z19); \
	PRODUCTS; \
	AHEAD; \
	ADDQ $bytes, SI; \
	SUBQ $32, CX; \
	JNZ loop; \
	SUMS; \
	JGT rows; \
	VZEROUPPER; \
	RET

#define BYTES(p, scale, z) \
	VPMOVSXBD p, z; \
	VCVTDQ2PS z, z; \
	VMULPS scale, z, z

// func dotsQ8AVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsQ8AVX512(SB), NOSPLIT, $0-88
	BLOCKS(BYTES, BYTES, 18, 34)

// LOW and HIGH halves of bytes. Z28 holds the values of a 4-bit number.
#define LOW(p, scale, z) \
	VPMOVZXBD p, z; \
	VPERMPS Z28, z, z; \
	VMULPS scale, z, z

#define HIGH(p, scale, z) \
	VPMOVZXBD p, z; \
	VPSRLD $4, z, z; \
	VPERMPS Z28, z, z; \
	VMULPS scale, z, z

// func dotsQ4AVX512(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n int, next uintptr, nextStride, step int)
TEXT ·dotsQ4AVX512(SB), NOSPLIT, $0-88
	VMOVUPS values<>(SB), Z28
	BLOCKS(LOW, HIGH, 2, 18)
