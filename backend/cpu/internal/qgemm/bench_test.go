package qgemm

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// BenchmarkProduct is one thread's. Few rows read weights from memory: there are more of them than caches hold.
// Those of the first size fit an L2 cache.
func BenchmarkProduct(b *testing.B) {
	used := Set()
	defer Use(used)
	for _, name := range slices.Sorted(maps.Keys(formats)) {
		for _, n := range [][3]int{{1, 2048, 384}, {1, 768, 100_000}, {4, 768, 100_000}, {8, 768, 3072}, {32, 768, 3072}, {512, 768, 3072}, {512, 3072, 768}} {
			for _, set := range Sets() {
				if set == "go" && n[0] != 32 {
					continue
				}
				Use(set)
				f, rows, in, out := formats[name], n[0], n[1], n[2]
				p := newProblem(rand.New(rand.NewPCG(1, 2)), f, rows, in, 64)
				w := make([]byte, 0, out/64*len(p.w))
				stride := in / f.Len * f.Bytes
				for len(w) < out*stride {
					w = append(w, p.w[:stride]...)
				}
				packed := make([]byte, f.PackedBytes(rows, in))
				for r := range rows {
					f.PackRow(packed, r, rows, p.xRow(r))
				}
				k := f.Kernels(rows)
				if k.Unpacked() {
					packed = p.xRow(0)
				}
				product := Product{Kernels: k, Dst: make([]float32, rows*out), DstStride: out, X: packed, Rows: rows, W: w, WStride: stride, In: in}
				var ws Workspace
				b.Run(fmt.Sprintf("%s/rows=%d/in=%d/out=%d/%s", name, rows, in, out, set), func(b *testing.B) {
					for b.Loop() {
						product.Columns(&ws, 0, rows, 0, out)
					}
					s := b.Elapsed().Seconds() / float64(b.N)
					b.ReportMetric(2*float64(rows)*float64(in)*float64(out)/s/1e9, "GOP/s")
					b.ReportMetric(float64(len(w))/s/1e9, "GB/s")
				})
			}
		}
	}
}
