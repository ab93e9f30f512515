package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"caldera/backend"
	"caldera/gpt"
)

// Device is an open device and the yardstick that all models on it share.
type Device struct {
	backend.Device
	b         *recordTimer
	bandwidth *yardstick
}

// Open opens a device for measuring.
func Open(d backend.Device) (*Device, error) {
	b, err := d.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err)
	}
	return &Device{Device: d, b: &recordTimer{Backend: b}}, nil
}

// Describe tells in a line what serves the device.
func (d *Device) Describe() string { return backend.Describe(d.b) }

// Close closes the device.
func (d *Device) Close() error {
	if d.bandwidth != nil {
		d.bandwidth.close()
	}
	return d.b.Close()
}

// recordTimer passes everything to a backend, and adds up how long programs
// take to make: on a GPU the compiling of shaders and recording of commands.
type recordTimer struct {
	backend.Backend
	spent time.Duration
}

func (t *recordTimer) Unwrap() backend.Backend { return t.Backend }

// Record implements backend.Recorder, for backends that do and those that don't.
func (t *recordTimer) Record(ops ...backend.Op) (backend.Program, error) {
	start := time.Now()
	defer func() { t.spent += time.Since(start) }()
	return backend.Record(t.Backend, ops...)
}

// Options are how to measure.
type Options struct {
	Repetitions int           // 1 or more
	DType       backend.DType // of matrices; None keeps what the model has

	// Progress is told what begins, and how much has been done in all.
	Progress func(what string, done, total int)
}

// Measure loads a model and runs the tests on it. Results that were complete
// before an error, or before ctx ended, come with it.
func (d *Device) Measure(ctx context.Context, model Model, tests []Test, o Options) (results []Result, err error) {
	r := &runner{d: d, o: o, total: 1 + len(tests)*(1+o.Repetitions)}
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	debug.FreeOSMemory() // what the model before this one leaves behind
	r.step("loading")
	if err := d.room(model, o.DType); err != nil {
		return nil, err
	}
	start := time.Now()
	m, err := model.Load(ctx, d.b, gpt.LoadOptions{DType: o.DType})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	loaded := time.Since(start)
	s, err := m.NewSession(0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	debug.FreeOSMemory() // so that no collection of garbage falls into a test
	r.m, r.s = m, s
	for _, t := range tests {
		result, err := r.test(ctx, t)
		if err != nil {
			return results, fmt.Errorf("%v: %w", t, err)
		}
		result.model(model, m)
		result.device(d)
		result.LoadNS = loaded.Nanoseconds()
		results = append(results, result)
	}
	return results, nil
}

// room tells early where a model cannot fit. Backends that compute on the
// host's memory are given weights that lie there already, so they would not
// notice; they know, however, how much is left. Others tell while loading.
func (d *Device) room(model Model, dtype backend.DType) error {
	if _, ok := backend.As[backend.HostMapper](d.b); !ok || model.File != "" {
		return nil
	}
	if dtype == backend.None {
		dtype = backend.F32
	}
	c := model.Config
	cache := backend.F32.Bytes(2 * c.Layers * c.Context * c.Width)
	buf, err := d.b.Alloc(dtype.Bytes(c.Parameters()) + cache + 4*bandwidthRows*bandwidthCols)
	if err != nil {
		return fmt.Errorf("%d weights as %v and a context of %d: %w; take a smaller shape or --dtype=f16", c.Parameters(), dtype, c.Context, err)
	}
	buf.Free()
	return nil
}

// runner runs the tests of one model on one device.
type runner struct {
	d           *Device
	o           Options
	m           *gpt.Model
	s           *gpt.Session
	done, total int
}

func (r *runner) step(what string) {
	r.o.Progress(what, r.done, r.total)
	r.done++
}

// test measures one test. The yardstick is measured before and after each
// repetition, so that both see the same machine.
func (r *runner) test(ctx context.Context, t Test) (Result, error) {
	r.step(t.String() + " warm-up")
	work := Count(r.m.Config, t, r.m.Tokens.DType, backend.F32)
	result := Result{NPrompt: t.Prompt, NGen: t.Gen, TestTime: time.Now().UTC().Truncate(time.Second), FLOP: work.FLOP(), Bytes: work.Bytes()}
	ids := randomIDs(t, r.m.Vocab)
	before := r.d.b.spent
	first, err := r.once(ctx, t, ids)
	if err != nil {
		return Result{}, err
	}
	result.FirstNS, result.RecordNS = first.Nanoseconds(), (r.d.b.spent - before).Nanoseconds()
	result.PeakRSS = peakRSS() // before the yardstick takes any

	y, need := r.d.bandwidth, work.Bytes()
	if t.Prompt > 0 {
		if y, err = newProducts(r.m, t.Prompt); err != nil {
			return Result{}, err
		}
		defer y.close()
		need = y.work
	} else if y == nil {
		if y, err = newBandwidth(r.d.b, bandwidthRows, bandwidthCols); err != nil {
			return Result{}, err
		}
		r.d.bandwidth = y
	}
	if err := y.warm(); err != nil {
		return Result{}, err
	}
	last, err := y.measure()
	if err != nil {
		return Result{}, err
	}
	var rates []float64
	for i := range r.o.Repetitions {
		r.step(fmt.Sprintf("%v %d/%d", t, i+1, r.o.Repetitions))
		took, err := r.once(ctx, t, ids)
		if err != nil {
			return Result{}, err
		}
		next, err := y.measure()
		if err != nil {
			return Result{}, err
		}
		rate := y.work / ((last + next) / 2) // FLOP or bytes a second
		last = next
		rates = append(rates, rate)
		result.SamplesNS = append(result.SamplesNS, took.Nanoseconds())
		result.SamplesShare = append(result.SamplesShare, need/rate/took.Seconds())
	}
	result.Yardstick, result.YardstickUnit = y.name, y.unit
	result.AvgYardstick, result.StddevYardstick = meanStdDev(rates)
	result.summarise(t.Tokens())
	return result, nil
}

// once times one repetition. Feed ends when the scores are with the host.
func (r *runner) once(ctx context.Context, t Test, ids []int) (time.Duration, error) {
	r.s.Reset()
	start := time.Now()
	if t.Prompt > 0 {
		if _, err := r.s.Feed(ctx, ids...); err != nil {
			return 0, err
		}
		return time.Since(start), nil
	}
	for i := range ids {
		if _, err := r.s.Feed(ctx, ids[i]); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// randomIDs are tokens for a test, the same each time: what they are does not
// change how long they take, beyond which rows of the embedding are read.
func randomIDs(t Test, vocab int) []int {
	random := rand.New(rand.NewPCG(uint64(t.Prompt), uint64(t.Gen)))
	ids := make([]int, t.Tokens())
	for i := range ids {
		ids[i] = random.IntN(vocab)
	}
	return ids
}
