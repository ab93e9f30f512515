//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"caldera/backend"
)

// benchDevice is an environment variable with a part of the name of the device for
// benchmarks. Without it they run on lavapipe. On a machine with a GPU:
//
//	CALDERA_BENCH_DEVICE=NVIDIA go test -run '^$' -bench Halves ./backend/vulkan
const benchDevice = "CALDERA_BENCH_DEVICE"

func benchIndex(b *testing.B) int {
	if name := os.Getenv(benchDevice); name != "" {
		return index(b, name)
	}
	return index(b, lavapipe)
}

// BenchmarkKernels measures the ops that take most time in GPT-2 124M, for decoding one
// token and for a prompt of 512. Weights of torch's Linear are [out, in]; GPT-2's files
// have [in, out].
func BenchmarkKernels(b *testing.B) {
	dev, err := Open(Options{Device: benchIndex(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	for _, rows := range []int{1, 4, 512} {
		for _, shape := range [][2]int{{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}, {768, 50257}} {
			in, out := shape[0], shape[1]
			if out == 50257 && rows > 4 {
				continue
			}
			for _, d := range []backend.DType{backend.F32, backend.F16} {
				for _, layout := range []string{"out-in", "in-out"} {
					if out == 50257 && layout == "in-out" {
						continue
					}
					b.Run(fmt.Sprintf("linear/%v/%s/rows=%d/%dx%d", d, layout, rows, in, out), func(b *testing.B) {
						x, dst := random(b, dev, backend.F32, rows, in), random(b, dev, backend.F32, rows, out)
						w := random(b, dev, d, out, in)
						if layout == "in-out" {
							w = w.Reshape(in, out).Transpose()
						}
						bias := random(b, dev, backend.F32, out)
						measure(b, dev, &backend.Linear{Dst: dst, X: x, W: w, Bias: bias}, 2*rows*in*out, w.Size())
						for _, t := range []backend.Tensor{x, dst, w, bias} {
							t.Buf.Free()
						}
					})
				}
			}
		}
	}
	for _, s := range [][3]int{{1, 128, 0}, {1, 1024, 0}, {1, 1024, 128}, {512, 512, 0}, {512, 512, 64}} {
		queries, context, window := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("attention/time=%d/context=%d/window=%d", queries, context, window), func(b *testing.B) {
			qkv := random(b, dev, backend.F32, 1, queries, 3*768)
			op := &backend.Attention{
				Q: qkv.Slice(-1, 0, 768), Dst: random(b, dev, backend.F32, 1, queries, 768),
				K: random(b, dev, backend.F32, 1, context, 768), V: random(b, dev, backend.F32, 1, context, 768),
				At: placesOn(b, dev, 1, queries, context-queries), Heads: 12, Scale: 0.125, Window: window,
			}
			flops, bytes := op.Cost()
			measure(b, dev, op, int(flops), int(bytes))
		})
	}
	benchTraining(b, dev)
	benchAttentionBackward(b, dev)
	benchWeights(b, dev)
	x, dst := random(b, dev, backend.F32, 512, 768), random(b, dev, backend.F32, 512, 768)
	gamma := random(b, dev, backend.F32, 768)
	scores, ids := random(b, dev, backend.F32, 1, 50257), random(b, dev, backend.I32, 1, 1)
	probs := random(b, dev, backend.F32, 1, 50257)
	for _, op := range []backend.Op{
		&backend.LayerNorm{Dst: dst, X: x, Gamma: gamma, Beta: gamma, Epsilon: 1e-5},
		&backend.Activate{Dst: dst, X: x, Func: backend.GELUTanh},
		&backend.RMSNorm{Dst: dst, X: x, Gamma: gamma, Epsilon: 1e-5},
		&backend.Rotary{Dst: dst, X: x, Angles: random(b, dev, backend.F32, 512, 64), At: placesOn(b, dev, 1, 512, 0), Heads: 12},
		&backend.GatedActivation{Dst: dst, Gate: x, Up: x, Func: backend.SiLU},
		&backend.Scale{Dst: dst, X: x, By: gamma.Slice(-1, 0, 1)},
		&backend.Add{Dst: dst, A: x, B: x},
		&backend.Copy{Dst: dst, X: x},
		&backend.Copy{Dst: random(b, dev, backend.F16, 512, 768), X: x},
		&backend.Softmax{Dst: probs, X: scores},
		&backend.Argmax{Dst: ids, X: scores},
	} {
		name := op.Name()
		if c, ok := op.(*backend.Copy); ok {
			name += "/" + c.Dst.DType.String()
		}
		b.Run(name, func(b *testing.B) {
			bytes := 0
			op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) { bytes += t.Size() })
			measure(b, dev, op, 0, bytes)
		})
	}
}

