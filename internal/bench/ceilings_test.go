package bench

import (
	"errors"
	"math"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/null"
)

func closeTo(got, want float64) bool { return math.Abs(got-want) <= 1e-3*want }

func TestCeilings(t *testing.T) {
	half := func(op backend.Op) bool {
		l, ok := op.(*backend.Linear)
		return ok && l.W.DType == backend.F16
	}
	// Work at a rate takes that long and a dispatch of 10 µs.
	rate := func(work, ideal float64) float64 { return work / (work/ideal + 1e-5) }
	for _, test := range []struct {
		name       string
		p          played
		copy, peak string
		rates      [2]float64 // of the two
	}{
		{"a fast device", played{flops: 1e12, bandwidth: 1e11}, "copy of 1.00 MiB f32", "linear 256×256×256 f32",
			[2]float64{rate(2<<20, 1e11), rate(2*256*256*256, 1e12)}},
		// 2·64³ FLOP take 0.26 s, at twice the size they would take 2 s.
		{"a slow device", played{flops: 2e6, bandwidth: 1e11}, "copy of 1.00 MiB f32", "linear 64×64×64 f32",
			[2]float64{rate(2<<20, 1e11), rate(2*64*64*64, 2e6)}},
		{"little memory", played{flops: 1e12, bandwidth: 1e11, Backend: null.Backend{Limit: 600 << 10}}, "copy of 0.25 MiB f32", "linear 128×128×128 f32",
			[2]float64{rate(1<<19, 1e11), rate(2*128*128*128, 1e12)}},
		{"no f16", played{flops: 1e12, bandwidth: 1e11, Backend: null.Backend{Lacks: half}}, "copy of 1.00 MiB f32", "linear 256×256×256 f32",
			[2]float64{rate(2<<20, 1e11), rate(2*256*256*256, 1e12)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.p.dispatch = 10 * time.Microsecond
			d := playedDevice(&test.p)
			c, err := d.Ceilings(t.Context(), 3, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if c.Copy != test.copy || !closeTo(c.AvgCopy, test.rates[0]) || c.StddevCopy > 1e-3*c.AvgCopy {
				t.Errorf("%s at %v ± %v B/s, expected %s at %v", c.Copy, c.AvgCopy, c.StddevCopy, test.copy, test.rates[0])
			}
			if c.Peak != test.peak || !closeTo(c.AvgPeak, test.rates[1]) || c.StddevPeak > 1e-3*c.AvgPeak {
				t.Errorf("%s at %v ± %v FLOP/s, expected %s at %v", c.Peak, c.AvgPeak, c.StddevPeak, test.peak, test.rates[1])
			}
			before := test.p.now
			if again, err := d.Ceilings(t.Context(), 3, func(string) {}); err != nil || again != c || test.p.now != before {
				t.Errorf("a second time: %v, %v, at %v: expected what was kept", again, err, test.p.now-before)
			}
			if test.p.used() != 0 {
				t.Errorf("%d bytes are still allocated", test.p.used())
			}
		})
	}
	t.Run("no memory at all", func(t *testing.T) {
		d := playedDevice(&played{Backend: null.Backend{Limit: 1000}})
		if _, err := d.Ceilings(t.Context(), 1, func(string) {}); !errors.Is(err, backend.ErrOutOfMemory) {
			t.Errorf("got %v", err)
		}
	})
}
