// The functions of activation.go, 8 elements at a time with AVX2 and FMA; how to
// read this stands in vec_amd64.s.

#include "textflag.h"
#include "exp_amd64.h"

CONST8(gelu1, 0xbfcc422a)        // -2·√(2/π)
CONST8(gelu3, 0xbd922279)        // -2·√(2/π)·0.044715
CONST8(gelu9, 0xbe5b33b6)        // 3 times that
CONST8(minushalf, 0xbf000000)    // -½
CONST8(density, 0x3ecc422a)      // 1/√(2π)
CONST8(phip, 0x3e9c28f6)         // 0.305
CONST8(phi7, 0x3d164f88)         // 0.036696939
CONST8(phi6, 0xbe1ca64f)         // -0.152978162
CONST8(phi5, 0x3e3e2792)         // 0.185697817
CONST8(phi4, 0xbd1b794e)         // -0.0379574823
CONST8(phi3, 0x3df7d43f)         // 0.121010298
CONST8(phi2, 0x3dd3d059)         // 0.103424739
CONST8(phi1, 0x3dfacf83)         // 0.122466113
CONST8(phi0, 0x3df91e48)         // 0.121639785
CONST8(abs, 0x7fffffff)          // all bits but the sign

// func geluTanhFast(dst, x *float32, n int)
TEXT ·geluTanhFast(SB), NOSPLIT, $0-24
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

// func geluTanhBackwardFast(dx, x, dy *float32, n int)
TEXT ·geluTanhBackwardFast(SB), NOSPLIT, $0-32
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

// func geluErfFast(dst, x *float32, n int)
TEXT ·geluErfFast(SB), NOSPLIT, $0-24
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

// func geluErfBackwardFast(dx, x, dy *float32, n int)
TEXT ·geluErfBackwardFast(SB), NOSPLIT, $0-32
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

// func swishFast(dst, x *float32, n int, minus float32)
TEXT ·swishFast(SB), NOSPLIT, $0-28
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

// func swishBackwardFast(dx, x, dy *float32, n int, minus float32)
TEXT ·swishBackwardFast(SB), NOSPLIT, $0-36
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

// func reluFast(dst, x *float32, n int)
TEXT ·reluFast(SB), NOSPLIT, $0-24
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

// func reluBackwardFast(dx, x, dy *float32, n int)
TEXT ·reluBackwardFast(SB), NOSPLIT, $0-32
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
