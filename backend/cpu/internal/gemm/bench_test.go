package gemm

import (
	"fmt"
	"testing"
)

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// BenchmarkTile is one tile again and again, from the L1 cache: what the multipliers give.
func BenchmarkTile(b *testing.B) {
	const n, times = 512, 100
	before := use
	defer func() { use = before }()
	for _, s := range sets() {
		use = s
		for _, rows := range []int{1, 4, 8} {
			x, w, y := ones(8*n), ones(48*n), ones(8*48)
			dot, outer := s.dot(kindF32, 48), s.outer(kindF32, rows, 48)
			b.Run(fmt.Sprintf("%s/dots/%dx%d", s.name, rows, dot.columns), func(b *testing.B) {
				weights := Matrix{w, n}.Weights()
				for b.Loop() {
					for range times {
						dot.run(&y[0], 4*48, &x[0], 4*n, rows, weights.at(0, 0), 4*n, n, 0)
					}
				}
				report(b, times*rows*dot.columns*n)
			})
			b.Run(fmt.Sprintf("%s/outer/%dx%d", s.name, rows, outer.columns), func(b *testing.B) {
				weights := Matrix{w, outer.columns}.Weights()
				for b.Loop() {
					for range times {
						outer.run(&y[0], 4*48, &x[0], 4*n, 4, rows, weights.at(0, 0), weights.Stride, n/4, outer.columns, 0)
					}
				}
				report(b, times*rows*outer.columns*n/4)
			})
		}
	}
}

// BenchmarkProducts is products of the shapes of GPT-2 with 124 million parameters, on one thread.
func BenchmarkProducts(b *testing.B) {
	ws := new(Workspace)
	for _, shape := range [][2]int{{768, 768}, {768, 2304}, {768, 3072}, {3072, 768}, {768, 50257}} {
		in, out := shape[0], shape[1]
		for _, f := range formats {
			w := Weights{Format: f.Format, Data: make([]byte, f.size(in*out))}
			for _, rows := range []int{1, 4, 64, 512} {
				x, y := Matrix{ones(rows * in), in}, Matrix{ones(rows * out), out}
				b.Run(fmt.Sprintf("%s[out,in]/in=%d/out=%d/rows=%d", f.name, in, out, rows), func(b *testing.B) {
					w.Stride = f.size(in)
					for b.Loop() {
						ws.Dots(y, x, w, rows, out, in)
					}
					report(b, rows*in*out)
				})
				if f.Numbers > 1 {
					continue
				}
				b.Run(fmt.Sprintf("%s[in,out]/in=%d/out=%d/rows=%d", f.name, in, out, rows), func(b *testing.B) {
					w.Stride = f.size(out)
					for b.Loop() {
						ws.Outer(y, x, w, rows, out, in)
					}
					report(b, rows*in*out)
				})
			}
		}
	}
}

// report tells the rate of products, each of which is multiplied and added.
func report(b *testing.B, products int) {
	b.ReportMetric(2*float64(products)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
