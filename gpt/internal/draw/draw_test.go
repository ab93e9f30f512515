package draw

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"caldera/backend"
)

func TestExp(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 200_000 {
		x := -rng.Float64() * math.Exp2(float64(i%30-20))
		if x < -700 {
			continue
		}
		got, want := Exp(x), math.Exp(x)
		if math.Abs(got-want) > 1e-13*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if got := Exp(0); got != 1 {
		t.Errorf("exp(0) = %v, want 1", got)
	}
	for _, x := range []float64{-701, -1e300, math.Inf(-1)} {
		if got := Exp(x); !(got > 0 && got < 1e-303) {
			t.Errorf("exp(%v) = %v, want next to nothing", x, got)
		}
	}
}

// eachSet calls test with each instruction set of this processor, and without.
func eachSet(t *testing.T, test func(t *testing.T, name string)) {
	usual := use
	defer func() { use = usual }()
	for i, s := range append(slices.Clone(sets), nil) {
		use = s
		test(t, map[bool]string{true: "Go", false: "set " + string(rune('0'+i))}[s == nil])
	}
}

// logits are n numbers of all sizes.
func logits(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	scale := math.Exp(3 * r.NormFloat64())
	for i := range x {
		x[i] = float32(scale*r.NormFloat64() - 5)
		if r.IntN(9) == 0 {
			x[i] = []float32{float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1e-40, -1e-40, 1.2e-38, -math.MaxFloat32, math.MaxFloat32 / 2, -32, 31.999}[r.IntN(10)]
		}
	}
	return x
}

// size is mostly that of a part of a block, and sometimes of several.
func size(r *rand.Rand) int {
	if r.IntN(20) == 0 {
		return 1 + r.IntN(3*Block)
	}
	return 1 + r.IntN(100)
}

// goroutines has one for each item.
type goroutines struct{ backend.Backend }

func (goroutines) Share(w backend.Work, n int, nanos float64) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { w.Work(i, i+1) })
	}
	all.Wait()
}

var threads = []*Passes{{}, {Backend: goroutines{}}}

func TestLargest(t *testing.T) {
	eachSet(t, func(t *testing.T, name string) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			p, x := threads[r.IntN(2)], logits(r, size(r))
			i, ok := p.Largest(x)
			if !ok || i != slices.Index(x, slices.Max(x)) {
				t.Fatalf("%s: the largest of %v is at %d, %t", name, x, i, ok)
			}
			x[r.IntN(len(x))] = []float32{float32(math.NaN()), float32(math.Inf(1))}[r.IntN(2)]
			if _, ok := p.Largest(x); ok {
				t.Fatalf("%s: %v passes as finite", name, x)
			}
		}
	})
}

func TestExpSum(t *testing.T) {
	eachSet(t, func(t *testing.T, name string) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 2000 {
			p, x := threads[r.IntN(2)], logits(r, size(r))
			best, want := slices.Max(x), 0.0
			for _, v := range x {
				want += math.Exp(float64(v) - float64(best))
			}
			if best < -math.MaxFloat32 {
				continue
			}
			if got := p.ExpSum(x, best); !(math.Abs(got-want) <= 1e-13*want) {
				t.Fatalf("%s: the sum of %v is %v, expected %v", name, x, got, want)
			}
		}
	})
}

// TestWeights wants the bits of package backend's.
func TestWeights(t *testing.T) {
	eachSet(t, func(t *testing.T, name string) {
		r := rand.New(rand.NewPCG(5, 6))
		for range 4000 {
			p, x := threads[r.IntN(2)], logits(r, size(r))
			top := slices.Max(x)
			if top < -math.MaxFloat32 {
				continue
			}
			best := backend.SampleKey(math.Float32bits(top))
			scale := float32(math.Exp(8 * r.NormFloat64()))
			if r.IntN(5) == 0 {
				scale = []float32{0, 1, 1e-38, 1e38, math.MaxFloat32}[r.IntN(5)]
			}
			s, got, sum := backend.SampleSettings{Scale: scale}, make([]uint64, len(x)), uint64(0)
			total := Weights(got, x, backend.SampleValue(best), scale)
			for i, v := range x {
				want := uint64(0)
				if key := backend.SampleKey(math.Float32bits(v)); key != backend.SampleKeyNone {
					want = backend.SampleWeight(s.SampleScaled(backend.SampleDistance(best, key)))
				}
				if got[i] != want {
					t.Fatalf("%s: %v below %v times %v weighs %d, expected %d", name, v, top, scale, got[i], want)
				}
				sum += want
			}
			if total != sum {
				t.Fatalf("%s: weights add up to %d, expected %d", name, total, sum)
			}
			for i, sum := range p.WeightSums(x, backend.SampleValue(best), scale) {
				want := uint64(0)
				for _, w := range got[i*Block : min((i+1)*Block, len(got))] {
					want += w
				}
				if sum != want {
					t.Fatalf("%s: those of block %d add up to %d, expected %d", name, i, sum, want)
				}
			}
		}
	})
}

func TestAbove(t *testing.T) {
	eachSet(t, func(t *testing.T, name string) {
		r := rand.New(rand.NewPCG(7, 8))
		var f Finder
		for range 2000 {
			x := logits(r, 1+r.IntN(100))
			floor := x[r.IntN(len(x))]
			var want []int32
			for i, v := range x {
				if v >= floor {
					want = append(want, int32(i))
				}
			}
			if got := f.Above(x, floor); !slices.Equal(got, want) {
				t.Fatalf("%s: %v are at least %v of %v, expected %v", name, got, floor, x, want)
			}
		}
	})
}
