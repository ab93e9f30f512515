package inspect

// Products with weights of the model that no program of a session has: what each head
// carries from a position, and columns of matrices.

import (
	"context"
	"fmt"
	"math"

	"caldera/backend"
	"caldera/gpt/model"
)

const (
	productRows = 128     // the most rows that are multiplied at once
	expanded    = 4 << 20 // the most elements of a quantised matrix that are converted at once, or read
)

// multiply returns the products x · wᵀ of rows x, [n, in], with a matrix [out, in]:
// [n, out]. name is what they are called where it is told what made them.
func (in *Inspector) multiply(ctx context.Context, name string, w backend.Tensor, x []float32) ([]float32, error) {
	b, inputs, outputs := in.Model.Backend, w.Dim(-1), w.Dim(-2)
	rows := len(x) / inputs
	out := make([]float32, rows*outputs)
	size := min(rows, productRows)
	memory, err := in.allocate([]int{size, inputs}, []int{size, outputs})
	if err != nil {
		return nil, err
	}
	defer memory.free()
	for from := 0; from < rows; from += size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(size, rows-from)
		xs, ys := memory[0].Slice(-2, 0, n), memory[1].Slice(-2, 0, n)
		if err := backend.SetF32(b, xs, x[from*inputs:(from+n)*inputs]); err != nil {
			return nil, err
		}
		if err := in.compute(name, &backend.Linear{Dst: ys, X: xs, W: w}); err != nil {
			return nil, err
		}
		if err := backend.GetF32(b, ys, out[from*outputs:(from+n)*outputs]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// carried returns how long the vectors are that the heads of a layer write to the stream
// for each value, were it attended to alone, [heads][n]: ‖Out_h · v‖, where v is the part
// of a value, [kv heads · size], that head h reads, and Out_h is the part of the output
// matrix that multiplies what head h has gathered. The output's bias belongs to no head.
// (Kobayashi et al. 2020, "Attention is Not Only a Weight", arXiv:2004.10102, section 3)
func (in *Inspector) carried(ctx context.Context, layer int, values []float32) ([][]float64, error) {
	m := in.Model
	kv, size := m.KVHeads*m.HeadSize, m.HeadSize
	rows := len(values) / kv
	lengths := make([][]float64, m.Heads)
	dims := [][]int{{min(rows, productRows), kv}, {m.Heads, min(rows, productRows), m.Width}}
	w := *in.weight(model.Output, 0, layer).Tensor
	stored := w
	if w.DType.Quantized() { // its blocks may belong to two heads
		dims = append(dims, []int{w.Dim(-2), w.Dim(-1)})
	}
	memory, err := in.allocate(dims...)
	if err != nil {
		return nil, err
	}
	defer memory.free()
	x, y := memory[0], memory[1]
	if w.DType.Quantized() {
		w = memory[2]
		if err := backend.Run(m.Backend, &backend.Copy{Dst: w, X: stored}); err != nil {
			return nil, err
		}
	}
	product := make([]float32, dims[0][0]*m.Width)
	for from := 0; from < rows; from += productRows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(productRows, rows-from)
		xs := x.Slice(-2, 0, n)
		if err := backend.SetF32(m.Backend, xs, values[from*kv:(from+n)*kv]); err != nil {
			return nil, err
		}
		var ops []backend.Op
		for h := range m.Heads {
			g := h * m.KVHeads / m.Heads
			ops = append(ops, &backend.Linear{
				Dst: y.Slice(-3, h, h+1).Slice(-2, 0, n), X: xs.Slice(-1, g*size, (g+1)*size), W: w.Slice(-1, h*size, (h+1)*size),
			})
		}
		if err := in.compute(fmt.Sprintf("blocks.%d.attention.carried", layer), ops...); err != nil {
			return nil, err
		}
		for h := range m.Heads {
			if err := backend.GetF32(m.Backend, y.Slice(-3, h, h+1).Slice(-2, 0, n), product[:n*m.Width]); err != nil {
				return nil, err
			}
			for i := range n {
				lengths[h] = append(lengths[h], length(product[i*m.Width:(i+1)*m.Width]))
			}
		}
	}
	return lengths, nil
}

// columns returns columns of a matrix [out, in] as rows of float32: [len(which), out].
// name is what they are called where it is told what made them.
func (in *Inspector) columns(name string, w backend.Tensor, which []int) ([]float32, error) {
	out := make([]float32, len(which)*w.Dim(-2))
	if len(which) == 0 {
		return out, nil
	}
	dims := [][]int{{len(which), w.Dim(-2)}}
	rows := w.Dim(-2) // that are copied at once
	if w.DType.Quantized() {
		rows = min(max(1, expanded/w.Dim(-1)), rows)
		dims = append(dims, []int{rows, w.Dim(-1)})
	}
	memory, err := in.allocate(dims...)
	if err != nil {
		return nil, err
	}
	defer memory.free()
	y := memory[0]
	var ops []backend.Op
	for from := 0; from < w.Dim(-2); from += rows {
		to := min(from+rows, w.Dim(-2))
		part := w.Slice(-2, from, to)
		if w.DType.Quantized() {
			plain := memory[1].Slice(-2, 0, to-from)
			ops = append(ops, &backend.Copy{Dst: plain, X: part})
			part = plain
		}
		for i, c := range which {
			ops = append(ops, &backend.Copy{Dst: y.Slice(-2, i, i+1).Slice(-1, from, to), X: part.Transpose().Slice(-2, c, c+1)})
		}
	}
	if err := in.compute(name, ops...); err != nil {
		return nil, err
	}
	return out, backend.GetF32(in.Model.Backend, y, out)
}

// columnLengths returns the length of each column of a matrix [out, in], each number of
// which is multiplied by its factor, if there are any. The matrix passes through the host
// in pieces.
func (in *Inspector) columnLengths(ctx context.Context, w backend.Tensor, factors []float64) ([]float64, error) {
	sums := make([]float64, w.Dim(-1))
	transposed := w.Stride(-1) != 1
	if transposed { // it lies in memory column by column
		w = w.Transpose()
	}
	width := w.Dim(-1)
	rows := min(max(1, expanded/width), w.Dim(-2))
	part := make([]float32, rows*width)
	for from := 0; from < w.Dim(-2); from += rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(rows, w.Dim(-2)-from)
		if err := backend.GetF32(in.Model.Backend, w.Slice(-2, from, from+n), part[:n*width]); err != nil {
			return nil, err
		}
		for i, v := range part[:n*width] {
			c, row, x := i%width, from+i/width, float64(v)
			if transposed {
				c, row = row, c
			}
			if factors != nil {
				x *= factors[row]
			}
			sums[c] += x * x
		}
	}
	for i, s := range sums {
		sums[i] = math.Sqrt(s)
	}
	return sums, nil
}

