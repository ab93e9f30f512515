package result

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// OpResult is one op, run again and again on the same operands: what fits a
// cache of the device is read from there.
type OpResult struct {
	Common
	ModelType string    `json:"model_type"` // whose shapes they are
	Op        string    `json:"op"`
	Shape     string    `json:"shape"`  // "128x768x3072": of a linear, rows, in and out
	DType     string    `json:"dtype"`  // of matrices, tables or caches
	AvgNS     float64   `json:"avg_ns"` // of one op
	StddevNS  float64   `json:"stddev_ns"`
	SamplesNS []float64 `json:"samples_ns"`
	Runs      int       `json:"runs"`    // that a sample is the mean of
	Lowered   []string  `json:"lowered"` // the op, if simpler ones ran for it

	FLOP  float64 `json:"flop"`  // of one op; 0 where there are no products
	Bytes float64 `json:"bytes"` // that one op moves

	Ceilings
	Shares
}

// Summarise fills in what follows from the samples.
func (r *OpResult) Summarise(c Ceilings) {
	r.AvgNS, r.StddevNS = meanStdDev(r.SamplesNS)
	r.Ceilings, r.Shares = c, c.shares(r.time().times(1e-9), r.Bytes, r.FLOP)
}

// time is in ns.
func (r *OpResult) time() Spread { return Spread{r.AvgNS, r.StddevNS, len(r.SamplesNS)} }

// rate is work a second, in units of 10⁹.
func (r *OpResult) rate(work float64) Spread { return Spread{work, 0, len(r.SamplesNS)}.over(r.time()) }

func (r *OpResult) key() string {
	return fmt.Sprintf("%s %s %s %s", r.ModelType, r.Op, r.Shape, r.DType)
}

// figure is arithmetic where there is some, else bytes: both grow as time shrinks.
func (r *OpResult) figures() []figure {
	if r.FLOP > 0 {
		return []figure{{Spread: r.rate(r.FLOP), unit: "GFLOP/s"}}
	}
	return []figure{{Spread: r.rate(r.Bytes), unit: "GB/s"}}
}

func (r *OpResult) size() string { return repetitions(len(r.SamplesNS)) }

func (r *OpResult) work() []quantity { return []quantity{{"bytes", r.Bytes}, {"FLOP", r.FLOP}} }

func (r *OpResult) check() error {
	if err := cmp.Or(plausible(r), positive("samples_ns", r.SamplesNS), positive("bytes", []float64{r.Bytes})); err != nil {
		return err
	}
	if r.Op == "" {
		return errors.New("op is empty: expected a name")
	}
	mean, sd := meanStdDev(r.SamplesNS)
	return near("avg_ns", r.AvgNS, mean, "stddev_ns", r.StddevNS, sd)
}

func (r *OpResult) goBench() goBench {
	b := goBench{ns: r.SamplesNS, rates: []rate{{"GB/s", r.Bytes / 1e9}}}
	for word := range strings.FieldsFuncSeq(r.Op, func(r rune) bool { return r == '_' || r == '+' }) {
		first, rest := word[:min(1, len(word))], word[min(1, len(word)):]
		b.name += strings.ToUpper(first) + rest
	}
	if r.FLOP > 0 {
		b.rates = append(b.rates, rate{"GFLOP/s", r.FLOP / 1e9})
	}
	b.labels = append([][2]string{{"model", r.ModelType}, {"shape", r.Shape}}, r.deviceLabels([2]string{"dtype", r.DType})...)
	return b
}

func opTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "op", "shape", "dtype", "µs", "GB/s", "of copy", "GFLOP/s", "of peak"}}
	var lowered lines
	for _, x := range records {
		r := x.(*OpResult)
		n := len(r.SamplesNS)
		share := func(p Spread) string {
			if p.Mean == 0 {
				return ""
			}
			return p.percent()
		}
		flops := ""
		if r.FLOP > 0 {
			flops = r.rate(r.FLOP).significant()
		}
		t = append(t, []string{
			r.ModelType, r.Device, r.Op, r.Shape, r.DType, r.time().times(1e-3).significant(),
			r.rate(r.Bytes).significant(), share(r.copyShare(n)), flops, share(r.peakShare(n)),
		})
		for _, op := range r.Lowered {
			lowered.add("lowered: %s on %s with %s: the backend lacks it, so simpler ops ran", op, r.Device, r.DType)
		}
	}
	t.write(s)
	lowered.write(s)
	s.WriteString(`
Each op runs again and again on the same operands: what fits a cache is read from there, and may exceed the copy
bandwidth. GB/s counts each operand once, GFLOP/s the multiplications and additions of products of matrices.
`)
}
