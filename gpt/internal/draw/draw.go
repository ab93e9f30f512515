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

// Block is how many logits are one item of work. Passes add up sums of blocks in their order, so bits do not depend on the
// number of threads.
const Block = 1024

// Passes runs the passes that read all logits: on the threads of a backend, if it shares them. Its memory is used again.
// It is not safe for use by several goroutines.
type Passes struct {
	Backend backend.Backend // nil: the caller's thread alone

	x           []float32 // those in hand
	best, scale float32
	pass        func(p *Passes, block int, x []float32)
	largest     []float32 // of each block; NaN: it has a NaN or +∞
	sums        []float64
	weights     []uint64
}

// Work implements [backend.Work].
func (p *Passes) Work(from, to int) {
	for i := from; i < to; i++ {
		p.pass(p, i, p.x[i*Block:min((i+1)*Block, len(p.x))])
	}
}

// run takes the blocks of x, each of which is about nanos ns of work.
func (p *Passes) run(x []float32, nanos float64, pass func(p *Passes, block int, x []float32)) {
	p.x, p.pass = x, pass
	backend.Share(p.Backend, p, (len(x)+Block-1)/Block, nanos)
	p.x = nil
}

// resized is s with room for a number for each block of n logits.
func resized[T any](s []T, n int) []T {
	n = (n + Block - 1) / Block
	return slices.Grow(s[:0], n)[:n]
}

// Largest is the index of the largest of x, the first if there are several. ok is false if one is NaN or +∞.
func (p *Passes) Largest(x []float32) (index int, ok bool) {
	p.largest = resized(p.largest, len(x))
	p.run(x, 100, func(p *Passes, block int, x []float32) { p.largest[block] = largest(x) })
	at := 0 // the first block that has it
	for i, v := range p.largest {
		if v != v {
			return 0, false
		}
		if v > p.largest[at] {
			at = i
		}
	}
	return at*Block + slices.Index(x[at*Block:], p.largest[at]), true
}

// largest is the largest number, or NaN if one is NaN or +∞.
func largest(x []float32) float32 {
	most, n := float32(math.Inf(-1)), 0
	if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
		var bad uint32
		if most, bad = use.largest(&x[0], whole); bad != 0 {
			return float32(math.NaN())
		}
		n = whole
	}
	for _, v := range x[n:] {
		if v-v != 0 && !math.IsInf(float64(v), -1) {
			return float32(math.NaN())
		}
		most = max(most, v)
	}
	return most
}

// ExpSum is the sum of exp(v − best) over x, of which best is the largest, within 10⁻¹³ of it.
func (p *Passes) ExpSum(x []float32, best float32) (sum float64) {
	p.best, p.sums = best, resized(p.sums, len(x))
	p.run(x, 500, func(p *Passes, block int, x []float32) {
		n, sum := 0, 0.0
		if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
			n, sum = whole, use.expSum(&x[0], whole, float64(p.best))
		}
		p.sums[block] = sum + expSum(x[n:], p.best)
	})
	for _, v := range p.sums {
		sum += v
	}
	return sum
}

// WeightSums are the sums of [Weights] of each block. They are valid until the next call.
func (p *Passes) WeightSums(x []float32, best, scale float32) []uint64 {
	p.best, p.scale, p.weights = best, scale, resized(p.weights, len(x))
	p.run(x, 1000, func(p *Passes, block int, x []float32) {
		n, sum := 0, uint64(0)
		if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
			n, sum = whole, use.weightSum(&x[0], whole, p.best, p.scale)
		}
		for _, v := range x[n:] {
			sum += weight(v, p.best, p.scale)
		}
		p.weights[block] = sum
	})
	return p.weights
}

// Weights sets dst to [backend.SampleWeight] of the distances of x from best, which is the number of the largest's key,
// times scale, and returns their sum. Those of −∞ are 0. No other number of x is infinite or NaN.
func Weights(dst []uint64, x []float32, best, scale float32) (sum uint64) {
	n := 0
	if whole := len(x) &^ (lanes - 1); use != nil && whole > 0 {
		n, sum = whole, use.weights(&dst[:whole][0], &x[0], whole, best, scale)
	}
	for i, v := range x[n:] {
		w := weight(v, best, scale)
		dst[n+i] = w
		sum += w
	}
	return sum
}

func weight(v, best, scale float32) uint64 {
	if v < -math.MaxFloat32 {
		return 0
	}
	return backend.SampleWeight(float32(backend.SampleBelow(best, v) * scale)) // 0 where the product overflows
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
	largest   func(x *float32, n int) (largest float32, bad uint32)
	expSum    func(x *float32, n int, best float64) float64
	weights   func(dst *uint64, x *float32, n int, best, scale float32) uint64
	weightSum func(x *float32, n int, best, scale float32) uint64
	above     func(dst *uint16, x *float32, n int, floor float32) // a bit for each number
}

// use is what serves; nil: Go.
var use = func() *functions {
	if len(sets) > 0 {
		return sets[0]
	}
	return nil
}()
