//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
)

// runMore runs ops that the suite leaves to drivers, or has in no such size, for barriers that only they need. Their
// operands are 0: races do not depend on values.
func runMore(t *testing.T) traces {
	ts := traces{}
	run := func(b *Backend, op backend.Op) {
		t.Helper()
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		if err := b.waitAll(); err != nil {
			t.Fatal(err)
		}
	}

	// Pieces of queries, and keys that none of a piece sees; sinks.
	b := played{name: "windows", lanes: 32, clamp: func(l *Limits) { l.BindingRange, l.BindingAlign = 8<<10, 256 }}.open(t, ts)
	const time, heads = 200, 2
	for _, size := range []int{6, 8} {
		wide := func() backend.Tensor { return newTensor(t, b, backend.F32, 1, time, heads*size) }
		run(b, &backend.AttentionBackward{
			DQ: wide(), DK: wide(), DV: wide(), DY: wide(), Q: wide(), K: wide(), V: wide(),
			Stats: newTensor(t, b, backend.F32, 1, heads, time, 2), Sinks: newTensor(t, b, backend.F32, heads),
			DSinks: newTensor(t, b, backend.F32, heads), Heads: heads, Scale: 1, Window: 5,
		})
	}

	// More columns than the workgroups of a dispatch have, with rows that several invocations add up.
	b = played{name: "columns", lanes: 32, clamp: fewGroups}.open(t, ts)
	const rows = 70
	for _, width := range []int{131, 400} {
		f32 := func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }
		run(b, &backend.LayerNormBackward{
			DX: f32(rows, width), DGamma: f32(width), DBeta: f32(width), X: f32(rows, width), DY: f32(rows, width), Gamma: f32(width),
			Stats: f32(rows, 2), Epsilon: 1e-5,
		})
		run(b, &backend.RMSNormBackward{
			DX: f32(rows, width), DGamma: f32(width), X: f32(rows, width), DY: f32(rows, width), Gamma: f32(width), Stats: f32(rows, 1), Epsilon: 1e-5,
		})
		for _, d := range []backend.DType{backend.F32, backend.F16} {
			run(b, &backend.LinearBackward{
				DW: f32(width, 8), DBias: f32(width), DY: newTensor(t, b, d, rows, width), X: newTensor(t, b, d, rows, 8),
			})
		}
	}
	return ts
}
