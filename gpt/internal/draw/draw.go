// Package draw has the passes over all logits of a vocabulary that drawing a token on the host takes. Each is written in
// Go, and in assembly with AVX2 and AVX-512 for amd64.
package draw

import (
	"math"
	"math/bits"
	"slices"

	"caldera/backend"
)

// lanes divides the number of logits that assembly takes. Those that are left are for Go.
const lanes = 16

// block is how many logits are passed over at once where one of them is looked for then.
const block = 1024

// Largest is the index of the largest of x, the first if there are several. ok is false if one is NaN or +∞.
func Largest(x []float32) (index int, ok bool) {
	at, largest := 0, float32(math.Inf(-1)) // of the first block that has it
	n := 0
	if use != nil {
		for whole := len(x) &^ (lanes - 1); n < whole; {
			size := min(block, whole-n)
			v, bad := use.largest(&x[n], size)
			if bad != 0 {
				return 0, false
			}
			if v > largest {
				at, largest = n, v
			}
			n += size
		}
	}
	for i, v := range x[n:] {
		if v-v != 0 && !math.IsInf(float64(v), -1) {
			return 0, false
		}
		if v > largest {
			at, largest = n+i, v
		}
	}
	return at + slices.Index(x[at:], largest), true
}

// ExpSum is the sum of exp(v − best) over x, of which best is the largest, within 10⁻¹³ of it.
func ExpSum(x []float32, best float32) (sum float64) {
	n := 0
	if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
		n, sum = whole, use.expSum(&x[0], whole, float64(best))
	}
	return sum + expSum(x[n:], best)
}

// Weights sets dst to [backend.SampleWeight] of the distances of x from best, which is the number of the largest's key,
// times scale, and returns their sum. Those of −∞ are 0. No other number of x is infinite or NaN.
func Weights(dst []uint64, x []float32, best, scale float32) (sum uint64) {
	n := 0
	if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
		n, sum = whole, use.weights(&dst[:whole][0], &x[0], whole, best, scale)
	}
	for i, v := range x[n:] {
		w := uint64(0)
		if v >= -math.MaxFloat32 {
			w = backend.SampleWeight(float32(backend.SampleBelow(best, v) * scale)) // 0 where the product overflows
		}
		dst[n+i] = w
		sum += w
	}
	return sum
}

// Finder is the memory that Above needs.
type Finder struct {
	masks []uint16
	ids   []int32
}

// Above is the indices of the numbers of x that are floor or more, in their order. They are valid until the next call.
func (f *Finder) Above(x []float32, floor float32) []int32 {
	n := 0
	f.ids = f.ids[:0]
	if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
		n = whole
		if words := whole / lanes; len(f.masks) < words {
			f.masks = make([]uint16, words)
		}
		use.above(&f.masks[0], &x[0], whole, floor)
		for i, m := range f.masks[:whole/lanes] {
			for ; m != 0; m &= m - 1 {
				f.ids = append(f.ids, int32(lanes*i+bits.TrailingZeros16(m)))
			}
		}
	}
	for i, v := range x[n:] {
		if v >= floor {
			f.ids = append(f.ids, int32(n+i))
		}
	}
	return f.ids
}

// functions are those of an instruction set. n is a multiple of lanes, above 0.
type functions struct {
	largest func(x *float32, n int) (largest float32, bad uint32)
	expSum  func(x *float32, n int, best float64) float64
	weights func(dst *uint64, x *float32, n int, best, scale float32) uint64
	above   func(dst *uint16, x *float32, n int, floor float32) // a bit for each number
}

// use is what serves; nil: Go.
var use = func() *functions {
	if len(sets) > 0 {
		return sets[0]
	}
	return nil
}()
