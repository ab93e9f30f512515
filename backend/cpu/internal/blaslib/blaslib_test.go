package blaslib

import (
	"fmt"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

func TestMain(m *testing.M) {
	lib, err := Load()
	fmt.Println(lib, err)
	m.Run()
}

func BenchmarkTiny(b *testing.B) {
	x := make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		blas32.Implementation().Sgemv(blas.NoTrans, 8, 8, 1, x, 8, x[:8], 1, 0, x[8:16], 1)
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, n := range []int{768, 2304, 3072} {
			for _, tr := range []blas.Transpose{blas.NoTrans, blas.Trans} {
				b.Run(fmt.Sprintf("threads=%d/n=%d/%c", threads, n, tr), func(b *testing.B) {
					m, k := 512, 768
					x := make([]float32, m*k)
					w := make([]float32, n*k)
					y := make([]float32, m*n)
					ldw := n
					if tr == blas.Trans {
						ldw = k
					}
					for b.Loop() {
						var wg sync.WaitGroup
						for t := range threads {
							wg.Go(func() {
								lo, hi := n*t/threads, n*(t+1)/threads
								ww := w[lo:]
								if tr == blas.Trans {
									ww = w[lo*k:]
								}
								blas32.Implementation().Sgemm(blas.NoTrans, tr, m, hi-lo, k, 1, x, k, ww, ldw, 0, y[lo:], n)
							})
						}
						wg.Wait()
					}
					b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
				})
			}
		}
	}
}

func BenchmarkGemv(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, tr := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			b.Run(fmt.Sprintf("threads=%d/%c", threads, tr), func(b *testing.B) {
				k, n := 768, 50257*4
				x := make([]float32, k)
				w := make([]float32, n*k)
				for i := range w {
					w[i] = 1
				}
				y := make([]float32, n)
				for b.Loop() {
					var wg sync.WaitGroup
					for t := range threads {
						wg.Go(func() {
							lo, hi := n*t/threads, n*(t+1)/threads
							if tr == blas.NoTrans { // w [n,k]
								blas32.Implementation().Sgemv(blas.NoTrans, hi-lo, k, 1, w[lo*k:], k, x, 1, 0, y[lo:], 1)
							} else { // w [k,n]
								blas32.Implementation().Sgemv(blas.Trans, k, hi-lo, 1, w[lo:], n, x, 1, 0, y[lo:], 1)
							}
						})
					}
					wg.Wait()
				}
				b.ReportMetric(4*float64(n)*float64(k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GB/s")
			})
		}
	}
}
