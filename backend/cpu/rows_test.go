package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
)

// TestRows wants each row of a product to have the same bits alone and whatever the rows beside
// it hold, NaN too, for every number of rows that has kernels of its own, and one more.
func TestRows(t *testing.T) {
	b := open(t)
	const out = 37
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	set := func(x backend.Tensor, values []float32) {
		t.Helper()
		if err := backend.SetF32(b, x, values); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range backend.DTypes(backend.Weights) {
		in := max(96, d.BlockLen())
		for _, transposed := range []bool{false, true} {
			if d.Quantized() && transposed {
				continue
			}
			w := tensor(t, b, d, out, in)
			if transposed {
				w = tensor(t, b, d, in, out)
			}
			set(w, numbers(in*out))
			if transposed {
				w = w.Transpose()
			}
			for rows := 2; rows <= fewRows+1; rows += 1 + rows/9 {
				if rows > fewRows && !b.library.Own {
					break // a library promises nothing
				}
				x, y := tensor(t, b, backend.F32, rows, in), tensor(t, b, backend.F32, rows, out)
				run := func(x, y backend.Tensor) []float32 {
					if err := b.Run(&backend.Linear{Dst: y, X: x, W: w}); err != nil {
						t.Fatal(err)
					}
					return slices.Clone(elements[float32](&y))
				}
				product := func(values []float32) []float32 {
					set(x, values)
					return run(x, y)
				}
				values := numbers(rows * in)
				all := product(values)
				for _, kept := range []int{0, rows / 2, rows - 1} {
					set(x, values)
					alone := run(x.Slice(-2, kept, kept+1), y.Slice(-2, kept, kept+1))[:out]
					if !slices.Equal(alone, all[kept*out:][:out]) {
						t.Fatalf("%v, transposed %t: row %d of %d has other bits alone", d, transposed, kept, rows)
					}
					others := numbers(rows * in)
					for i := range others {
						if i/in%2 == 0 {
							others[i] = float32(math.NaN())
						}
					}
					copy(others[kept*in:], values[kept*in:][:in])
					if got := product(others)[kept*out:][:out]; !slices.Equal(got, all[kept*out:][:out]) {
						t.Fatalf("%v, transposed %t: row %d of %d changed with the others", d, transposed, kept, rows)
					}
				}
			}
		}
	}
}

// TestManySums wants a product that is computed in blocks to have the bits that it has in one piece.
func TestManySums(t *testing.T) {
	b := open(t)
	const rows, in, out = sumsRows + 88, 5, 1790 // more than manySums
	for _, transposed := range []bool{false, true} {
		w := tensor(t, b, backend.F32, out, in)
		if transposed {
			w = tensor(t, b, backend.F32, in, out)
		}
		op := &backend.Linear{Dst: tensor(t, b, backend.F32, rows, out), X: tensor(t, b, backend.F32, rows, in), W: w, Bias: tensor(t, b, backend.F32, out), Activation: backend.ReLU}
		r := rand.New(rand.NewPCG(1, 2))
		for _, x := range []*backend.Tensor{&op.X, &op.W, &op.Bias} {
			for i := range elements[float32](x) {
				elements[float32](x)[i] = float32(r.NormFloat64())
			}
		}
		if transposed {
			op.W = w.Transpose()
		}
		l := newLinear(op)
		l.block(&b.pool.caller, !b.library.Own, 0, rows, 0, out)
		want := slices.Clone(elements[float32](&op.Dst))
		clear(elements[float32](&op.Dst))
		l.run(&b.pool.caller, 0, rows, 0, out)
		if !slices.Equal(elements[float32](&op.Dst), want) {
			t.Errorf("transposed %t: other bits in blocks", transposed)
		}
	}
}
