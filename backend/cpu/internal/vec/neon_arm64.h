// What the NEON functions of this package share. Vector registers are given by their numbers to the instructions that
// Go's assembler does not know, the destination first, as in Arm's manual. They are of four float32 or int32, those
// named D of two float64. R0 is the destination and R3 counts the elements that are left.

#define FADD(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB(d, n, m) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV(d, n, m) WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d))
#define FMLA(d, n, m) WORD $(0x4E20CC00 | (m)<<16 | (n)<<5 | (d)) // d += n·m
#define FMLS(d, n, m) WORD $(0x4EA0CC00 | (m)<<16 | (n)<<5 | (d)) // d -= n·m
#define FMAX(d, n, m) WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d)) // NaN if one is, as FMIN
#define FMIN(d, n, m) WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d))
#define FMAXV(d, n) WORD $(0x6E30F800 | (n)<<5 | (d))
#define FABS(d, n) WORD $(0x4EA0F800 | (n)<<5 | (d))
#define FNEG(d, n) WORD $(0x6EA0F800 | (n)<<5 | (d))
#define FSQRT(d, n) WORD $(0x6EA1F800 | (n)<<5 | (d))
#define FADDP(d, n, m) WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d))
#define FCMEQ(d, n, m) WORD $(0x4E20E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGT(d, n, m) WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGT0(d, n) WORD $(0x4EA0C800 | (n)<<5 | (d))
#define FCMGE0(d, n) WORD $(0x6EA0C800 | (n)<<5 | (d))
#define FRINTN(d, n) WORD $(0x4E218800 | (n)<<5 | (d))
#define FCVTZS(d, n) WORD $(0x4EA1B800 | (n)<<5 | (d))
#define SCVTF(d, n) WORD $(0x4E21D800 | (n)<<5 | (d))
#define MOVV(d, n) WORD $(0x4EA01C00 | (n)<<16 | (n)<<5 | (d))
#define HALVED(d, n) WORD $(0x4F3F0400 | (n)<<5 | (d)) // SSHR by 1

// The lower two of four float32 to float64, and the upper two.
#define DOUBLE(d, n) WORD $(0x0E617800 | (n)<<5 | (d)) // FCVTL
#define DOUBLEHIGH(d, n) WORD $(0x4E617800 | (n)<<5 | (d))
#define FADDD(d, n, m) WORD $(0x4E60D400 | (m)<<16 | (n)<<5 | (d))
#define FSUBD(d, n, m) WORD $(0x4EE0D400 | (m)<<16 | (n)<<5 | (d))
#define FMLAD(d, n, m) WORD $(0x4E60CC00 | (m)<<16 | (n)<<5 | (d))
#define FADDPD(d, n) WORD $(0x7E70D800 | (n)<<5 | (d)) // the sum of both

// SUMD leaves in d the sum of the float64 in it and in three others.
#define SUMD(d, a, b, c) \
	FADDD(d, d, a) \
	FADDD(b, b, c) \
	FADDD(d, d, b) \
	FADDPD(d, d)

#define ZERO(v) VEOR v.B16, v.B16, v.B16

// ALL puts an argument in all lanes of a register.
#define ALL(argument, f, v) \
	FMOVS argument, f \
	VDUP v.S[0], v.S4

// AGAIN ends a loop that took some elements.
#define AGAIN(elements) \
	SUBS $elements, R3, R3 \
	BNE loop
