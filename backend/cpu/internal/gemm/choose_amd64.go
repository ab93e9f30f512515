package gemm

import "caldera/backend/cpu/internal/isa"

var avx512 = kernels{
	name: "AVX-512", lanes: 16, fused: true, tails: true, blockRows: 16, fewColumns: 6, fetch: fetchSSE,
	dots: [kinds][]dotTile{
		kindF32:  {{6, dot6F32AVX512}, {2, dot2F32AVX512}, {1, dot1F32AVX512}},
		kindF16:  {{6, dot6F16AVX512}, {2, dot2F16AVX512}, {1, dot1F16AVX512}},
		kindBF16: {{6, dot6BF16AVX512}, {2, dot2BF16AVX512}, {1, dot1BF16AVX512}},
		kindQ8:   {{4, dot4Q8AVX512}, {2, dot2Q8AVX512}, {1, dot1Q8AVX512}},
		kindQ4:   {{4, dot4Q4AVX512}, {2, dot2Q4AVX512}, {1, dot1Q4AVX512}},
	},
	outers: [kinds][]outerTile{
		kindF32:  {{48, true, outer8x48F32AVX512}, {32, true, outer8x32F32AVX512}, {16, true, outer8x16F32AVX512}},
		kindF16:  {{48, true, outer8x48F16AVX512}, {32, true, outer8x32F16AVX512}, {16, true, outer8x16F16AVX512}},
		kindBF16: {{48, true, outer8x48BF16AVX512}, {32, true, outer8x32BF16AVX512}, {16, true, outer8x16BF16AVX512}},
	},
	one: [kinds]*outerTile{
		kindF32:  {192, false, outer1x192F32AVX512},
		kindF16:  {192, false, outer1x192F16AVX512},
		kindBF16: {192, false, outer1x192BF16AVX512},
	},
}

var avx2 = kernels{
	name: "AVX2", lanes: 8, fused: true, blockRows: 8, fewColumns: 8, fetch: fetchSSE,
	dots: [kinds][]dotTile{
		kindF32:  {{4, dot4F32AVX2}, {2, dot2F32AVX2}, {1, dot1F32AVX2}},
		kindF16:  {{4, dot4F16AVX2}, {2, dot2F16AVX2}, {1, dot1F16AVX2}},
		kindBF16: {{4, dot4BF16AVX2}, {2, dot2BF16AVX2}, {1, dot1BF16AVX2}},
		kindQ8:   {{4, dot4Q8AVX2}, {2, dot2Q8AVX2}, {1, dot1Q8AVX2}},
		kindQ4:   {{4, dot4Q4AVX2}, {2, dot2Q4AVX2}, {1, dot1Q4AVX2}},
	},
	outers: [kinds][]outerTile{
		kindF32:  {{24, false, outer4x24F32AVX2}, {16, false, outer4x16F32AVX2}, {8, true, outer4x8F32AVX2}},
		kindF16:  {{24, false, outer4x24F16AVX2}, {16, false, outer4x16F16AVX2}},
		kindBF16: {{24, false, outer4x24BF16AVX2}, {16, false, outer4x16BF16AVX2}},
	},
	one: [kinds]*outerTile{
		kindF32:  {96, false, outer1x96F32AVX2},
		kindF16:  {96, false, outer1x96F16AVX2},
		kindBF16: {96, false, outer1x96BF16AVX2},
	},
}

var sse = kernels{
	name: "SSE2", lanes: 4, fewColumns: 8, fetch: fetchSSE,
	dots:   [kinds][]dotTile{kindF32: {{4, dot4F32SSE}, {1, dot1F32SSE}}},
	outers: [kinds][]outerTile{kindF32: {{8, false, outer4x8F32SSE}, {4, false, outer4x4F32SSE}}},
	one:    [kinds]*outerTile{kindF32: {32, false, outer1x32F32SSE}},
}

func choose() *kernels {
	switch {
	case isa.AVX512:
		return &avx512
	case isa.AVX2:
		return &avx2
	case isa.SSE2:
		return &sse
	}
	return &portable
}

// sets are the kernels that this processor can run.
func sets() []*kernels {
	list := []*kernels{&portable, &sse}
	if isa.AVX2 {
		list = append(list, &avx2)
	}
	if isa.AVX512 {
		list = append(list, &avx512)
	}
	return list
}