// benchTraining measures the ops that take most time in training: a linear layer forward
// and backward, and the ops on tokens.
func benchTraining(b *testing.B, dev *Backend) {
	f32 := func(dims ...int) backend.Tensor { return random(b, dev, backend.F32, dims...) }
	type sized struct {
		name        string
		op          backend.Op
		flop, bytes int
	}
	for _, shape := range [][3]int{{256, 768, 3072}, {768, 128, 512}, {1024, 768, 768}, {128, 768, 50257}} {
		rows, in, out := shape[0], shape[1], shape[2]
		flop := 2 * rows * in * out
		x, w, bias, dy := f32(rows, in), f32(out, in), f32(out), f32(rows, (out+3)/4*4).Slice(-1, 0, out) // as nn has scores
		dx, dw := f32(rows, in), f32(out, in)
		for _, c := range []sized{
			{"forward", &backend.Linear{Dst: dy, X: x, W: w, Bias: bias}, flop, w.Size()},
			{"dx", &backend.Linear{Dst: dx, X: dy, W: w.Transpose()}, flop, w.Size()},
			{"dw", &backend.LinearBackward{DW: dw, DBias: bias, DY: dy, X: x}, flop, w.Size()},
			{"dw-in-out", &backend.LinearBackward{DW: dw.Reshape(in, out).Transpose(), DBias: bias, DY: dy, X: x}, flop, w.Size()},
		} {
			b.Run(fmt.Sprintf("training/linear/%dx%dx%d/%s", rows, in, out, c.name), func(b *testing.B) { measure(b, dev, c.op, c.flop, c.bytes) })
		}
		for _, t := range []backend.Tensor{x, w, bias, dy, dx, dw} {
			t.Buf.Free()
		}
	}
	ids := random(b, dev, backend.I32, 8, 256)
	words := make([]int32, ids.Len())
	for i := range words {
		words[i] = int32(i * i % 1009)
	}
	if err := backend.SetI32(dev, ids, words); err != nil {
		b.Fatal(err)
	}
	scores, loss, dy := f32(128, 50257), f32(128), f32(8, 256, 768)
	for _, op := range []backend.Op{
		&backend.CrossEntropy{Loss: loss, X: scores, Targets: ids.Reshape(2048).Slice(-1, 0, 128), Scale: 1},
		&backend.EmbeddingBackward{
			DTokens: f32(50257, 768), DPositions: f32(256, 768), DY: dy, IDs: ids, At: placesOn(b, dev, 8, 256, 0),
		},
		&backend.Dropout{Dst: f32(8, 256, 768), X: dy, Seed: ids.Reshape(2048).Slice(-1, 0, 4), Rate: 0.1},
	} {
		b.Run("training/"+op.Name(), func(b *testing.B) { measure(b, dev, op, 0, scores.Size()) })
	}
}

// BenchmarkHalves compares the three ways in which a GPU multiplies, tiles of
// f32, tiles of f16 and cooperative matrices of f16, in a linear layer forward
// and back. A software driver simulates a GPU, for it has ways of its own.
func BenchmarkHalves(b *testing.B) {
	for _, way := range []struct {
		name  string
		dtype backend.DType
		clamp func(*Limits)
	}{
		{"f32-tiles", backend.F32, func(*Limits) {}},
		{"f16-tiles", backend.F16, func(l *Limits) { l.Matrix = [3]uint32{} }},
		{"f16-matrices", backend.F16, func(*Limits) {}},
	} {
		software := false
		dev, err := Open(Options{Device: benchIndex(b), Limits: func(l *Limits) {
			software, l.Software = l.Software, false
			way.clamp(l)
		}})
		if err != nil {
			b.Fatal(err)
		}
		defer dev.Close()
		if way.name == "f16-matrices" {
			if dev.limits.Matrix == [3]uint32{} {
				b.Log("no cooperative matrices")
				continue
			}
			b.Logf("cooperative matrices of %v, subgroups of %d", dev.limits.Matrix, dev.limits.SubgroupSize)
		}
		for _, shape := range [][3]int{{1024, 768, 768}, {1024, 768, 3072}, {8192, 1024, 4096}, {8192, 4096, 4096}} {
			rows, in, out := shape[0], shape[1], shape[2]
			if software && rows > 1024 {
				continue
			}
			x, w, dy := random(b, dev, way.dtype, rows, in), random(b, dev, way.dtype, out, in), random(b, dev, way.dtype, rows, out)
			y, dx, dw := random(b, dev, backend.F32, rows, out), random(b, dev, backend.F32, rows, in), random(b, dev, backend.F32, out, in)
			for _, c := range []struct {
				name string
				op   backend.Op
			}{
				{"forward", &backend.Linear{Dst: y, X: x, W: w}},
				{"dx", &backend.Linear{Dst: dx, X: dy, W: w.Transpose()}},
				{"dw", &backend.LinearBackward{DW: dw, DY: dy, X: x}},
			} {
				b.Run(fmt.Sprintf("%dx%dx%d/%s/%s", rows, in, out, c.name, way.name), func(b *testing.B) {
					measure(b, dev, c.op, 2*rows*in*out, w.Size())
				})
			}
			for _, t := range []backend.Tensor{x, w, dy, y, dx, dw} {
				t.Buf.Free()
			}
		}
	}
}

