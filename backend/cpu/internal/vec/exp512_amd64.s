// Functions of vec_amd64.s and activation_amd64.s that need an exponential, 16 elements at a
// time with AVX-512. They give the same bits: VSCALEFPS rounds once, as the two
// multiplications by powers of two do.

#include "textflag.h"
#include "exp_amd64.h"

#define EXPCONSTANTS512 \
	VBROADCASTSS top<>(SB), Z31; \
	VBROADCASTSS bottom<>(SB), Z30; \
	VBROADCASTSS log2e<>(SB), Z29; \
	VBROADCASTSS ln2hi<>(SB), Z28; \
	VBROADCASTSS ln2lo<>(SB), Z27; \
	VBROADCASTSS poly5<>(SB), Z26; \
	VBROADCASTSS poly4<>(SB), Z25; \
	VBROADCASTSS poly3<>(SB), Z24; \
	VBROADCASTSS poly2<>(SB), Z23; \
	VBROADCASTSS poly1<>(SB), Z22; \
	VBROADCASTSS poly0<>(SB), Z21; \
	VBROADCASTSS one<>(SB), Z20

// EXP512 replaces Z0 by its exponential. It overwrites Z1, Z2 and Z3.
#define EXP512 \
	VMINPS Z0, Z31, Z0; \
	VMAXPS Z0, Z30, Z0; \
	VMULPS Z29, Z0, Z1; \
	VRNDSCALEPS $0, Z1, Z1; \
	VFNMADD231PS Z28, Z1, Z0; \
	VFNMADD231PS Z27, Z1, Z0; \
	VMOVAPS Z26, Z2; \
	VFMADD213PS Z25, Z0, Z2; \
	VFMADD213PS Z24, Z0, Z2; \
	VFMADD213PS Z23, Z0, Z2; \
	VFMADD213PS Z22, Z0, Z2; \
	VFMADD213PS Z21, Z0, Z2; \
	VMULPS Z0, Z0, Z3; \
	VFMADD213PS Z0, Z3, Z2; \
	VADDPS Z20, Z2, Z2; \
	VSCALEFPS Z1, Z2, Z0

// func expWide(dst, x *float32, n int, shift float32) float64
TEXT ·expWide(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS shift+24(FP), Z12
	EXPCONSTANTS512
	VXORPD Y10, Y10, Y10
	VXORPD Y11, Y11, Y11
exp512loop:
	VMOVUPS (SI), Z0
	VSUBPS Z12, Z0, Z0
	EXP512
	VMOVUPS Z0, (DI)
	VEXTRACTF64X4 $1, Z0, Y1
	VCVTPS2PD Y0, Z0
	VCVTPS2PD Y1, Z1
	VADDPD Z0, Z10, Z10
	VADDPD Z1, Z11, Z11
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ exp512loop
	VADDPD Z11, Z10, Z10
	VEXTRACTF64X4 $1, Z10, Y11
	VADDPD Y11, Y10, Y10
	VEXTRACTF128 $1, Y10, X11
	VADDPD X11, X10, X10
	VUNPCKHPD X10, X10, X11
	VADDSD X11, X10, X10
	VMOVSD X10, ret+32(FP)
	VZEROUPPER
	RET

DATA gelu1<>+0(SB)/4, $0xbfcc422a // -2·√(2/π)
GLOBL gelu1<>(SB), RODATA|NOPTR, $4
DATA gelu3<>+0(SB)/4, $0xbd922279 // -2·√(2/π)·0.044715
GLOBL gelu3<>(SB), RODATA|NOPTR, $4
DATA gelu9<>+0(SB)/4, $0xbe5b33b6 // 3 times that
GLOBL gelu9<>(SB), RODATA|NOPTR, $4

// func geluTanhWide(dst, x *float32, n int)
TEXT ·geluTanhWide(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONSTANTS512
	VBROADCASTSS gelu1<>(SB), Z9
	VBROADCASTSS gelu3<>(SB), Z8
gelutanh512loop:
	VMOVUPS (SI), Z5
	VMULPS Z5, Z5, Z0
	VFMADD213PS Z9, Z8, Z0
	VMULPS Z5, Z0, Z0
	EXP512
	VADDPS Z20, Z0, Z0
	VDIVPS Z0, Z5, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ gelutanh512loop
	VZEROUPPER
	RET

// func swishWide(dst, x *float32, n int, minus float32)
TEXT ·swishWide(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS minus+24(FP), Z9
	EXPCONSTANTS512
swish512loop:
	VMOVUPS (SI), Z5
	VMULPS Z5, Z9, Z0
	EXP512
	VADDPS Z20, Z0, Z0
	VDIVPS Z0, Z5, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ swish512loop
	VZEROUPPER
	RET

// func geluTanhBackwardWide(dx, x, dy *float32, n int)
TEXT ·geluTanhBackwardWide(SB), NOSPLIT, $0-32
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	EXPCONSTANTS512
	VBROADCASTSS gelu1<>(SB), Z9
	VBROADCASTSS gelu3<>(SB), Z8
	VBROADCASTSS gelu9<>(SB), Z7
	VPXORD Z10, Z10, Z10
gelutanhbackward512loop:
	VMOVUPS (SI), Z5
	VMULPS Z5, Z5, Z6
	VMOVAPS Z6, Z0
	VFMADD213PS Z9, Z8, Z0
	VMULPS Z5, Z0, Z0
	EXP512
	VADDPS Z20, Z0, Z1
	VDIVPS Z1, Z20, Z1 // s
	VMULPS Z1, Z0, Z0
	VMULPS Z1, Z0, Z3 // t
	VCMPPS $30, Z10, Z3, K1 // t > 0, false where it is no number
	VFMADD213PS Z9, Z7, Z6
	VMULPS Z5, Z3, Z3
	VMULPS.Z Z6, Z3, K1, Z3
	VSUBPS Z3, Z1, Z0
	VMULPS (DX), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ gelutanhbackward512loop
	VZEROUPPER
	RET

// func swishBackwardWide(dx, x, dy *float32, n int, minus float32)
TEXT ·swishBackwardWide(SB), NOSPLIT, $0-36
	MOVQ dx+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ dy+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS minus+32(FP), Z9
	EXPCONSTANTS512
	VPXORD Z10, Z10, Z10
swishbackward512loop:
	VMOVUPS (SI), Z5
	VMULPS Z5, Z9, Z0
	EXP512
	VADDPS Z20, Z0, Z1
	VDIVPS Z1, Z20, Z1 // s
	VMULPS Z1, Z0, Z0
	VMULPS Z1, Z0, Z3 // t
	VCMPPS $30, Z10, Z3, K1 // t > 0, false where it is no number
	VMULPS Z5, Z3, Z3
	VMULPS.Z Z9, Z3, K1, Z3
	VSUBPS Z3, Z1, Z0
	VMULPS (DX), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ swishbackward512loop
	VZEROUPPER
	RET
