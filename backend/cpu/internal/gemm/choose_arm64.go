package gemm

import "caldera/backend/cpu/internal/isa"

var neon = kernels{
	name: "NEON", lanes: 4, fused: true, fewColumns: 8,
	dots: [kinds][]dotTile{
		kindF32:  {{4, dot4F32NEON}, {1, dot1F32NEON}},
		kindF16:  {{4, dot4F16NEON}, {1, dot1F16NEON}},
		kindBF16: {{4, dot4BF16NEON}, {1, dot1BF16NEON}},
	},
	outers: [kinds][]outerTile{kindF32: {{12, false, outer8x12F32NEON}, {4, false, outer8x4F32NEON}}},
}

func choose() *kernels {
	if isa.NEON {
		return &neon
	}
	return &portable
}

// sets are the kernels that this processor can run.
func sets() []*kernels {
	if isa.NEON {
		return []*kernels{&portable, &neon}
	}
	return []*kernels{&portable}
}

//go:noescape
func dot4F32NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func dot4F16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func dot4BF16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func dot1F32NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func dot1F16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func dot1BF16NEON(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, ahead int)

//go:noescape
func outer8x12F32NEON(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)

//go:noescape
func outer8x4F32NEON(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, ahead int)
