package result

import (
	"math"
	"testing"
)

func TestSummarise(t *testing.T) {
	r := TestResult{NGen: 8, SamplesNS: []int64{1e9, 2e9, 4e9}, SamplesShare: []float64{0.5, 0.5, 0.5}}
	r.Summarise(Ceilings{})
	// Tokens a second are 8, 4 and 2: mean 14/3, variance (8²+4²+2² − 3·(14/3)²)/2 = 28/3.
	if math.Abs(r.AvgTS-14.0/3) > 1e-12 || math.Abs(r.StddevTS-math.Sqrt(28.0/3)) > 1e-12 {
		t.Errorf("got %v ± %v tokens a second, want %v ± %v", r.AvgTS, r.StddevTS, 14.0/3, math.Sqrt(28.0/3))
	}
	if r.AvgNS != 2333333333 || r.AvgShare != 0.5 || r.StddevShare != 0 {
		t.Errorf("got %d ns, share %v ± %v", r.AvgNS, r.AvgShare, r.StddevShare)
	}
	one := TestResult{NGen: 1, SamplesNS: []int64{5}, SamplesShare: []float64{1}}
	one.Summarise(Ceilings{})
	if one.StddevNS != 0 || one.StddevTS != 0 || one.StddevShare != 0 {
		t.Errorf("one sample has deviations %v, %v, %v, expected 0", one.StddevNS, one.StddevTS, one.StddevShare)
	}
}

func closeTo(got, want float64) bool { return math.Abs(got-want) <= 1e-3*want }
