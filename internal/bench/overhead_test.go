package bench

import (
	"math"
	"testing"
	"time"
)

// TestOverhead finds the costs of a device on which they are known.
func TestOverhead(t *testing.T) {
	const us = time.Microsecond
	p := &played{
		hostRun: 2 * us, hostOp: 500, hostRecord: 700,
		submit: 20 * us, dispatch: 3 * us, barrier: 1500, read: 5 * us,
	}
	results, err := playedDevice(p).Overhead(t.Context(), quiet(3))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"dispatch": 3000, "barrier": 1500, "submit": 20000, "round-trip": 2000 + 20000 + 3000 + 5000,
		"host-run": 2000, "host-op": 500, "record": 700,
	}
	if len(results) != len(want) {
		t.Errorf("%d figures, expected %d", len(results), len(want))
	}
	for _, r := range results {
		if math.Abs(r.AvgNS-want[r.Overhead]) > 0.5 || r.StddevNS > 0.5 || len(r.SamplesNS) != 3 {
			t.Errorf("%s: %v ± %v ns of %d samples, expected %v ± 0 of 3", r.Overhead, r.AvgNS, r.StddevNS, len(r.SamplesNS), want[r.Overhead])
		}
		if err := reread(r); err != nil {
			t.Error(err)
		}
	}
	if p.used() != 0 {
		t.Errorf("%d bytes are still allocated", p.used())
	}
}
