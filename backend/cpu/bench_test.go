package cpu

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
)

// The shapes are those of GPT-2 with 124 million parameters.
const (
	benchWidth   = 768
	benchHeads   = 12
	benchLayers  = 12
	benchVocab   = 50257
	benchContext = 1024
)

func open(tb testing.TB) *Backend {
	tb.Helper()
	b, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

// tensor is of ones and twos, rather than of zeros, which have no pages.
func tensor(tb testing.TB, b backend.Backend, d backend.DType, dims ...int) backend.Tensor {
	tb.Helper()
	t, err := backend.New(b, d, dims...)
	if err != nil {
		tb.Fatal(err)
	}
	if d == backend.I32 {
		return t
	}
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(1+i%2) / 64
	}
	if err := backend.SetF32(b, t, values); err != nil {
		tb.Fatal(err)
	}
	return t
}

// run measures ops, given the arithmetic of a run and the bytes it has to read.
func run(b *testing.B, be backend.Backend, flop, bytes float64, ops ...backend.Op) {
	b.Helper()
	p, err := backend.Record(be, ops...)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	fastest := time.Hour
	for b.Loop() {
		from := time.Now()
		if err := p.Run(); err != nil {
			b.Fatal(err)
		}
		fastest = min(fastest, time.Since(from))
	}
	b.ReportMetric(fastest.Seconds()*1e3, "ms")
	s := b.Elapsed().Seconds() / float64(b.N)
	if flop > 0 {
		b.ReportMetric(flop/s/1e9, "GFLOP/s")
	}
	if bytes > 0 {
		b.ReportMetric(bytes/s/1e9, "GB/s")
	}
}

func BenchmarkLinear(b *testing.B) {
	be := open(b)
	for _, rows := range []int{1, 2, 4, 8, 32, 512} {
		for _, n := range [][2]int{{768, 768}, {768, 2304}, {768, 3072}, {3072, 768}, {768, benchVocab}} {
			in, out := n[0], n[1]
			if out == benchVocab && rows > 1 {
				continue
			}
			for _, d := range []backend.DType{backend.F32, backend.F16} {
				for _, way := range []string{"out,in", "in,out"} {
					b.Run(fmt.Sprintf("rows=%d/in=%d/out=%d/%v[%s]", rows, in, out, d, way), func(b *testing.B) {
						var w backend.Tensor
						if way == "out,in" {
							w = tensor(b, be, d, out, in)
						} else {
							w = tensor(b, be, d, in, out).Transpose()
						}
						defer w.Buf.Free()
						run(b, be, 2*float64(rows)*float64(in)*float64(out), float64(w.Size()), &backend.Linear{
							Dst: tensor(b, be, backend.F32, rows, out), X: tensor(b, be, backend.F32, rows, in),
							W: w, Bias: tensor(b, be, backend.F32, out)})
					})
				}
			}
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	be := open(b)
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		for _, n := range [][2]int{{1, 512}, {1, 4095}, {1, 8191}, {512, 0}, {512, 3584}, {512, 7680}} { // queries, position
			b.Run(fmt.Sprintf("rows=%d/at=%d/%v", n[0], n[1], d), func(b *testing.B) {
				op := benchAttention(b, be, d, n[0], max(benchContext, n[0]+n[1]))
				setAt(b, be, op.At, n[1])
				keys := float64(n[1]) + float64(n[0])/2
				run(b, be, 4*float64(n[0])*keys*benchWidth, 0, op)
			})
		}
	}
}

// setAt lets tokens of one sequence begin at a position.
func setAt(tb testing.TB, b backend.Backend, at backend.Tensor, position int) {
	tb.Helper()
	pos := make([]int32, at.Dim(-1))
	for i := range pos {
		pos[i] = int32(position + i)
	}
	if err := backend.SetI32(b, at.Slice(-2, 1, 2), pos); err != nil {
		tb.Fatal(err)
	}
}

func places(tb testing.TB, b backend.Backend, n int) backend.Tensor {
	return tensor(tb, b, backend.I32, 2, n)
}

func benchAttention(tb testing.TB, be backend.Backend, d backend.DType, rows, context int) *backend.Attention {
	qkv := tensor(tb, be, backend.F32, 1, rows, 3*benchWidth)
	cache := tensor(tb, be, d, 1, context, 2*benchWidth)
	return &backend.Attention{
		Dst: tensor(tb, be, backend.F32, 1, rows, benchWidth), Q: qkv.Slice(-1, 0, benchWidth),
		K: cache.Slice(-1, 0, benchWidth), V: cache.Slice(-1, benchWidth, 2*benchWidth),
		At: places(tb, be, rows), Heads: benchHeads, Scale: 0.125,
	}
}

func BenchmarkRows(b *testing.B) {
	be := open(b)
	for _, rows := range []int{1, 512} {
		x, y, z := tensor(b, be, backend.F32, rows, 3072), tensor(b, be, backend.F32, rows, 3072), tensor(b, be, backend.F32, rows, 3072)
		v := tensor(b, be, backend.F32, 3072)
		for _, op := range []backend.Op{
			&backend.Add{Dst: y, A: x, B: z}, &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}, &backend.Softmax{Dst: y, X: x},
			&backend.LayerNorm{Dst: y, X: x, Gamma: v, Beta: v, Epsilon: 1e-5}, &backend.Copy{Dst: y, X: x},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", op.Name(), rows), func(b *testing.B) {
				run(b, be, 0, 0, op)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(x.Len()), "ns/element")
			})
		}
	}
}

