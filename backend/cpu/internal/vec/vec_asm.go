//go:build amd64 || arm64

package vec

import "caldera/backend/cpu/internal/isa"

// fast reports whether there is assembly for this CPU: with AVX2, or with NEON.
var fast = isa.AVX2 || isa.NEON

// Functions in assembly. n must be above 0 and a multiple of Lanes.

//go:noescape
func addFast(dst, a, b *float32, n int)

//go:noescape
func scaleFast(x *float32, n int, s float32)

//go:noescape
func maxFast(x *float32, n int) float32

//go:noescape
func sumFast(x *float32, n int) float64

//go:noescape
func sumSquaresFast(x *float32, n int, mean float64) float64

//go:noescape
func normalizeFast(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)

//go:noescape
func dotFast(w, x *float32, n int) float32

//go:noescape
func expFast(dst, x *float32, n int, shift float32) float64

//go:noescape
func softCapFast(x *float32, n int, limit float32)

//go:noescape
func geluTanhFast(dst, x *float32, n int)

//go:noescape
func geluTanhBackwardFast(dx, x, dy *float32, n int)

//go:noescape
func geluErfFast(dst, x *float32, n int)

//go:noescape
func geluErfBackwardFast(dx, x, dy *float32, n int)

//go:noescape
func swishFast(dst, x *float32, n int, minus float32)

//go:noescape
func swishBackwardFast(dx, x, dy *float32, n int, minus float32)

//go:noescape
func reluFast(dst, x *float32, n int)

//go:noescape
func reluBackwardFast(dx, x, dy *float32, n int)

//go:noescape
func normalizeSumsFast(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64)

//go:noescape
func normalizeBackwardFast(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32)

//go:noescape
func addNormalizedFast(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)

//go:noescape
func softmaxBackwardFast(d, p *float32, n int, mean float32)

//go:noescape
func adamWFast(w, m, v, grad *float32, n int, o *AdamW)

//go:noescape
func scaleByFast(dst, x, gamma *float32, n int, s float32)

//go:noescape
func mulFast(dst, a, b *float32, n int)

//go:noescape
func clipFast(dst, x *float32, n int, limit float32)

//go:noescape
func gateFast(dst, a, up *float32, n int, limit, shift float32)

//go:noescape
func rotateFast(first, second, a, b, cos, sin *float32, n int, sign float32)

//go:noescape
func rotatePairsFast(dst, x, cos, sin *float32, n int, sign float32)

//go:noescape
func fromF16Fast(dst *float32, src *uint16, n int)

//go:noescape
func toF16Fast(dst *uint16, src *float32, n int)

//go:noescape
func fromBF16Fast(dst *float32, src *uint16, n int)

//go:noescape
func toBF16Fast(dst *uint16, src *float32, n int)

// blocks must be above 0.

//go:noescape
func fromQ8Fast(dst *float32, src *byte, blocks int)

//go:noescape
func fromQ4Fast(dst *float32, src *byte, blocks int)