// benchAttentionBackward measures attention and its gradient.
func benchAttentionBackward(b *testing.B, dev *Backend) {
	for _, time := range []int{64, 256} {
		shape := fmt.Sprintf("batch=4/time=%d", time)
		qkv, dqkv := random(b, dev, backend.F32, 4, time, 3*768), random(b, dev, backend.F32, 4, time, 3*768)
		y, dy := random(b, dev, backend.F32, 4, time, 768), random(b, dev, backend.F32, 4, time, 768)
		stats, at := random(b, dev, backend.F32, 4, 12, time, 2), placesOn(b, dev, 4, time, 0)
		pairs := 4 * time * (time + 1) / 2 // of queries and keys
		part := func(x backend.Tensor, i int) backend.Tensor { return x.Slice(-1, i*768, (i+1)*768) }
		b.Run("attention/"+shape, func(b *testing.B) {
			measure(b, dev, &backend.Attention{Dst: y, Q: part(qkv, 0), K: part(qkv, 1), V: part(qkv, 2), At: at, Heads: 12, Scale: 0.125}, 4*768*pairs, qkv.Size())
		})
		b.Run("attention_backward/"+shape, func(b *testing.B) {
			measure(b, dev, &backend.AttentionBackward{DQ: part(dqkv, 0), DK: part(dqkv, 1), DV: part(dqkv, 2),
				Q: part(qkv, 0), K: part(qkv, 1), V: part(qkv, 2), DY: dy, Stats: stats, Heads: 12, Scale: 0.125}, 10*768*pairs, qkv.Size())
		})
	}
}

// benchWeights measures ops without products.
func benchWeights(b *testing.B, dev *Backend) {
	f32 := func(dims ...int) backend.Tensor { return random(b, dev, backend.F32, dims...) }
	vector := func() backend.Tensor { return f32(768) }
	x, dx, dy, squares := f32(3072, 768), f32(3072, 768), f32(3072, 768), f32(3072, 768)
	step, scale := f32(3), f32(1)
	if err := errors.Join(
		backend.SetF32(dev, squares, make([]float32, squares.Len())),
		backend.SetF32(dev, step, []float32{1e-3, 0.1, 0.05}), backend.SetF32(dev, scale, []float32{1}),
	); err != nil {
		b.Fatal(err)
	}
	for _, op := range []backend.Op{
		&backend.ActivateBackward{DX: dx, X: x, DY: dy, Func: backend.GELUTanh},
		&backend.LayerNormBackward{
			DX: dx, DGamma: vector(), DBeta: vector(), X: x, DY: dy, Gamma: vector(), Stats: f32(3072, 2), Epsilon: 1e-5,
		},
		&backend.RMSNormBackward{DX: dx, DGamma: vector(), X: x, DY: dy, Gamma: vector(), Stats: f32(3072, 1), Epsilon: 1e-5},
		&backend.GatedActivationBackward{DGate: dx, DUp: f32(3072, 768), Gate: x, Up: x, DY: dy, Func: backend.SiLU},
		&backend.SumSquares{Dst: f32(3072, 1), X: x},
		&backend.AdamW{W: dx, M: dy, V: squares, G: x, Step: step, Scale: scale, Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1},
		&backend.Add{Dst: dx, A: x, B: dy}, // to compare with
	} {
		b.Run("training/"+op.Name(), func(b *testing.B) {
			bytes := 0
			op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) { bytes += t.Size() })
			measure(b, dev, op, 0, bytes)
		})
	}
}

// measure runs op and reports its FLOP and bytes per second.
func measure(b *testing.B, dev *Backend, op backend.Op, flop, bytes int) {
	measureAll(b, dev, []backend.Op{op}, flop, bytes)
}

// measureAll measures ops in one program.
func measureAll(b *testing.B, dev *Backend, ops []backend.Op, flop, bytes int) {
	program, err := backend.Record(dev, ops...)
	if err != nil {
		b.Fatal(err)
	}
	defer program.Close()
	wait := func() {
		if err := dev.Read(make([]byte, 4), operandBuffer(ops[0]), 0); err != nil {
			b.Fatal(err)
		}
	}
	if err := program.Run(); err != nil { // compiles
		b.Fatal(err)
	}
	wait()
	b.ResetTimer()
	before := processorTime(b)
	for range b.N {
		if err := program.Run(); err != nil {
			b.Fatal(err)
		}
	}
	wait()
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric((processorTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op") // steadier on a shared machine
	if flop > 0 {
		b.ReportMetric(float64(flop)/seconds/1e9, "GFLOP/s")
	}
	b.ReportMetric(float64(bytes)/seconds/1e9, "GB/s")
}

// processorTime returns the CPU time that all threads have used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// operandBuffer returns the buffer of op's first operand, its destination.
func operandBuffer(op backend.Op) (buf backend.Buffer) {
	op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) {
		if buf == nil {
			buf = t.Buf
		}
	})
	return buf
}

// random makes a tensor of random numbers around 0. They are no denormals, which are slow.
func random(b *testing.B, dev *Backend, d backend.DType, dims ...int) backend.Tensor {
	t, err := backend.New(dev, d, dims...)
	if err != nil {
		b.Fatal(err)
	}
	if d == backend.I32 {
		return t
	}
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	if err := backend.SetF32(dev, t, values); err != nil {
		b.Fatal(err)
	}
	return t
}
