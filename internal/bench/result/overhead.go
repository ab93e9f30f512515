package result

import (
	"fmt"
	"strings"
)

// OverheadResult is a cost beside the work of ops, measured with ops whose work
// takes hardly any time.
type OverheadResult struct {
	Common
	Overhead  string    `json:"overhead"` // one of Overheads
	AvgNS     float64   `json:"avg_ns"`
	StddevNS  float64   `json:"stddev_ns"`
	SamplesNS []float64 `json:"samples_ns"` // a difference of noisy times may be below 0
}

// Overheads are what is measured, in the order of the output. With T(o, n, k)
// the time until a program of n ops has run k times, o for ops that depend each
// on the one before and i for ops that do not:
var Overheads = []struct{ Name, Meaning string }{
	{"dispatch", "an op more in a program: (T(i,144,k) − T(i,16,k)) / 128k"},
	{"barrier", "an op that waits for the one before: (T(o,144,k) − T(o,16,k)) / 128k − dispatch"},
	{"submit", "a run more of a program: (T(i,1,144) − T(i,1,16)) / 128 − dispatch"},
	{"round-trip", "a program of one op, run, waited for, and a byte read"},
	{"host-run", "the host's part of running a recorded program of 144 ops, before it may go on"},
	{"host-op", "the host's part of an op more that is not recorded"},
	{"record", "the host's part of recording an op more"},
}

// Summarise fills in what follows from the samples.
func (r *OverheadResult) Summarise() { r.AvgNS, r.StddevNS = meanStdDev(r.SamplesNS) }

func (r *OverheadResult) time() Spread { return Spread{r.AvgNS, r.StddevNS, len(r.SamplesNS)} }

func (r *OverheadResult) key() string { return r.Overhead }

func (r *OverheadResult) figures() []figure {
	return []figure{{Spread: r.time().times(1e-3), unit: "µs", lower: true}}
}

func (r *OverheadResult) size() string { return repetitions(len(r.SamplesNS)) }

func (r *OverheadResult) work() []quantity { return nil }

func (r *OverheadResult) check() error {
	if err := plausible(r, "avg_ns", "samples_ns"); err != nil {
		return err
	}
	if r.Overhead == "" || len(r.SamplesNS) == 0 {
		return fmt.Errorf("overhead is %q with %d samples_ns: expected a name and at least one sample", r.Overhead, len(r.SamplesNS))
	}
	for i, ns := range r.SamplesNS {
		if ns > maxSample || ns < -maxSample {
			return fmt.Errorf("samples_ns[%d] is %v, expected less than %g", i, ns, maxSample)
		}
	}
	mean, sd := meanStdDev(r.SamplesNS)
	return near("avg_ns", r.AvgNS, mean, "stddev_ns", r.StddevNS, sd)
}

func (r *OverheadResult) goBench() goBench {
	return goBench{name: "Overhead", labels: append([][2]string{{"of", r.Overhead}}, r.deviceLabels()...), ns: r.SamplesNS}
}

func overheadTables(s *strings.Builder, records []Record) {
	t := table{{"device", "overhead", "µs", "what it is"}}
	for _, x := range records {
		r := x.(*OverheadResult)
		meaning := ""
		for _, o := range Overheads {
			if o.Name == r.Overhead {
				meaning = o.Meaning
			}
		}
		t = append(t, []string{r.Device, r.Overhead, r.time().times(1e-3).significant(), meaning})
	}
	t.write(s)
	s.WriteString(`
T(o,n,k) is the time until a program of n additions of 64 numbers has run k times, each depending on the one before;
T(i,n,k) that of independent ones. Where a backend computes on the host as it is called, as cpu does, its host's parts
are the work itself.
`)
}
