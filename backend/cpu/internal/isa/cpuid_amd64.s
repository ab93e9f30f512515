#include "textflag.h"

// func cpuid() (b, d, c uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-12
	XORL AX, AX
	CPUID
	MOVL BX, b+0(FP)
	MOVL DX, d+4(FP)
	MOVL CX, c+8(FP)
	RET