// benchModel is the ops of a whole GPT-2, with weights as Hugging Face stores
// them, and which of them are products with its weights.
func benchModel(tb testing.TB, be backend.Backend, d backend.DType, rows, position int) (ops, products []backend.Op, flop, bytes float64) {
	const w = benchWidth
	f := func(dims ...int) backend.Tensor { return tensor(tb, be, backend.F32, dims...) }
	x, sum, normed, up, qkv := f(1, rows, w), f(1, rows, w), f(1, rows, w), f(1, rows, 4*w), f(1, rows, 3*w)
	upSum, y := f(1, rows, 4*w), f(1, rows, w)
	product := func(op backend.Op, m backend.Tensor) {
		products = append(products, op)
		flop += 2 * float64(rows) * float64(m.Len())
		bytes += float64(m.Size())
		ops = append(ops, op)
	}
	norm := func(x backend.Tensor) {
		ops = append(ops, &backend.LayerNorm{Dst: normed, X: x, Gamma: f(w), Beta: f(w), Epsilon: 1e-5})
	}
	matrix := func(in, out int) backend.Tensor { return tensor(tb, be, d, in, out).Transpose() }
	for range benchLayers {
		norm(x)
		m := matrix(w, 3*w)
		product(&backend.Linear{Dst: qkv, X: normed, W: m, Bias: f(3 * w)}, m)
		a := benchAttention(tb, be, d, rows, benchContext)
		setAt(tb, be, a.At, position)
		cache := a.K
		cache.Shape[3] = 2 * w
		ops = append(ops, &backend.Store{Dst: cache, X: qkv.Slice(-1, w, 3*w), At: a.At})
		a.Q = qkv.Slice(-1, 0, w)
		ops = append(ops, a)
		m = matrix(w, w)
		product(&backend.Linear{Dst: y, X: a.Dst, W: m, Bias: f(w), Residual: x, Sum: sum}, m)
		norm(y)
		m = matrix(w, 4*w)
		product(&backend.Linear{Dst: up, X: normed, W: m, Bias: f(4 * w), Sum: upSum, Activation: backend.GELUTanh}, m)
		m = matrix(4*w, w)
		product(&backend.Linear{Dst: x, X: up, W: m, Bias: f(w), Residual: y, Sum: sum}, m)
	}
	norm(x)
	m := tensor(tb, be, d, benchVocab, w)
	last := normed.Slice(-2, rows-1, rows)
	rows = 1
	logits := f(1, 1, benchVocab)
	product(&backend.Linear{Dst: logits, X: last, W: m}, m)
	ops = append(ops, &backend.Argmax{Dst: tensor(tb, be, backend.I32, 1, 1, 1), X: logits})
	return ops, products, flop, bytes
}

