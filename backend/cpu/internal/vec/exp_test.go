package vec

import (
	"math"
	"testing"
)

// TestWide wants the same bits of each element with vectors of 16 and of 8, wherever a row is cut, also at
// the ends of what an exponential can be, and for infinities and NaN.
func TestWide(t *testing.T) {
	if !wide {
		t.Skip("no AVX-512")
	}
	defer func() { wide = true }()
	x, dy := random(4096, 60), random(4096, 2)
	copy(x, []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		88.7, 88.72284, 89, 1e30, -87.3, -87.4, -88, -100, -103, -103.97, -103.98, -104, -1e30, 1e-40, -1e-40})
	for name, f := range map[string]func(dst, x []float32){
		"exp": func(dst, x []float32) { Exp(dst, x, 0) }, "exp of less": func(dst, x []float32) { Exp(dst, x, 3.5) }, "gelu": GELUTanh, "silu": SiLU,
		"normalize":           func(dst, x []float32) { Normalize(dst, x, dy, x, 0.3, 1.7) },
		"scale by":            func(dst, x []float32) { ScaleBy(dst, x, dy, 1.7) },
		"rotate":              func(dst, x []float32) { n := len(x) / 2; Rotate(dst[:n], dst[n:], x[:n], x[n:], dy[:n], dy[n:], -1) },
		"rotate pairs":        func(dst, x []float32) { n := len(x) / 2; RotatePairs(dst, x, dy[:n], dy[n:], -1) },
		"gradient of gelu":    func(dst, x []float32) { GELUTanhBackward(dst, x, dy) },
		"gradient of silu":    func(dst, x []float32) { SiLUBackward(dst, x, dy) },
		"gradient of sigmoid": func(dst, x []float32) { GELUSigmoidBackward(dst, x, dy) },
	} {
		var got [2][]float32
		for i := range got {
			wide = i > 0
			got[i] = make([]float32, len(x))
			f(got[i], x)
		}
		for i := range x {
			if a, b := got[0][i], got[1][i]; math.Float32bits(a) != math.Float32bits(b) && !(a != a && b != b) {
				t.Errorf("%s(%v) is %v in vectors of 8, and %v in those of 16", name, x[i], a, b)
			}
		}
	}
}
