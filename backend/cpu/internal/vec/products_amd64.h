// What functions of products.go share: 4 rows of x at a time, with 4 columns. Sums stay in
// 16 registers until all numbers of the columns are multiplied.

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

// DOTS begins a function: DX and BX are 1 and 3 strides of w.
#define DOTS \
	MOVQ wStride+48(FP), DX; \
	LEAQ (DX)(DX*2), BX

// NEXTROWS takes 4 rows of x. All sums are 0. SI is where w begins, CX how many numbers
// are multiplied, AX how many bytes of a row were, DI what is read next.
#define NEXTROWS \
	MOVQ x+16(FP), SI; \
	MOVQ xStride+24(FP), AX; \
	MOVQ rows+32(FP), CX; \
	SHLQ $2, AX; \
	FOUR(SI, AX, CX); \
	LEAQ (SI)(AX*4), SI; \
	MOVQ SI, x+16(FP); \
	MOVQ w+40(FP), SI; \
	MOVQ n+56(FP), CX; \
	MOVQ next+64(FP), DI; \
	MOVQ nextStride+72(FP), R12; \
	LEAQ (R12)(R12*2), R13; \
	MOVQ step+80(FP), R15; \
	ZERO(Z0, Z1, Z2, Z3); \
	ZERO(Z4, Z5, Z6, Z7); \
	ZERO(Z8, Z9, Z10, Z11); \
	ZERO(Z12, Z13, Z14, Z15); \
	XORQ AX, AX

// PRODUCTS multiplies 16 numbers of 4 columns, in Z16 … Z19, with those of 4 rows.
#define PRODUCTS \
	VMOVUPS (R8)(AX*1), Z20; \
	VMOVUPS (R9)(AX*1), Z21; \
	VMOVUPS (R10)(AX*1), Z22; \
	VMOVUPS (R11)(AX*1), Z23; \
	ROW(Z20, Z0, Z1, Z2, Z3); \
	ROW(Z21, Z4, Z5, Z6, Z7); \
	ROW(Z22, Z8, Z9, Z10, Z11); \
	ROW(Z23, Z12, Z13, Z14, Z15); \
	ADDQ $64, AX

// AHEAD asks for a part of 4 columns that are read next.
#define AHEAD \
	PREFETCHT0 (DI); \
	PREFETCHT0 (DI)(R12*1); \
	PREFETCHT0 (DI)(R12*2); \
	PREFETCHT0 (DI)(R13*1); \
	ADDQ R15, DI

// SUMS adds the sums to 4 columns of 4 rows, and takes these rows off.
#define SUMS \
	QUARTERS(Z0, Z1, Z2, Z3); \
	QUARTERS(Z4, Z5, Z6, Z7); \
	QUARTERS(Z8, Z9, Z10, Z11); \
	QUARTERS(Z12, Z13, Z14, Z15); \
	VSHUFF32X4 $0x44, Z4, Z0, Z1; \
	VSHUFF32X4 $0xee, Z4, Z0, Z2; \
	VSHUFF32X4 $0x44, Z12, Z8, Z3; \
	VSHUFF32X4 $0xee, Z12, Z8, Z5; \
	VADDPS Z2, Z1, Z1; \
	VADDPS Z5, Z3, Z3; \
	VSHUFF32X4 $0x88, Z3, Z1, Z0; \
	VSHUFF32X4 $0xdd, Z3, Z1, Z2; \
	VADDPS Z2, Z0, Z0; \
	MOVQ dst+0(FP), SI; \
	MOVQ dstStride+8(FP), AX; \
	MOVQ rows+32(FP), CX; \
	SHLQ $2, AX; \
	FOUR(SI, AX, CX); \
	VEXTRACTF128 $1, Y0, X1; \
	VEXTRACTF32X4 $2, Z0, X2; \
	VEXTRACTF32X4 $3, Z0, X3; \
	VADDPS (R8), X0, X0; \
	VADDPS (R9), X1, X1; \
	VADDPS (R10), X2, X2; \
	VADDPS (R11), X3, X3; \
	VMOVUPS X0, (R8); \
	VMOVUPS X1, (R9); \
	VMOVUPS X2, (R10); \
	VMOVUPS X3, (R11); \
	LEAQ (SI)(AX*4), SI; \
	MOVQ SI, dst+0(FP); \
	SUBQ $4, rows+32(FP)
