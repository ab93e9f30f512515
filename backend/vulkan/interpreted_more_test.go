//go:build cgo

package vulkan

import (
	"bytes"
	"encoding/binary"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
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

	// Several subgroups that share tiles of keys.
	shapes := []vk.MatrixShape{{M: 16, N: 16, K: 16}}
	for _, vendor := range []uint32{0, nvidia} { // queries stay in shared memory, or in registers
		runMatrixAttentions(t, played{name: "matrices", lanes: 32, shapes: shapes, clamp: func(l *Limits) { l.Vendor = vendor }}.open(t, ts))
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

	// Several chunks of keys, and rows of x and w, in every dtype.
	for _, c := range []played{
		{name: "dtypes-4", lanes: 4, software: true, unified: true}, {name: "dtypes-32", lanes: 32, clamp: dots}, {name: "dtypes-64", lanes: 64, clamp: noSubgroups},
	} {
		b = c.open(t, ts)
		for _, d := range backend.DTypes(backend.Weights) {
			runLinears(t, b, d, run)
			if !d.Quantized() || takesEights(d) || takesRuns(d) {
				runPlaces(t, b, d, run)
			}
		}
		for _, d := range backend.DTypes(backend.Caches) {
			runAttentions(t, b, d, run)
		}
	}
	// Norms of rows that several subgroups share, with and without a store.
	b = played{name: "norms", lanes: 32}.open(t, ts)
	const in, out = 1600, 8
	for _, centered := range []bool{false, true} {
		for _, cache := range []backend.DType{backend.None, backend.F16} {
			f32 := func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }
			op := &backend.Linear{Dst: f32(1, 1, out), X: f32(1, 1, in), W: f32(out, in)}
			op.Norm = backend.LinearNorm{Gamma: f32(in), Epsilon: 1e-5, Normed: f32(1, 1, in)}
			if centered {
				op.Norm.Beta = f32(in)
			}
			if cache != backend.None {
				op.Store = backend.LinearStore{Cache: newTensor(t, b, cache, 1, 4, out), At: newTensor(t, b, backend.I32, 2, 1)}
			}
			if !b.Supports(op) {
				t.Fatalf("%s is not supported", backend.Label(op))
			}
			run(b, op)
		}
	}
	runSamples(t, played{name: "samples", lanes: 4, software: true, unified: true, clamp: fewGroups}.open(t, ts), run)
	return ts
}

// runSamples draws for more rows than there are workgroups. In the first ones all tokens are barred.
func runSamples(t *testing.T, b *Backend, run func(*Backend, backend.Op)) {
	const rows, vocab, barred, window = 10, 300, 3, 4
	const words = (vocab + 31) / 32
	i32 := func(dims ...int) backend.Tensor { return newTensor(t, b, backend.I32, dims...) }
	op := &backend.Sample{
		Dst: i32(rows, backend.SampleWords), Next: i32(rows), X: newTensor(t, b, backend.F32, rows, vocab), Slots: i32(rows),
		Settings: i32(rows, backend.SampleSettingWords), Marks: i32(rows, 2, words), Recent: i32(rows, 2+window),
	}
	var slots, settings []byte
	for i := range rows {
		slots = binary.LittleEndian.AppendUint32(slots, uint32(i))
		s := backend.NewSampleSettings(0.8, 40, 0.95, 0, 1.1, window, uint64(i))
		for _, w := range s.Words() {
			settings = binary.LittleEndian.AppendUint32(settings, uint32(w))
		}
	}
	for _, w := range []struct {
		to   backend.Tensor
		data []byte
	}{{op.Slots, slots}, {op.Settings, settings}, {op.Marks, bytes.Repeat([]byte{0xff}, 4*2*words*barred)}} {
		if err := b.Write(w.to.Buf, 0, w.data); err != nil {
			t.Fatal(err)
		}
	}
	run(b, op)
}

func runLinears(t *testing.T, b *Backend, d backend.DType, run func(*Backend, backend.Op)) {
	for _, in := range []int{66, 96, 256} { // not in fours, in fours, and whole blocks of every type
		if in%d.BlockLen() != 0 || in == 256 && d.BlockLen() < in {
			continue
		}
		for _, rows := range []int{1, 12} {
			op := &backend.Linear{Dst: newTensor(t, b, backend.F32, rows, 12), X: newTensor(t, b, backend.F32, rows, in), W: newTensor(t, b, d, 12, in)}
			run(b, op)
			if d == backend.F16 {
				op.X = newTensor(t, b, d, rows, in)
				run(b, op)
			}
			if d.Quantized() {
				op.X = newTensor(t, b, backend.Q8_A, rows, in)
				run(b, op)
			} else if in%4 == 0 {
				op.W = newTensor(t, b, d, in, 12).Transpose()
				run(b, op)
			}
		}
	}
}

// runPlaces rotates and stores what a product gives, in each type of caches. Several subgroups share a row of blocks.
func runPlaces(t *testing.T, b *Backend, d backend.DType, run func(*Backend, backend.Op)) {
	for _, x := range backend.DTypes(backend.Activations) {
		in := max(128, d.BlockLen())
		if x.Quantized() {
			in = 2048
		}
		for _, cache := range backend.DTypes(backend.Caches) {
			at := newTensor(t, b, backend.I32, 2, 1)
			op := &backend.Linear{
				Dst: newTensor(t, b, backend.F32, 1, 1, 16), X: newTensor(t, b, x, 1, 1, in), W: newTensor(t, b, d, 16, in),
				Sum: newTensor(t, b, backend.F32, 1, 1, 8), Rotation: backend.LinearRotation{Angles: newTensor(t, b, backend.F32, 4, 8), At: at, Heads: 1},
				Store: backend.LinearStore{Cache: newTensor(t, b, cache, 1, 4, 16), At: at},
			}
			if backend.Check(op) == nil && b.Supports(op) {
				run(b, op)
			}
		}
	}
}

func runAttentions(t *testing.T, b *Backend, d backend.DType, run func(*Backend, backend.Op)) {
	const heads, context, block = 2, 1100, 4
	for _, size := range []int{6, 8} {
		for _, time := range []int{1, 8} {
			at := newTensor(t, b, backend.I32, 2, time)
			places := make([]byte, 8*time)
			for i := range time {
				binary.LittleEndian.PutUint32(places[4*(time+i):], uint32(context-time+i))
			}
			if err := b.Write(at.Buf, 0, places); err != nil {
				t.Fatal(err)
			}
			wide := func() backend.Tensor { return newTensor(t, b, backend.F32, 1, time, heads*size) }
			run(b, &backend.Attention{
				Dst: wide(), Q: wide(), K: newTensor(t, b, d, 1, context, heads*size), V: newTensor(t, b, d, 1, context, heads*size),
				At: at, Heads: heads, Scale: 1,
			})
			run(b, &backend.Attention{
				Dst: wide(), Q: wide(), K: newTensor(t, b, d, 1, block, heads*size), V: newTensor(t, b, d, 1, block, heads*size), At: at,
				Table: newTensor(t, b, backend.I32, 1, context/block), Heads: heads, Scale: 1,
			})
		}
	}
}
