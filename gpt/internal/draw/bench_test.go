package draw

import (
	"math"
	"math/rand/v2"
	"testing"
)

func BenchmarkPasses(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 50_257)
	for i := range x {
		x[i] = float32(3 * r.NormFloat64())
	}
	var p Passes
	i, _ := p.Largest(x)
	best, dst := x[i], make([]uint64, 1024)
	var f Finder
	for _, pass := range []struct {
		name string
		run  func()
	}{
		{"largest", func() { p.Largest(x) }},
		{"exp sum", func() { p.ExpSum(x, best) }},
		{"weights", func() {
			for from := 0; from < len(x); from += 1024 {
				Weights(dst, x[from:min(from+1024, len(x))], best, 1.25)
			}
		}},
		{"sums of weights", func() { p.WeightSums(x, best, 1.25) }},
		{"above", func() { f.Above(x, best-3) }},
		{"above nothing", func() { f.Above(x, float32(math.Inf(1))) }},
	} {
		b.Run(pass.name, func(b *testing.B) {
			for b.Loop() {
				pass.run()
			}
		})
	}
}
