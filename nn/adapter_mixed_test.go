package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

// half is x rounded to f16.
func half(x [][]float64) [][]float64 {
	return each(x, func(v float64) float64 {
		data, err := backend.Encode(nil, backend.F16, []float32{float32(v)})
		var rounded [1]float32
		if err == nil {
			err = backend.Decode(rounded[:], backend.F16, data)
		}
		if err != nil {
			panic(err)
		}
		return float64(rounded[0])
	})
}

func each(x [][]float64, f func(float64) float64) [][]float64 {
	y := make([][]float64, len(x))
	for i, row := range x {
		for _, v := range row {
			y[i] = append(y[i], f(v))
		}
	}
	return y
}

func transposed(x [][]float64) [][]float64 {
	y := make([][]float64, len(x[0]))
	for i := range y {
		for _, row := range x {
			y[i] = append(y[i], row[i])
		}
	}
	return y
}

// product is x · wᵀ.
func product(x, w [][]float64) [][]float64 {
	y := make([][]float64, len(x))
	for i, row := range x {
		for _, column := range w {
			sum := 0.0
			for k, v := range row {
				sum += v * column[k]
			}
			y[i] = append(y[i], sum)
		}
	}
	return y
}

// TestAdapterMixed holds the gradients of an adapter in mixed precision, beside a frozen matrix in f16 and below a frozen
// head in f16, to the formulas in float64 with the same operands of products rounded.
func TestAdapterMixed(t *testing.T) {
	const rows, in, out, vocab, rank, scale, lossScale = 5, 12, 8, 6, 2, 1.5, 256
	b := conformance.Reference()
	r := rand.New(rand.NewPCG(7, 8))
	random := func(d backend.DType, n, width int) (x nn.Tensor, values [][]float64) {
		x = tensor(t, b, d, n, width)
		numbers := make([]float32, n*width)
		for i := range numbers {
			numbers[i] = float32(r.NormFloat64() / 2)
		}
		data, err := backend.Encode(nil, d, numbers)
		if err == nil {
			err = backend.Decode(numbers, d, data)
		}
		if err == nil {
			err = b.Write(x.Buf, 0, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		values = make([][]float64, n)
		for i, v := range numbers {
			values[i/width] = append(values[i/width], float64(v))
		}
		return x, values
	}
	w, wv := random(backend.F16, out, in)
	head, hv := random(backend.F16, vocab, out)
	x, xv := random(backend.F32, rows, in)
	a, av := random(backend.F32, rank, in)
	bs, bv := random(backend.F32, out, rank)
	by, ls := tensor(t, b, backend.F32, 1), tensor(t, b, backend.F32, 1)
	set(t, b, by, []float32{scale})
	set(t, b, ls, []float32{lossScale})
	ids, targets := tensor(t, b, backend.I32, 1, rows), tensor(t, b, backend.I32, 1, rows)
	order, labels := []int32{4, 0, 1, 3, 2}, []int32{5, 0, 1, 3, 2}
	if err := backend.SetI32(b, ids, order); err != nil {
		t.Fatal(err)
	}
	if err := backend.SetI32(b, targets, labels); err != nil {
		t.Fatal(err)
	}
	params, err := nn.NewParameters(b, nn.Parameter{Value: a, Half: true}, nn.Parameter{Value: bs, Half: true})
	if err != nil {
		t.Fatal(err)
	}
	defer params.Free()
	tape := nn.NewTape(b)
	tape.Train(params, nn.Training{Share: 1, LossScale: ls})
	tape.Round(params)
	tape.ClearGradients(params)
	y := tape.Linear(nn.Linear{W: w, Adapter: nn.Adapter{A: params.List[0].Value, B: params.List[1].Value, Scale: by}}, tape.Pick(x, ids))
	losses := tape.Keep(tape.CrossEntropy(nn.Linear{W: head}, y, targets, 100))
	tape.Backward(losses)
	p := record(t, tape)
	run(t, p)

	picked := make([][]float64, rows)
	for i, id := range order {
		picked[i] = xv[id]
	}
	read := half(picked)
	scaled := half(each(product(read, half(av)), func(v float64) float64 { return scale * v }))
	yv := product(read, wv)
	for i, row := range product(scaled, half(bv)) {
		for k, v := range row {
			yv[i][k] += v
		}
	}
	scores := product(half(yv), hv)
	for i, row := range scores {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		if got, want := float64(get(t, b, p.Tensor(losses))[i]), math.Log(sum)-row[labels[i]]; math.Abs(got-want) > 1e-3 {
			t.Errorf("loss %d is %v, expected %v", i, got, want)
		}
		for k, v := range row {
			row[k] = math.Exp(v) / sum
			if k == int(labels[i]) {
				row[k]--
			}
			row[k] *= lossScale / float64(rows)
		}
	}
	dy := half(product(half(scores), transposed(hv)))
	dB := product(transposed(dy), transposed(scaled))
	dInner := half(each(product(dy, transposed(half(bv))), func(v float64) float64 { return scale * v }))
	dA := product(transposed(dInner), transposed(read))
	for i, want := range [][][]float64{dA, dB} {
		got := get(t, b, params.List[i].Grad)
		width := len(want[0])
		apart, norm := 0.0, 0.0
		for j, v := range got {
			x := want[j/width][j%width]
			apart, norm = apart+(float64(v)-x)*(float64(v)-x), norm+x*x
		}
		if !(math.Sqrt(apart/norm) < 3e-4) || norm < 1 {
			t.Errorf("matrix %d: the gradient is %v of its norm off the formula's", i, math.Sqrt(apart/norm))
		}
	}
}
