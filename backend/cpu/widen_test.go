package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// TestWidenedInParts widens operands of f16 two rows at a time, and expects
// what all at once give.
func TestWidenedInParts(t *testing.T) {
	b, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r := rand.New(rand.NewPCG(1, 2))
	tensor := func(d backend.DType, dims ...int) backend.Tensor {
		x, err := backend.New(b, backend.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		if err := backend.SetF32(b, x, values); err != nil || d == backend.F32 {
			return x
		}
		half, err := backend.New(b, d, dims...)
		if err == nil {
			err = b.Run(&backend.Copy{Dst: half, X: x})
		}
		if err != nil {
			t.Fatal(err)
		}
		return half
	}
	const in, out = 20, 12
	whole := tensor(backend.F16, 1, 2, 5, in)                         // ten rows at one distance
	gaps := tensor(backend.F16, 1, 2, 9, in).Slice(-2, 1, 6)          // two times five
	columns := tensor(backend.F16, 1, 2, 5, 2*in).Slice(-1, in, 2*in) // with gaps between rows
	dys := []backend.Tensor{tensor(backend.F16, 1, 2, 5, out), tensor(backend.F16, 1, 2, 5, out), tensor(backend.F16, 1, 2, 5, out)}
	w, bias, residual := tensor(backend.F16, out, in), tensor(backend.F32, out), tensor(backend.F32, 1, 2, 5, out)
	defer func(n int) { maxWide = n }(maxWide)
	for i, x := range []backend.Tensor{whole, gaps, columns} {
		var want [][]float32
		for _, maxWide = range []int{1 << 20, 2 * in} {
			dst := []backend.Tensor{tensor(backend.F32, 1, 2, 5, out), tensor(backend.F32, 1, 2, 5, out), tensor(backend.F32, 1, 2, 5, out)}
			dw, err := backend.New(b, backend.F32, out, in)
			if err != nil {
				t.Fatal(err)
			}
			scratch := tensor(backend.F32, 1, 2, 5, out)
			if err := b.Run(
				&backend.Linear{Dst: dst[0], X: x, W: w, Bias: bias},
				&backend.Linear{Dst: dst[1], X: x, W: w, Bias: bias, Residual: residual, Sum: scratch},
				&backend.Linear{Dst: dst[2], X: x, W: w, Bias: bias, Sum: scratch, Activation: backend.GELUTanh},
				&backend.LinearBackward{DW: dw, DY: dys[i], X: x},
			); err != nil {
				t.Fatal(err)
			}
			for j, y := range append(dst, dw) {
				got := make([]float32, y.Len())
				if err := backend.GetF32(b, y, got); err != nil {
					t.Fatal(err)
				}
				if len(want) < 4 {
					want = append(want, got)
					continue
				}
				for k, v := range got {
					if math.Abs(float64(v-want[j][k])) > 1e-5 {
						t.Fatalf("x %d, result %d: element %d is %v in parts, %v at once", i, j, k, v, want[j][k])
					}
				}
			}
		}
	}
}
