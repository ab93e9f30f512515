package vec

import "caldera/backend/cpu/internal/isa"

// wide reports whether there is assembly that uses AVX-512.
var wide = isa.AVX512

// Functions with AVX-512. n must be above 0 and a multiple of 2·Lanes.

//go:noescape
func expWide(dst, x *float32, n int, shift float32) float64

//go:noescape
func geluTanhWide(dst, x *float32, n int)

//go:noescape
func swishWide(dst, x *float32, n int, minus float32)

//go:noescape
func geluTanhBackwardWide(dx, x, dy *float32, n int)

//go:noescape
func swishBackwardWide(dx, x, dy *float32, n int, minus float32)

//go:noescape
func normalizeWide(dst, x, gamma, beta *float32, n int, hi, lo, scale float32)

//go:noescape
func scaleByWide(dst, x, gamma *float32, n int, s float32)

//go:noescape
func rotateWide(first, second, a, b, cos, sin *float32, n int, sign float32)

//go:noescape
func rotatePairsWide(dst, x, cos, sin *float32, n int, sign float32)

// n must be a multiple of 4·Lanes.

//go:noescape
func fromF16Wide(dst *float32, src *uint16, n int)

//go:noescape
func fromBF16Wide(dst *float32, src *uint16, n int)

// blocks must be above 0.

//go:noescape
func fromQ8Wide(dst *float32, src *byte, blocks int)

//go:noescape
func fromQ4Wide(dst *float32, src *byte, blocks int)
