package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
)

// TestIntegerRows wants a product to have the same bits with any number of threads, with parts
// of its rows at once, and of each row alone, with all that may follow it.
func TestIntegerRows(t *testing.T) {
	defer func(n int) { maxWide = n }(maxWide)
	r := rand.New(rand.NewPCG(9, 9))
	set := func(b *Backend, x backend.Tensor) {
		t.Helper()
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		if err := backend.SetF32(b, x, values); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range [][3]int{{1, 768, 300}, {7, 64, 50}, {70, 160, 131}, {300, 32, 20}} { // rows, in, out; the last by rows
		for _, d := range backend.QuantizedDTypes() {
			rows, in, out := n[0], (n[1]+d.BlockLen()-1)/d.BlockLen()*d.BlockLen(), n[2]
			for what := range 4 {
				b := open(t)
				x, w, bias := tensor(t, b, backend.Q8_A, rows, in), tensor(t, b, d, out, in), tensor(t, b, backend.F32, out)
				dst, sum := tensor(t, b, backend.F32, rows, out), tensor(t, b, backend.F32, rows, out)
				wider := tensor(t, b, backend.F32, rows+1, out+3)
				residual := wider.Slice(-2, 1, rows+1).Slice(-1, 2, out+2)
				for _, x := range []backend.Tensor{x, w, bias, wider} {
					set(b, x)
				}
				op := backend.Linear{Dst: dst, X: x, W: w}
				if what&1 != 0 {
					op.Bias = bias
				}
				if what&2 != 0 {
					op.Residual, op.Sum = residual, sum
				}
				run := func(op backend.Linear) []float32 {
					t.Helper()
					if err := backend.Run(b, &op); err != nil {
						t.Fatal(err)
					}
					got := make([]float32, op.Dst.Len())
					if err := backend.GetF32(b, op.Dst, got); err != nil {
						t.Fatal(err)
					}
					return got
				}
				maxWide = 1 << 22
				want := run(op)
				for _, threads := range []int{1, 2, 5} {
					b.pool.stop()
					b.pool = newPool(threads)
					for _, maxWide = range []int{1, 13 * in, 1 << 22} {
						if !slices.Equal(run(op), want) {
							t.Errorf("%v %v: other bits with %d threads and %d numbers at once", d, n, threads, maxWide)
						}
					}
				}
				for _, r := range []int{0, rows / 2, rows - 1} {
					alone := op
					alone.X, alone.Dst = x.Slice(-2, r, r+1), dst.Slice(-2, r, r+1)
					if what&2 != 0 {
						alone.Residual, alone.Sum = residual.Slice(-2, r, r+1), sum.Slice(-2, r, r+1)
					}
					if !slices.Equal(run(alone), want[r*out:][:out]) {
						t.Errorf("%v %v: row %d has other bits alone", d, n, r)
					}
				}
			}
		}
	}
}
