package plot

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// Steps are ticks at whole numbers, for an axis that counts.
type Steps struct{}

const (
	maxLabels = 8       // of an axis
	maxStep   = 1 << 53 // float64 holds all whole numbers up to this

	maxDecimals = 9 // of a label
)

// Ticks returns ticks with labels at multiples of 1, 2 or 5 times a power of ten, and ticks without labels at multiples of
// the next smaller such number, if that is whole too.
func (Steps) Ticks(lowest, highest float64) (ticks []plot.Tick) {
	if !(-maxStep <= lowest && lowest <= highest && highest <= maxStep) {
		return nil
	}
	major, minor := 1.0, 1.0
	for i := 0; (highest-lowest)/major > maxLabels-1; i++ {
		minor = major
		major *= []float64{2, 2.5, 2}[i%3]
	}
	if math.Mod(major, minor) != 0 { // 5 is no multiple of 2
		minor /= 2
	}
	for n := math.Ceil(lowest / minor); n*minor <= highest; n++ {
		tick := plot.Tick{Value: n * minor}
		if math.Mod(tick.Value, major) == 0 {
			tick.Label = strconv.FormatInt(int64(tick.Value), 10)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// numbers returns gonum's usual ticks. Their labels have as many decimals as are needed to distinguish them.
type numbers struct{}

func (numbers) Ticks(lowest, highest float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lowest, highest)
	step, first, last := math.Inf(1), math.NaN(), math.NaN()
	for _, t := range ticks {
		if !t.IsMinor() {
			if d := t.Value - last; d > 0 {
				step = min(step, d)
			} else {
				first = t.Value
			}
			last = t.Value
		}
	}
	decimals := 0
	whole := func(x, scale float64) bool { return math.Abs(x*scale-math.Round(x*scale)) <= 1e-6*step*scale }
	for scale := 1.0; decimals < maxDecimals && !(whole(step, scale) && whole(first, scale)); decimals++ {
		scale *= 10
	}
	if math.IsInf(step, 1) || decimals == maxDecimals {
		return ticks
	}
	for i, t := range ticks {
		if !t.IsMinor() {
			ticks[i].Label = strconv.FormatFloat(t.Value, 'f', decimals, 64)
		}
	}
	return ticks
}

// WholeX makes the x axis of p an axis of steps: it has whole numbers only, and at least two of them.
func WholeX(p *plot.Plot) {
	p.X.Tick.Marker = Steps{}
	if !(p.X.Max-p.X.Min >= 1) {
		p.X.Max = p.X.Min + 1
	}
}
