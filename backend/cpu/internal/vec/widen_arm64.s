// The conversions of f16.go, bf16.go and quantized.go with NEON.

#include "textflag.h"
#include "neon_arm64.h"

// From float16 and bfloat16 to float32, of the lower half of a register and of its upper half, and to float16.
#define FROMF16(d, n) WORD $(0x0E217800 | (n)<<5 | (d)) // FCVTL
#define FROMF16HIGH(d, n) WORD $(0x4E217800 | (n)<<5 | (d))
#define FROMBF16(d, n) WORD $(0x2E613800 | (n)<<5 | (d)) // SHLL by 16
#define FROMBF16HIGH(d, n) WORD $(0x6E613800 | (n)<<5 | (d))
#define TOF16(d, n) WORD $(0x0E216800 | (n)<<5 | (d)) // FCVTN
#define TOF16HIGH(d, n) WORD $(0x4E216800 | (n)<<5 | (d))

// Signed numbers of twice as many bits.
#define SXTL8(d, n) WORD $(0x0F08A400 | (n)<<5 | (d))
#define SXTL8HIGH(d, n) WORD $(0x4F08A400 | (n)<<5 | (d))
#define SXTL16(d, n) WORD $(0x0F10A400 | (n)<<5 | (d))
#define SXTL16HIGH(d, n) WORD $(0x4F10A400 | (n)<<5 | (d))

#define ARGUMENTS \
	MOVD dst+0(FP), R0 \
	MOVD src+8(FP), R1 \
	MOVD n+16(FP), R3

// func fromF16Fast(dst *float32, src *uint16, n int)
TEXT ·fromF16Fast(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	VLD1.P 16(R1), [V0.H8]
	FROMF16HIGH(1, 0)
	FROMF16(0, 0)
	VST1.P [V0.S4, V1.S4], 32(R0)
	AGAIN(8)
	RET

// func toF16Fast(dst *uint16, src *float32, n int)
TEXT ·toF16Fast(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	TOF16(0, 0)
	TOF16HIGH(0, 1)
	VST1.P [V0.H8], 16(R0)
	AGAIN(8)
	RET

// func fromBF16Fast(dst *float32, src *uint16, n int)
TEXT ·fromBF16Fast(SB), NOSPLIT, $0-24
	ARGUMENTS
loop:
	VLD1.P 16(R1), [V0.H8]
	FROMBF16HIGH(1, 0)
	FROMBF16(0, 0)
	VST1.P [V0.S4, V1.S4], 32(R0)
	AGAIN(8)
	RET

// BF16 rounds four numbers to their upper halves, ties to even; NaN stays NaN.
#define BF16(x, number) \
	VUSHR $16, x.S4, V2.S4 \
	VAND V4.B16, V2.B16, V2.B16 \
	VADD V5.S4, V2.S4, V2.S4 \
	VADD x.S4, V2.S4, V2.S4 \
	FCMEQ(3, number, number) \
	VORR V6.B16, x.B16, x.B16 \
	VBIT V3.B16, V2.B16, x.B16

// func toBF16Fast(dst *uint16, src *float32, n int)
TEXT ·toBF16Fast(SB), NOSPLIT, $0-24
	ARGUMENTS
	MOVD $1, R4
	VDUP R4, V4.S4
	MOVD $0x7fff, R4
	VDUP R4, V5.S4
	MOVD $0x400000, R4
	VDUP R4, V6.S4
loop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	BF16(V0, 0)
	BF16(V1, 1)
	VUZP2 V1.H8, V0.H8, V0.H8
	VST1.P [V0.H8], 16(R0)
	AGAIN(8)
	RET

// SCALE puts a block's scale in all lanes of V16, and goes on behind it.
#define SCALE \
	VLD1R.P 2(R1), [V16.H4] \
	FROMF16(16, 16)

// BLOCK ends a loop that stores 32 numbers, the bytes in V0 and V1 times the scale.
#define BLOCK \
	SXTL8(2, 0) \
	SXTL8HIGH(3, 0) \
	SXTL8(6, 1) \
	SXTL8HIGH(7, 1) \
	SXTL16(0, 2) \
	SXTL16HIGH(1, 2) \
	SXTL16(2, 3) \
	SXTL16HIGH(3, 3) \
	SXTL16(4, 6) \
	SXTL16HIGH(5, 6) \
	SXTL16(6, 7) \
	SXTL16HIGH(7, 7) \
	TIMES(0) \
	TIMES(1) \
	TIMES(2) \
	TIMES(3) \
	TIMES(4) \
	TIMES(5) \
	TIMES(6) \
	TIMES(7) \
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0) \
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R0) \
	AGAIN(1)

#define TIMES(d) \
	SCVTF(d, d) \
	FMUL(d, d, 16)

// func fromQ8Fast(dst *float32, src *byte, blocks int)
TEXT ·fromQ8Fast(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD blocks+16(FP), R3
loop:
	SCALE
	VLD1.P 32(R1), [V0.B16, V1.B16]
	BLOCK
	RET

// func fromQ4Fast(dst *float32, src *byte, blocks int)
TEXT ·fromQ4Fast(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD blocks+16(FP), R3
	VMOVI $15, V17.B16
	VMOVI $8, V18.B16
loop:
	SCALE
	VLD1.P 16(R1), [V0.B16]
	VUSHR $4, V0.B16, V1.B16
	VAND V17.B16, V0.B16, V0.B16
	VSUB V18.B16, V0.B16, V0.B16
	VSUB V18.B16, V1.B16, V1.B16
	BLOCK
	RET
