package vec

import "caldera/backend/cpu/internal/isa"

// fast and wide report whether there is assembly for this CPU, and whether it uses AVX-512.
var fast, wide = isa.AVX2, isa.AVX512

// Functions in assembly. n must be above 0 and a multiple of Lanes.

//go:noescape
func addAVX2(dst, a, b *float32, n int)

//go:noescape
func scaleAVX2(x *float32, n int, s float32)

//go:noescape
func maxAVX2(x *float32, n int) float32

//go:noescape
func sumAVX2(x *float32, n int) float64

//go:noescape
func sumSquaresAVX2(x *float32, n int, mean float64) float64

//go:noescape
func normalizeAVX2(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)

//go:noescape
func dotAVX2(w, x *float32, n int) float32

//go:noescape
func expAVX2(dst, x *float32, n int, shift float32) float64

//go:noescape
func softCapAVX2(x *float32, n int, limit float32)

//go:noescape
func geluTanhAVX2(dst, x *float32, n int)

// With AVX-512, n must be a multiple of 2·Lanes.

//go:noescape
func expAVX512(dst, x *float32, n int, shift float32) float64

//go:noescape
func geluTanhAVX512(dst, x *float32, n int)

//go:noescape
func swishAVX512(dst, x *float32, n int, minus float32)

//go:noescape
func geluTanhBackwardAVX512(dx, x, dy *float32, n int)

//go:noescape
func swishBackwardAVX512(dx, x, dy *float32, n int, minus float32)

//go:noescape
func geluTanhBackwardAVX2(dx, x, dy *float32, n int)

//go:noescape
func geluErfAVX2(dst, x *float32, n int)

//go:noescape
func geluErfBackwardAVX2(dx, x, dy *float32, n int)

//go:noescape
func swishAVX2(dst, x *float32, n int, minus float32)

//go:noescape
func swishBackwardAVX2(dx, x, dy *float32, n int, minus float32)

//go:noescape
func reluAVX2(dst, x *float32, n int)

//go:noescape
func reluBackwardAVX2(dx, x, dy *float32, n int)

//go:noescape
func normalizeSumsAVX2(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64)

//go:noescape
func normalizeBackwardAVX2(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32)

//go:noescape
func addNormalizedAVX2(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)

//go:noescape
func softmaxBackwardAVX2(d, p *float32, n int, mean float32)

//go:noescape
func adamWAVX2(w, m, v, grad *float32, n int, o *AdamW)

//go:noescape
func scaleByAVX2(dst, x, gamma *float32, n int, s float32)

//go:noescape
func mulAVX2(dst, a, b *float32, n int)

//go:noescape
func clipAVX2(dst, x *float32, n int, limit float32)

//go:noescape
func gateAVX2(dst, a, up *float32, n int, limit, shift float32)

//go:noescape
func rotateAVX2(first, second, a, b, cos, sin *float32, n int, sign float32)

//go:noescape
func rotatePairsAVX2(dst, x, cos, sin *float32, n int, sign float32)

//go:noescape
func fromF16AVX2(dst *float32, src *uint16, n int)

//go:noescape
func fromF16AVX512(dst *float32, src *uint16, n int) // n must be a multiple of 4·Lanes

//go:noescape
func toF16AVX2(dst *uint16, src *float32, n int)

//go:noescape
func fromBF16AVX2(dst *float32, src *uint16, n int)

//go:noescape
func fromBF16AVX512(dst *float32, src *uint16, n int) // n must be a multiple of 4·Lanes

//go:noescape
func toBF16AVX2(dst *uint16, src *float32, n int)

// blocks must be above 0.

//go:noescape
func fromQ8AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func fromQ4AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func fromQ8AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func fromQ4AVX512(dst *float32, src *byte, blocks int)