// written returns what vectors that are added to the stream, rows of the model's width,
// add to the score of each token, but for a factor: the last norm divides all of them by
// the same number, which depends on the rest of the stream. Of a LayerNorm the mean is
// taken off each vector, the norm's scale (gamma) is applied, and then the unembedding:
// [rows, vocab].
func (in *Inspector) written(ctx context.Context, name string, x []float32) ([]float32, error) {
	norm := in.Model.Final()
	gain, err := in.row(norm.Gamma, 0)
	if err != nil {
		return nil, err
	}
	width := len(gain)
	folded := make([]float32, 0, len(x))
	for from := 0; from < len(x); from += width {
		v := widen(x[from : from+width])
		if !norm.RMS {
			centre(v)
		}
		for i, g := range gain {
			folded = append(folded, float32(v[i]*g))
		}
	}
	return in.multiply(ctx, name, model.Head(in.Model).W, folded)
}

// compute runs ops, which together make the value of that name.
func (in *Inspector) compute(name string, ops ...backend.Op) error {
	count := 0
	run := func() error {
		prepared, err := backend.Prepare(in.Model.Backend, ops...)
		if err != nil {
			return err
		}
		count = len(prepared)
		return in.Model.Backend.Run(prepared...)
	}
	return in.measure(run, func() []string { return []string{name} }, func(string) []int {
		all := make([]int, count)
		for i := range all {
			all[i] = i
		}
		return all
	})
}

// buffers are tensors of f32 for a moment's work.
type buffers []backend.Tensor

// allocate makes tensors of these shapes.
func (in *Inspector) allocate(dims ...[]int) (buffers, error) {
	var list buffers
	for _, d := range dims {
		x, err := backend.New(in.Model.Backend, backend.F32, d...)
		if err != nil {
			list.free()
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func (b buffers) free() {
	for _, x := range b {
		x.Buf.Free()
	}
}

// length is the Euclidean norm of x.
func length[T float32 | float64](x []T) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// checkCount returns an error for a number of things that are to be listed.
func checkCount(n int, what string, most int) error {
	if n < 0 || n > most {
		return Userf("%d %s: expected 0 to %d", n, what, most)
	}
	return nil
}
