package gemm

import (
	"caldera/backend/cpu/internal/isa"
	"caldera/backend/cpu/internal/vec"
)

func widenF16(dst []float32, src []byte)  { widen(dst, src, &vec.F16, widenF16NEON) }
func widenBF16(dst []float32, src []byte) { widen(dst, src, &vec.BF16, widenBF16NEON) }

// widen leaves what is no whole register to package vec.
func widen(dst []float32, src []byte, rest *vec.Pairs, run func(dst *float32, src *byte, n int)) {
	n := 0
	if whole := len(dst) &^ 3; isa.NEON && whole > 0 {
		n = whole
		run(&dst[0], &src[:2*n][0], n)
	}
	rest.From(dst[n:], shorts(src[2*n:]))
}
