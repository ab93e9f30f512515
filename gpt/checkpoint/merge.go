package checkpoint

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"caldera/backend"
	"caldera/gpt/model"
)

// merged is the matrix t of a checkpoint of format is, plus what adapters add to it: W + scale · B · A of each. It is
// summed in float64 when it is asked for, as f32 that are going to be rounded to dtype to: what comes of that is
// what the sum itself would be rounded to, unless to is quantised. A sum that f32 does not hold is an error.
func (x addition) merged(t rawTensor, is model.Format, m *model.Model, to backend.DType) rawTensor {
	round := toOdd
	if to == backend.F32 || to.Quantized() {
		round = func(x float64) float32 { return float32(x) }
	}
	var failed error
	sum := t
	sum.DType, sum.made, sum.aligned = "F32", true, true
	sum.check = func() error { return failed }
	sum.Data = func() []byte {
		values := make([]float32, x.parts[0].w.Elements())
		decode(values, backend.OfFileName(t.DType), t.Data())
		if failed = x.add(values, is, m, round); failed != nil {
			return make([]byte, 4*len(values))
		}
		if failed = x.finite(values, is); failed != nil {
			return make([]byte, 4*len(values))
		}
		data, _ := backend.Encode(nil, backend.F32, values) // f32 holds every float32
		return data
	}
	return sum
}

// finite reports a sum of values, which lie as format is stores the matrix, that f32 does not hold.
func (x addition) finite(values []float32, is model.Format) error {
	i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
	if i < 0 {
		return nil
	}
	var paths []string
	for _, p := range x.parts {
		paths = append(paths, fmt.Sprintf("%s (scale %v)", p.of.Path, p.scale))
	}
	return fmt.Errorf("element %v is %v when the adapter is added, %s, expected a finite number: leave it out, or give it a smaller scale",
		indexOf(i, x.parts[0].w.Stored(is)), values[i], strings.Join(paths, ", "))
}

// failed is the error of data that was made.
func (t rawTensor) failed() error {
	if t.check == nil {
		return nil
	}
	return t.check()
}

// maxF32 is where float64 becomes infinite in f32: half a unit above the largest number.
const maxF32 = 0x1.ffffffp127

// toOdd is x in f32, for a rounding to fewer digits that follows. Of the two neighbours of an x that f32 does not have,
// it is the one whose last bit is 1, which no such rounding takes for a tie. So both roundings together are one
// (Boldo and Melquiond 2008, Emulation of a FMA and Correctly Rounded Sums: Proved Algorithms Using Rounding to Odd).
func toOdd(x float64) float32 {
	y := float32(x)
	if float64(y) == x || x != x || math.Abs(x) >= maxF32 {
		return y
	}
	bits := math.Float32bits(y)
	if math.Abs(float64(y)) > math.Abs(x) {
		bits-- // the neighbour that is nearer to 0
	}
	return math.Float32frombits(bits | 1)
}

// add adds to values, which lie as format is stores the matrix.
func (x addition) add(values []float32, is model.Format, m *model.Model, round func(float64) float32) error {
	type factors struct {
		a, b []float32
		row  func(r int) int
		part
	}
	var all []factors
	for _, p := range x.parts {
		a, err := p.of.numbers(p.a)
		if err != nil {
			return err
		}
		b, err := p.of.numbers(p.b)
		if err != nil {
			return err
		}
		all = append(all, factors{a, b, p.rows(p.of.format, is, m.HeadSize), p})
	}
	w := x.parts[0].w
	out, in := w.Shape[0], w.Inputs()
	next, step := in, 1 // from an output to the next, from an input to the next
	if w.Transposed(is) {
		next, step = 1, out
	}
	threads := min(runtime.GOMAXPROCS(0), out)
	var working sync.WaitGroup
	for i := range threads {
		working.Go(func() {
			sums := make([]float64, in)
			for r := i * out / threads; r < (i+1)*out/threads; r++ {
				for k := range sums {
					sums[k] = float64(values[r*next+k*step])
				}
				for _, f := range all {
					for j := range f.rank {
						by := f.scale * float64(f.b[f.row(r)*f.rank+j])
						for k, v := range f.a[j*in:][:in] {
							sums[k] += by * float64(v)
						}
					}
				}
				for k, v := range sums {
					values[r*next+k*step] = round(v)
				}
			}
		})
	}
	working.Wait()
	return nil
}
