package result

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/gonum/stat"
)

// Spread is a mean and the sample standard deviation around it.
type Spread struct {
	Mean, SD float64
	N        int // samples; the deviation of one is not known, and 0
}

// SpreadOf is the mean of samples and the deviation around it.
func SpreadOf(samples []float64) Spread {
	mean, sd := meanStdDev(samples)
	return Spread{mean, sd, len(samples)}
}

// meanStdDev is the mean and the sample standard deviation, which is 0 for a
// single sample, as llama-bench has it.
func meanStdDev(x []float64) (mean, sd float64) {
	if len(x) == 1 {
		return x[0], 0
	}
	return stat.MeanStdDev(x, nil)
}

// geometricMean is the geometric mean of x. The deviation is that of the logarithms
// times the mean, to first order. Ratios need this mean: the mean of a / b is then
// the reciprocal of the mean of b / a, which is not so for arithmetic means.
func geometricMean(x []float64) (mean, sd float64) {
	logs := make([]float64, len(x))
	for i, v := range x {
		logs[i] = math.Log(v)
	}
	log, sd := meanStdDev(logs)
	mean = math.Exp(log)
	return mean, mean * sd
}

// over is s / o. The two are taken as independent: squares of relative deviations
// add up, to first order.
func (s Spread) over(o Spread) Spread {
	ratio := s.Mean / o.Mean
	return Spread{ratio, math.Abs(ratio) * math.Hypot(s.SD/s.Mean, o.SD/o.Mean), min(s.N, o.N)}
}

// agrees reports whether two means differ by no more than the sum of their
// deviations.
func (s Spread) agrees(o Spread) bool { return math.Abs(s.Mean-o.Mean) <= s.SD+o.SD }

// times is s in another unit.
func (s Spread) times(f float64) Spread { return Spread{s.Mean * f, s.SD * f, s.N} }

// String shows both with two decimals.
func (s Spread) String() string { return s.format(2) }

// format writes "once" where there is one sample, which has no deviation.
func (s Spread) format(decimals int) string {
	mean := strconv.FormatFloat(s.Mean, 'f', decimals, 64)
	if s.N < 2 {
		return mean + " (once)"
	}
	return fmt.Sprintf("%s ± %s", mean, strconv.FormatFloat(s.SD, 'f', decimals, 64))
}

// percent shows a share.
func (s Spread) percent() string { return s.times(100).format(1) + " %" }

// significant shows three digits of the mean, or of the deviation where that is
// larger.
func (s Spread) significant() string {
	size := max(math.Abs(s.Mean), s.SD)
	if !(size > 0) || math.IsInf(size, 0) {
		return s.format(1)
	}
	return s.format(min(9, max(0, 2-int(math.Floor(math.Log10(size))))))
}
