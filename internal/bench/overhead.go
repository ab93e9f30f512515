package bench

import (
	"context"
	"fmt"
	"time"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// Sizes of programs, their difference, and the length of vectors.
const (
	manyOps, fewOps, moreOps = 144, 16, manyOps - fewOps
	opLength                 = 64
)

// Overhead measures what a device costs beside the work. Figures are differences
// of times, so each repetition measures all of them: the machine is then the same.
// Repetitions before an error, or before ctx ended, come with it.
func (d *Device) Overhead(ctx context.Context, o Options) (results []*result.OverheadResult, err error) {
	results = make([]*result.OverheadResult, len(result.Overheads))
	for i, x := range result.Overheads {
		results[i] = &result.OverheadResult{Common: d.newCommon("overhead"), Overhead: x.Name}
	}
	p := progress{o.Progress, 0, 1 + o.Repetitions}
	p.step("overhead warm-up")
	r, err := d.newOverheads()
	defer r.close()
	if err != nil {
		return nil, fmt.Errorf("overhead of %s: %w", d.Spec(), err)
	}
	defer func() {
		if len(results[0].SamplesNS) == 0 {
			results = nil
		}
		for _, x := range results {
			x.Summarise()
			x.Incomplete = err != nil
		}
	}()
	for i := range o.Repetitions {
		p.step(fmt.Sprintf("overhead %d/%d", i+1, o.Repetitions))
		if err := ctx.Err(); err != nil {
			return results, err
		}
		sample, err := r.sample()
		if err != nil {
			return results, fmt.Errorf("overhead of %s: %w", d.Spec(), err)
		}
		for i, x := range result.Overheads {
			results[i].SamplesNS = append(results[i].SamplesNS, sample[x.Name]*1e9)
		}
	}
	return results, nil
}

// overheadRun are the programs that are timed.
type overheadRun struct {
	now                func() time.Time
	b                  backend.Backend
	buf                backend.Buffer
	free, chain        []backend.Op      // many ops that depend on nothing, and on the one before
	i1, i16, i144      backend.Program   // of free
	o16, o144          backend.Program   // of chain
	programs           []backend.Program // all of these
	runs, trips, calls int               // in a timing
}

func (d *Device) newOverheads() (*overheadRun, error) {
	// Without the watcher, whose own time must not count.
	r := &overheadRun{now: d.now, b: d.b.Backend, calls: 8}
	rows, err := backend.New(r.b, backend.F32, manyOps+1, opLength)
	if err != nil {
		return r, err
	}
	r.buf = rows.Buf
	row := func(i int) backend.Tensor { return rows.Slice(-2, i, i+1) }
	for i := range manyOps {
		r.free = append(r.free, &backend.Add{Dst: row(i + 1), A: row(0), B: row(0)})
		r.chain = append(r.chain, &backend.Add{Dst: row(i + 1), A: row(i), B: row(0)})
	}
	for _, x := range []struct {
		p   *backend.Program
		ops []backend.Op
	}{{&r.i1, r.free[:1]}, {&r.i16, r.free[:fewOps]}, {&r.i144, r.free}, {&r.o16, r.chain[:fewOps]}, {&r.o144, r.chain}} {
		if *x.p, err = backend.Record(r.b, x.ops...); err != nil {
			return r, err
		}
		r.programs = append(r.programs, *x.p)
	}
	// As many runs as take some ms; at least one.
	const long, most = 5e-3, 64
	for range 2 { // the first pays for what is made at first use
		took, err := r.time(r.o144, 1)
		if err != nil {
			return r, err
		}
		r.runs = int(max(1, min(most, long/took)))
		if took, err = r.time(r.i1, 1); err != nil {
			return r, err
		}
		r.trips = int(max(1, min(most, long/took)))
	}
	return r, nil
}

func (r *overheadRun) close() {
	for _, p := range r.programs {
		p.Close()
	}
	if r.buf != nil {
		r.buf.Free()
	}
}

func (r *overheadRun) wait() error { return r.b.Read(make([]byte, 1), r.buf, 0) }

// time is the seconds until a program has run k times.
func (r *overheadRun) time(p backend.Program, k int) (float64, error) {
	start := r.now()
	for range k {
		if err := p.Run(); err != nil {
			return 0, err
		}
	}
	if err := r.wait(); err != nil {
		return 0, err
	}
	return r.now().Sub(start).Seconds(), nil
}

// host is the seconds that a call takes to return, the device idle before it.
func (r *overheadRun) host(call func() error) (float64, error) {
	total := 0.0
	for range r.calls {
		start := r.now()
		if err := call(); err != nil {
			return 0, err
		}
		total += r.now().Sub(start).Seconds()
		if err := r.wait(); err != nil {
			return 0, err
		}
	}
	return total / float64(r.calls), nil
}

// sample measures everything once, in seconds.
func (r *overheadRun) sample() (map[string]float64, error) {
	var failed error
	must := func(seconds float64, err error) float64 {
		if failed == nil {
			failed = err
		}
		return seconds
	}
	run := func(p backend.Program, k int) float64 { return must(r.time(p, k)) }
	step := moreOps * float64(r.runs)
	s := map[string]float64{}
	s["dispatch"] = (run(r.i144, r.runs) - run(r.i16, r.runs)) / step
	s["barrier"] = (run(r.o144, r.runs)-run(r.o16, r.runs))/step - s["dispatch"]
	s["submit"] = (run(r.i1, manyOps)-run(r.i1, fewOps))/moreOps - s["dispatch"]
	for range r.trips {
		s["round-trip"] += run(r.i1, 1) / float64(r.trips)
	}
	s["host-run"] = must(r.host(r.i144.Run))
	ops := func(n int) float64 {
		return must(r.host(func() error { return r.b.Run(r.free[:n]...) }))
	}
	s["host-op"] = (ops(manyOps) - ops(fewOps)) / moreOps
	record := func(n int) float64 {
		return must(r.host(func() error {
			p, err := backend.Record(r.b, r.free[:n]...)
			if err == nil {
				err = p.Close()
			}
			return err
		}))
	}
	s["record"] = (record(manyOps) - record(fewOps)) / moreOps
	return s, failed
}