// BenchmarkGPT2 is a prompt of 512 tokens, and one more token after 64. Beside
// each stands what cannot be spared: the products alone, and reading the weights.
func BenchmarkGPT2(b *testing.B) {
	be := open(b)
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		for _, rows := range []int{512, 1} {
			position := 64
			if rows > 1 {
				position = 0
			}
			ops, products, flop, bytes := benchModel(b, be, d, rows, position)
			b.Run(fmt.Sprintf("%v/rows=%d", d, rows), func(b *testing.B) {
				run(b, be, flop, bytes, ops...)
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
			b.Run(fmt.Sprintf("%v/rows=%d/products", d, rows), func(b *testing.B) { run(b, be, flop, bytes, products...) })
			for buf := range be.live {
				buf.Free()
			}
			runtime.GC()
		}
	}
	b.Run("f32/rows=512/blas", func(b *testing.B) { blasAlone(b, be) })
	b.Run("read", func(b *testing.B) { readAlone(b, be) })
}

// BenchmarkSteps is the products of GPT-2 for a token of each of several sequences:
// what a step reads of the weights is the same for all numbers of rows.
// ms is the time of the fastest pass.
func BenchmarkSteps(b *testing.B) {
	be := open(b)
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.BF16, backend.Q8_0, backend.Q4_0} {
		for _, way := range []string{"out,in", "in,out"} {
			if d.Quantized() && way == "in,out" {
				continue
			}
			layer := [][2]int{{benchWidth, 3 * benchWidth}, {benchWidth, benchWidth}, {benchWidth, 4 * benchWidth}, {4 * benchWidth, benchWidth}}
			var weights []backend.Tensor
			bytes := 0.0
			matrix := func(in, out int, way string) {
				if way == "out,in" {
					weights = append(weights, tensor(b, be, d, out, in))
				} else {
					weights = append(weights, tensor(b, be, d, in, out).Transpose())
				}
				bytes += float64(weights[len(weights)-1].Size())
			}
			for range benchLayers {
				for _, n := range layer {
					matrix(n[0], n[1], way)
				}
			}
			matrix(benchWidth, benchVocab, "out,in")
			for _, rows := range []int{1, 2, 3, 4, 8, 16, 32} {
				var ops []backend.Op
				flop := 0.0
				for _, w := range weights {
					in, out := w.Dim(-1), w.Dim(-2)
					ops = append(ops, &backend.Linear{Dst: tensor(b, be, backend.F32, rows, out), X: tensor(b, be, backend.F32, rows, in),
						W: w, Bias: tensor(b, be, backend.F32, out)})
					flop += 2 * float64(rows) * float64(in) * float64(out)
				}
				b.Run(fmt.Sprintf("%v[%s]/rows=%d", d, way, rows), func(b *testing.B) {
					run(b, be, flop, bytes, ops...)
					b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "tokens/s")
				})
			}
			for buf := range be.live {
				buf.Free()
			}
			runtime.GC()
		}
	}
}

// blasAlone is the matrix products of a prompt of 512 tokens through blas32,
// columns split in as many parts as there are threads.
func blasAlone(b *testing.B, be *Backend) {
	const rows, w = 512, benchWidth
	flop := 0.0
	shapes := [][2]int{{w, 3 * w}, {w, w}, {w, 4 * w}, {4 * w, w}}
	var weights [][]float32
	for range benchLayers {
		for _, s := range shapes {
			t := tensor(b, be, backend.F32, s[0], s[1])
			weights = append(weights, elements[float32](&t))
			flop += 2 * rows * float64(s[0]*s[1])
		}
	}
	x, y := tensor(b, be, backend.F32, rows, 4*w), tensor(b, be, backend.F32, rows, 4*w)
	xs, ys := elements[float32](&x), elements[float32](&y)
	threads := be.pool.threads()
	for b.Loop() {
		for i, m := range weights {
			in, out := shapes[i%4][0], shapes[i%4][1]
			done := make(chan bool, threads)
			for t := range threads {
				go func() {
					c0, c1 := out*t/threads, out*(t+1)/threads
					blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, blas32.General{Rows: rows, Cols: in, Stride: in, Data: xs},
						blas32.General{Rows: in, Cols: c1 - c0, Stride: out, Data: m[c0:]},
						0, blas32.General{Rows: rows, Cols: c1 - c0, Stride: out, Data: ys[c0:]})
					done <- true
				}()
			}
			for range threads {
				<-done
			}
		}
	}
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// readAlone is the bandwidth of reading 1 GiB: all threads look for a maximum.
func readAlone(b *testing.B, be *Backend) {
	x, err := backend.New(be, backend.F32, 64, 1<<22)
	if err != nil {
		b.Fatal(err)
	}
	all := elements[float32](&x)
	for i := range all {
		all[i] = 1
	}
	y := tensor(b, be, backend.I32, 64, 1)
	run(b, be, 0, float64(x.Size()), &backend.Argmax{Dst: y, X: x})
}
