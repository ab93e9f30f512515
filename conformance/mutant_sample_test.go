package conformance

import (
	"math"
	"slices"
	"testing"

	"caldera/backend"
)

// sampleMutants draw other tokens than they are to draw, or forget what they drew.
var sampleMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"ignores top-k", "sample", wrong(func(o *backend.Sample) { setting(o, func(s *backend.SampleSettings) { s.TopK = 0 }) })},
	{"ignores top-p", "sample", wrong(func(o *backend.Sample) { setting(o, func(s *backend.SampleSettings) { s.TopP = 0 }) })},
	{"ignores min-p", "sample", wrong(func(o *backend.Sample) { setting(o, func(s *backend.SampleSettings) { s.MinP = float32(inf) }) })},
	{"ignores the temperature", "sample", wrong(func(o *backend.Sample) { setting(o, func(s *backend.SampleSettings) { s.Scale = 1 }) })},
	{"is greedy", "sample", wrong(func(o *backend.Sample) { setting(o, func(s *backend.SampleSettings) { s.Greedy = true }) })},
	{"multiplies where it is to divide", "sample", wrong(func(o *backend.Sample) {
		setting(o, func(s *backend.SampleSettings) { s.Inverse = s.Penalty })
	})},
	{"takes half of the seed", "sample", wrong(func(o *backend.Sample) {
		setting(o, func(s *backend.SampleSettings) { s.Seed &= math.MaxUint32 })
	})},
	{"has top-p in 32 bits", "sample", wrong(func(o *backend.Sample) {
		setting(o, func(s *backend.SampleSettings) {
			if s.TopP > 0 {
				s.TopP = (s.TopP>>32 + 1) << 32
			}
		})
	})},
	{"keeps one more than top-k", "sample", wrong(func(o *backend.Sample) {
		setting(o, func(s *backend.SampleSettings) {
			if s.TopK > 0 {
				s.TopK++
			}
		})
	})},
	{"keeps less than is on the edge of min-p", "sample", wrong(func(o *backend.Sample) {
		setting(o, func(s *backend.SampleSettings) {
			if s.MinP > 0 {
				s.MinP = math.Nextafter32(s.MinP, 0)
			}
		})
	})},
	{"takes the number of a row for its slot", "sample", wrong(func(o *backend.Sample) {
		i := -1
		o.Slots = copied(o.Slots, func(v float64) float64 {
			if i++; v >= 0 && int(v) < o.Settings.Dim(-2) {
				return float64(min(i, o.Settings.Dim(-2)-1))
			}
			return v
		})
		right(o)
	})},
	{"draws for rows without a slot", "sample", wrong(func(o *backend.Sample) {
		n := o.Settings.Dim(-2)
		used := map[int]bool{}
		for _, v := range (direct{}).Load(o.Slots).v {
			used[int(v)] = true
		}
		o.Slots = copied(o.Slots, func(v float64) float64 {
			for i := range n {
				if (v < 0 || int(v) >= n) && !used[i] {
					used[i] = true
					return float64(i)
				}
			}
			return v
		})
		right(o)
	})},
	{"draws barred tokens", "sample", wrong(func(o *backend.Sample) {
		barred := o.Marks.Slice(2, 0, 1)
		before := direct{}.Load(barred)
		direct{}.Store(barred, NewValues(barred.Len()))
		right(o)
		direct{}.Store(barred, before)
	})},
	{"does not count draws", "sample", wrong(func(o *backend.Sample) {
		count := o.Recent.Slice(-1, 0, 1)
		before := direct{}.Load(count)
		right(o)
		direct{}.Store(count, before)
	})},
	{"never forgets a token", "sample", wrong(func(o *backend.Sample) {
		seen := o.Marks.Slice(2, 1, 2)
		before := direct{}.Load(seen)
		right(o)
		after := direct{}.Load(seen)
		for i, v := range before.v {
			after.v[i] = float64(int32(v) | int32(after.v[i]))
		}
		direct{}.Store(seen, after)
	})},
	{"passes on what it did not draw", "sample", wrong(func(o *backend.Sample) {
		right(o)
		dst, next := direct{}.Load(o.Dst), direct{}.Load(o.Next)
		for r := range next.v {
			next.v[r] = dst.v[r*backend.SampleWords]
		}
		direct{}.Store(o.Next, next)
	})},
	{"takes NaN for −∞", "sample", wrong(func(o *backend.Sample) {
		o.X = copied(o.X, func(v float64) float64 {
			if math.IsNaN(v) {
				return -inf
			}
			return v
		})
		right(o)
	})},
	{"prefers the highest of equal tokens", "sample", wrong(func(o *backend.Sample) {
		x := direct{}.Load(o.X)
		n := o.X.Dim(-1)
		for i := range x.v { // by one unit in the last place
			if x.v[i] != 0 && i%n > 0 {
				for j := i - 1; j >= i/n*n && j > i-8; j-- {
					if x.v[j] == x.v[i] {
						x.v[i] = float64(math.Nextafter32(float32(x.v[i]), math.MaxFloat32))
						break
					}
				}
			}
		}
		c := copied(o.X, func(v float64) float64 { return v })
		direct{}.Store(c, x)
		o.X = c
		right(o)
	})},
}

// setting draws with settings that f has changed.
func setting(o *backend.Sample, f func(*backend.SampleSettings)) {
	all := direct{}.Load(o.Settings)
	for slot := range o.Settings.Dim(-2) {
		row := all.Row(slot, backend.SampleSettingWords).v
		words := make([]int32, len(row))
		for i, v := range row {
			words[i] = int32(v)
		}
		s := backend.ReadSampleSettings(words)
		f(&s)
		for i, w := range s.Words() {
			row[i] = float64(w)
		}
	}
	o.Settings = copied(o.Settings, func(v float64) float64 { return v })
	direct{}.Store(o.Settings, all)
	right(o)
}

// TestSampleSlots: no two rows of a random case have the same slot, of which the op takes but one.
func TestSampleSlots(t *testing.T) {
	for i := range 60 {
		c := kinds["sample"].Random(seed("slots", i))
		op, fill := c.Build()
		for run := range 2 {
			fill(seed(c.Name, run), run)
			slots := sheet{}.Load(op.(*backend.Sample).Slots).v
			if slices.Sort(slots); len(slices.Compact(slices.Clone(slots))) < len(slots) {
				t.Errorf("%s: slots %v", c.Name, slots)
			}
		}
	}
}
