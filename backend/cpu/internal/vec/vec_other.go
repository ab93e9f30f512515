//go:build !amd64

package vec

// There is no assembly for this CPU, so the Go versions are used.
var fast, wide = false, false

func addAVX2(dst, a, b *float32, n int)                                        {}
func scaleAVX2(x *float32, n int, s float32)                                   {}
func maxAVX2(x *float32, n int) float32                                        { return 0 }
func sumAVX2(x *float32, n int) float64                                        { return 0 }
func sumSquaresAVX2(x *float32, n int, mean float64) float64                   { return 0 }
func normalizeAVX2(dst, x, gamma, beta *float32, n int, hi, lo, scale float32) {}
func dotAVX2(w, x *float32, n int) float32                                     { return 0 }
func expAVX2(dst, x *float32, n int, shift float32) float64                    { return 0 }
func softCapAVX2(x *float32, n int, limit float32)                             {}
func geluTanhAVX2(dst, x *float32, n int)                                      {}
func geluTanhBackwardAVX2(dx, x, dy *float32, n int)                           {}
func geluErfAVX2(dst, x *float32, n int)                                       {}
func geluErfBackwardAVX2(dx, x, dy *float32, n int)                            {}
func swishAVX2(dst, x *float32, n int, minus float32)                          {}
func swishBackwardAVX2(dx, x, dy *float32, n int, minus float32)               {}
func reluAVX2(dst, x *float32, n int)                                          {}
func reluBackwardAVX2(dx, x, dy *float32, n int)                               {}
func normalizeSumsAVX2(x, dy, gamma *float32, n int, mean float64) (squares, grad, product float64) {
	return 0, 0, 0
}
func normalizeBackwardAVX2(dx, x, dy, gamma *float32, n int, hi, lo, scale, grad, product float32) {}
func addNormalizedAVX2(dgamma, dbeta, x, dy *float32, n int, mean, scale float32)                  {}
func softmaxBackwardAVX2(d, p *float32, n int, mean float32)                                       {}
func adamWAVX2(w, m, v, grad *float32, n int, o *AdamW)                                            {}
func scaleByAVX2(dst, x, gamma *float32, n int, s float32)                                         {}
func mulAVX2(dst, a, b *float32, n int)                                                            {}
func clipAVX2(dst, x *float32, n int, limit float32)                                               {}
func gateAVX2(dst, a, up *float32, n int, limit, shift float32)                                    {}
func rotateAVX2(first, second, a, b, cos, sin *float32, n int, sign float32)                       {}
func rotatePairsAVX2(dst, x, cos, sin *float32, n int, sign float32)                               {}
func fromF16AVX2(dst *float32, src *uint16, n int)                                                 {}
func toF16AVX2(dst *uint16, src *float32, n int)                                                   {}
func fromBF16AVX2(dst *float32, src *uint16, n int)                                                {}
func toBF16AVX2(dst *uint16, src *float32, n int)                                                  {}
func fromQ8AVX2(dst *float32, src *byte, blocks int)                                               {}
func fromQ4AVX2(dst *float32, src *byte, blocks int)                                               {}
func fromF16AVX512(dst *float32, src *uint16, n int)                                               {}
func fromBF16AVX512(dst *float32, src *uint16, n int)                                              {}
func fromQ8AVX512(dst *float32, src *byte, blocks int)                                             {}
func fromQ4AVX512(dst *float32, src *byte, blocks int)                                             {}
func expAVX512(dst, x *float32, n int, shift float32) float64                                      { return 0 }
func geluTanhAVX512(dst, x *float32, n int)                                                        {}
func swishAVX512(dst, x *float32, n int, minus float32)                                            {}
func geluTanhBackwardAVX512(dx, x, dy *float32, n int)                                             {}
func swishBackwardAVX512(dx, x, dy *float32, n int, minus float32)                                 {}
