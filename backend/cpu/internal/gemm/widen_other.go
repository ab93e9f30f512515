//go:build !arm64

package gemm

import "caldera/backend/cpu/internal/vec"

func widenF16(dst []float32, src []byte)  { vec.F16.From(dst, shorts(src)) }
func widenBF16(dst []float32, src []byte) { vec.BF16.From(dst, shorts(src)) }
