package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/opcases"
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

// OpOptions are which ops to measure, and how.
type OpOptions struct {
	Options
	Model  string          // of the shape, for the name
	DTypes []backend.DType // of matrices, tables and caches
	Names  []string        // of ops; none: all
}

// OpNames are the names of all ops that are measured.
func OpNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range opcases.Cases(opcases.GPT2, []backend.DType{backend.F32}) {
		if !seen[c.Op] {
			seen[c.Op] = true
			names = append(names, c.Op)
		}
	}
	return names
}

// MeasureOps times the ops of a GPT of a shape, one after the other. skipped
// tells what the device cannot do; where an op fails the others are timed all
// the same.
func (d *Device) MeasureOps(ctx context.Context, shape gpt.Config, o OpOptions) (results []*OpResult, skipped []error, err error) {
	var cases []opcases.Case
	s := opcases.Shape{Width: shape.Width, Inner: shape.Inner, Heads: shape.Heads, Vocab: shape.Vocab, Context: shape.Context}
	for _, c := range opcases.Cases(s, o.DTypes) {
		if len(o.Names) == 0 || slices.Contains(o.Names, c.Op) {
			cases = append(cases, c)
		}
	}
	p := progress{o.Progress, 0, len(cases)}
	var ceilings Ceilings
	if o.Ceilings {
		if d.ceilings == nil {
			p.total += ceilingSteps
		}
		if ceilings, err = d.Ceilings(ctx, o.Repetitions, p.step); err != nil {
			return nil, nil, err
		}
	}
	var failed []error
	for _, c := range cases {
		p.step(c.Name())
		if err := ctx.Err(); err != nil {
			return results, skipped, err
		}
		r, opErr := d.op(c, o.Repetitions)
		if opErr != nil {
			opErr = fmt.Errorf("%s on %s: %w", c.Name(), d.Spec(), opErr)
			switch {
			case errors.Is(opErr, ErrUnsupported):
				skipped = append(skipped, opErr)
			case errors.Is(opErr, backend.ErrDeviceLost):
				return results, skipped, opErr
			default:
				failed = append(failed, opErr)
			}
			continue
		}
		r.ModelType = o.Model
		r.Ceilings, r.Shares = ceilings, ceilings.shares(r.time().times(1e-9), r.Bytes, r.FLOP)
		results = append(results, r)
	}
	if len(failed) > 0 {
		err = fmt.Errorf("%d of %d ops failed, the first of them %w", len(failed), len(cases), failed[0])
	}
	return results, skipped, err
}

// op times one. The error wraps ErrUnsupported where the backend lacks it.
func (d *Device) op(c opcases.Case, repetitions int) (*OpResult, error) {
	op, err := c.Build(d.b)
	if err != nil {
		return nil, err
	}
	defer op.Free()
	d.b.lowered, d.b.lacked = nil, nil
	if _, err := backend.Prepare(d.b.Backend, op.Op); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	program, err := backend.Record(d.b, op.Op)
	if err != nil {
		return nil, err
	}
	r := &OpResult{Common: d.newCommon("op"), Op: c.Op, Shape: c.Shape, DType: c.DType.String(), FLOP: op.FLOP, Bytes: op.Bytes}
	y := &yardstick{now: d.now, program: program, wait: op.Wait}
	defer y.close()
	if err := y.warm(long / 2); err != nil {
		return nil, err
	}
	r.Runs, r.Lowered = y.runs, append([]string{}, d.b.lowered...)
	for range repetitions {
		seconds, err := y.measure()
		if err != nil {
			return nil, err
		}
		r.SamplesNS = append(r.SamplesNS, seconds*1e9)
	}
	r.AvgNS, r.StddevNS = meanStdDev(r.SamplesNS)
	return r, nil
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
	for word := range strings.SplitSeq(r.Op, "_") {
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
