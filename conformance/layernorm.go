package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.LayerNorm{},
		Oracle:    Oracle(layerNorm),
		NonFinite: layerNormNonFinite,
		Cases: func() []Case {
			cases := rowShapes(layerNormCase)
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "constant rows", values: []float64{3}},
				{dims: []int{3, 65}, what: "rows of zeros", values: []float64{0}},
				{dims: []int{9, 129}, what: "mean 1000, deviation 1", mean: 1000},
				{dims: []int{9, 768}, what: "mean -1e4, deviation 2", mean: -1e4, scale: 2},
				{dims: []int{3, 33}, what: "values around 1e-3", values: []float64{1e-3, -2e-3, 3e-3, 0.5e-3, -1e-3, 1.5e-3, 2e-3}},
				{dims: []int{3, 33}, what: "values around 1e8", values: []float64{1e8, -2e8, 3e8, 0.5e8, -1e8, 1.5e8, 2e8}},
				{dims: []int{2, 1}, what: "rows of one", values: []float64{5, -3}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, layerNormCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return layerNormCase(randomRows(r)) },
	})
}

func layerNormCase(s rowShape) Case {
	return s.build("layernorm", func() (backend.Op, backend.Tensor) {
		width := s.dims[len(s.dims)-1]
		x := s.tensor()
		return &backend.LayerNorm{Dst: s.tensor(), X: x,
			Gamma: s.layout.Tensor(backend.F32, width), Beta: s.layout.Tensor(backend.F32, width), Epsilon: 1e-5}, x
	})
}

// moments are the mean of a vector and 1/√(variance + eps). Errors are bounded
// for the mean and the variance in two passes or in one that shifts
// (Welford's). The difference of two sums, E[x²] − E[x]², is outside of that
// where the mean is large.
func moments(row Values, eps float64) (mean, scale Number) {
	n := len(row.v)
	magnitude, inputErr := 0.0, 0.0
	for i, v := range row.v {
		mean.Value += v / float64(n)
		magnitude += math.Abs(v) / float64(n)
		inputErr = math.Max(inputErr, row.e[i])
	}
	mean.Bound = sumError(n, magnitude) + inputErr
	variance := 0.0
	for _, v := range row.v {
		variance += (v - mean.Value) * (v - mean.Value) / float64(n)
	}
	varianceErr := sumError(n, variance+2*math.Sqrt(variance)*magnitude) + mean.Bound*mean.Bound + 2*math.Sqrt(variance)*inputErr
	scale.Value = 1 / math.Sqrt(variance+eps)
	scale.Bound = math.Max(1/math.Sqrt(math.Max(0, variance-varianceErr)+eps)-scale.Value, scale.Value-1/math.Sqrt(variance+varianceErr+eps)) +
		2*function*scale.Value
	return mean, scale
}

func layerNorm(m Memory, o *backend.LayerNorm) {
	n := o.X.Dim(-1)
	x, gamma, beta := m.Load(o.X), m.Load(o.Gamma), m.Load(o.Beta)
	dst := NewValues(len(x.v))
	for r := range o.X.Rows() {
		row, out := x.Row(r, n), dst.Row(r, n)
		mean, scale := moments(row, float64(o.Epsilon))
		for i, v := range row.v {
			d := v - mean.Value
			y := d * scale.Value
			yErr := math.Abs(d)*scale.Bound + (mean.Bound+row.e[i]+ulp*math.Abs(v))*(scale.Value+scale.Bound)
			out.set(i, y*gamma.v[i]+beta.v[i], yErr*math.Abs(gamma.v[i])+math.Abs(y)*gamma.e[i]+beta.e[i]+
				4*ulp*(math.Abs(y*gamma.v[i])+math.Abs(beta.v[i])))
		}
	}
	m.Store(o.Dst, dst)
}
