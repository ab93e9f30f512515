package inspect

import (
	"math"

	"caldera/gpt/model"
)

// after is the norm of what attention or the MLP of a block writes, before that is added to
// the stream, as Gemma and OLMo have it. Like the last norm of a model it divides all parts of
// what is written by the same number, so that with that number as it was in a run it is linear.
// nil is none.
type after struct {
	gain    []float64
	epsilon float64
}

// after returns that of a block: of is model.Output for attention's, model.Down for the MLP's.
func (in *Inspector) after(of model.Role, block int) (*after, error) {
	for _, w := range in.Model.Weights() {
		if w.Role == model.Norm && w.Of == of && w.Block == block {
			gain, err := in.row(*w.Tensor, 0)
			return &after{gain, in.Model.Epsilon}, err
		}
	}
	return nil, nil
}

// factors are what each number of a part is multiplied by, where the sum of all parts is
// written.
func (a *after) factors(written []float64) []float64 {
	factors := make([]float64, len(a.gain))
	scale := math.Sqrt(dot(written, written)/float64(len(written)) + a.epsilon)
	for i, g := range a.gain {
		factors[i] = g / scale
	}
	return factors
}

// times multiplies rows of as many numbers as there are factors.
func times[T float32 | float64](rows []T, factors []float64) {
	for i := range rows {
		rows[i] = T(float64(rows[i]) * factors[i%len(factors)])
	}
}

// sumOf is the sum of rows of n numbers.
func sumOf[T float32 | float64](rows []T, n int) []float64 {
	sum := make([]float64, n)
	for i, v := range rows {
		sum[i%n] += float64(v)
	}
	return sum
}
