// The exponential of exp in vec.go, 8 at a time, for the assembly that needs it.

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
CONST8(bias, 0x0000007f)     // 127, an integer

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

// EXP replaces Y0 by its exponential, as exp in vec.go does. It overwrites Y1 to Y4.
// Y13, Y14 and Y15 must hold top, bottom and log2e.
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
