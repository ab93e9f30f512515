package result

import (
	"math"
	"testing"
)

// TestShares works shares of ceilings out by hand.
func TestShares(t *testing.T) {
	c := Ceilings{Copy: "c", AvgCopy: 100, StddevCopy: 30, AvgPeak: 50, StddevPeak: 0, CeilingSamples: 3}
	s := c.shares(Spread{2, 0.8, 3}, 100, 0) // 100 bytes in 2 s are 50 a second: half, ± √(0.4² + 0.3²) of it
	if s.AvgCopyShare != 0.5 || math.Abs(s.StddevCopyShare-0.25) > 1e-12 || s.AvgPeakShare != 0 || s.StddevPeakShare != 0 {
		t.Errorf("got %+v, expected 0.5 ± 0.25 and nothing of the peak", s)
	}
	if s := (&Ceilings{}).shares(Spread{2, 0.8, 3}, 100, 100); s != (Shares{}) {
		t.Errorf("without ceilings there are shares: %+v", s)
	}
}
