//go:build !amd64

package vec

// Vectors longer than Lanes are those of AVX-512 alone.
var wide = false

func fromF16Wide(dst *float32, src *uint16, n int)                             {}
func fromBF16Wide(dst *float32, src *uint16, n int)                            {}
func fromQ8Wide(dst *float32, src *byte, blocks int)                           {}
func fromQ4Wide(dst *float32, src *byte, blocks int)                           {}
func expWide(dst, x *float32, n int, shift float32) float64                    { return 0 }
func geluTanhWide(dst, x *float32, n int)                                      {}
func swishWide(dst, x *float32, n int, minus float32)                          {}
func geluTanhBackwardWide(dx, x, dy *float32, n int)                           {}
func swishBackwardWide(dx, x, dy *float32, n int, minus float32)               {}
func normalizeWide(dst, x, gamma, beta *float32, n int, hi, lo, scale float32) {}
func scaleByWide(dst, x, gamma *float32, n int, s float32)                     {}
func rotateWide(first, second, a, b, cos, sin *float32, n int, sign float32)   {}
func rotatePairsWide(dst, x, cos, sin *float32, n int, sign float32)           {}
