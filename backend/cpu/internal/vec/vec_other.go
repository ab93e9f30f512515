//go:build !amd64 && !arm64

package vec

// There is no assembly for this CPU, so the Go versions are used.
var fast = false

func addFast(dst, a, b *float32, n int)                                        {}
func scaleFast(x *float32, n int, s float32)                                   {}
func maxFast(x *float32, n int) float32                                        { return 0 }
func sumFast(x *float32, n int) float64                                        { return 0 }
func sumSquaresFast(x *float32, n int, mean float64) float64                   { return 0 }
func normalizeFast(dst, x, gamma, beta *float32, n int, hi, lo, scale float32) {}
func dotFast(w, x *float32, n int) float32                                     { return 0 }
func expFast(dst, x *float32, n int, shift float32) float64                    { return 0 }
func softCapFast(x *float32, n int, limit float32)                             {}
func geluTanhFast(dst, x *float32, n int)                                      {}
func geluTanhBackwardFast(dx, x, dy *float32, n int)                           {}
func geluErfFast(dst, x *float32, n int)                                       {}
func geluErfBackwardFast(dx, x, dy *float32, n int)                            {}
func swishFast(dst, x *float32, n int, minus float32)                          {}
func swishBackwardFast(dx, x, dy *float32, n int, minus float32)               {}
func reluFast(dst, x *float32, n int)                                          {}
func reluBackwardFast(dx, x, dy *float32, n int)                               {}
func normalizeSumsFast(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64) {
	return 0, 0, 0
}
func normalizeBackwardFast(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32) {}
func addNormalizedFast(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)                  {}
func softmaxBackwardFast(d, p *float32, n int, mean float32)                                       {}
func adamWFast(w, m, v, grad *float32, n int, o *AdamW)                                            {}
func scaleByFast(dst, x, gamma *float32, n int, s float32)                                         {}
func mulFast(dst, a, b *float32, n int)                                                            {}
func clipFast(dst, x *float32, n int, limit float32)                                               {}
func gateFast(dst, a, up *float32, n int, limit, shift float32)                                    {}
func rotateFast(first, second, a, b, cos, sin *float32, n int, sign float32)                       {}
func rotatePairsFast(dst, x, cos, sin *float32, n int, sign float32)                               {}
func fromF16Fast(dst *float32, src *uint16, n int)                                                 {}
func toF16Fast(dst *uint16, src *float32, n int)                                                   {}
func fromBF16Fast(dst *float32, src *uint16, n int)                                                {}
func toBF16Fast(dst *uint16, src *float32, n int)                                                  {}
func fromQ8Fast(dst *float32, src *byte, blocks int)                                               {}
func fromQ4Fast(dst *float32, src *byte, blocks int)                                               {}
