package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
)

// Options are how to measure.
type Options struct {
	Repetitions int           // 1 or more
	DType       backend.DType // of matrices; None keeps what the model has
	Activations backend.DType // how products read what they multiply weights with: F16, F32 or Q8_A; None: see [model.Model.Rounding]
	Cache       backend.DType // of keys and values: one of caches; None: F16, or F32 where the matrices are
	Ceilings    bool          // also measure what the device can do at most

	// Progress is called when a step begins.
	Progress func(what string, done, total int)

	// Loaded is called when a model was loaded, if it is not nil.
	Loaded func(*model.Model)
}

// progress counts steps.
type progress struct {
	tell        func(what string, done, total int)
	done, total int
}

func (p *progress) step(what string) {
	p.tell(what, p.done, p.total)
	p.done++
}

// Measure loads a model and runs the tests on it. Tests that were repeated at
// least once before an error, or before ctx ended, come with it. The error
// wraps [result.ErrUnsupported] where the device cannot run such a model at all.
//
// Each repetition runs all tests, so that what slows a machine down for a while,
// such as its other users or its heat, shows in the deviations of all tests and
// not in the mean of one.
func (d *Device) Measure(ctx context.Context, model Model, tests []Test, o Options) (results []*result.TestResult, err error) {
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	r := &runner{d: d, o: o, p: progress{o.Progress, 0, 1 + len(tests)*(1+o.Repetitions)}}
	if err := d.lacks(model.Config, o.DType, o.Cache); err != nil {
		return nil, err
	}
	if o.Ceilings && d.ceilings == nil {
		r.p.total += ceilingSteps
	}
	debug.FreeOSMemory() // what the model before this one leaves behind
	forgetPeakRSS()
	r.p.step("loading")
	start := d.now()
	use := use(tests, o.Cache)
	if slices.ContainsFunc(tests, func(t Test) bool { return t.Gen > 0 }) {
		use.Beside += int64(backend.F32.Bytes(d.sizes.read[0] * d.sizes.read[1])) // the yardstick's
	}
	m, err := d.load(ctx, d.b, model, o, use)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	loaded := d.now().Sub(start)
	r.m, r.o.Cache = m, m.CacheDType(o.Cache)
	defer r.close()
	if err := r.sequences(tests, use.Context); err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // so that no collection of garbage falls into a test
	err = r.all(ctx, tests)
	for _, t := range r.running {
		if len(t.SamplesNS) == 0 {
			continue
		}
		t.ModelType, t.ModelFilename = model.Name, model.File
		t.ModelSize, t.ModelNParams = bytesOf(m), int64(m.Parameters())
		t.DType, t.TypeK, t.TypeV = dtypes(m, r.o.DType), r.o.Cache.String(), r.o.Cache.String()
		t.Incomplete = len(t.SamplesNS) < o.Repetitions
		t.LoadNS = loaded.Nanoseconds()
		t.Summarise(r.ceilings)
		results = append(results, &t.TestResult)
	}
	return results, err
}

// runner runs the tests of one model on one device.
type runner struct {
	d        *Device
	o        Options
	p        progress
	m        *model.Model
	s        *gpt.Session // of tests of one sequence by itself; nil if there is none
	batches  batches      // of the others
	running  []*running
	ceilings result.Ceilings
	ys       []*yardstick

	// The last measurement of a yardstick, if nothing has run since.
	last    *yardstick
	seconds float64
}

// running is a test under way.
type running struct {
	result.TestResult
	test  Test
	ids   []int      // Depth of them, then those that are timed
	each  [][]int    // what sequences of a batch begin with
	y     *yardstick // that the test is compared with
	need  float64    // work of the yardstick's kind in a repetition
	rates []float64  // FLOP or bytes a second of the yardstick, beside each sample
}

// sequences makes what the tests run in.
func (r *runner) sequences(tests []Test, context int) (err error) {
	if slices.ContainsFunc(tests, func(t Test) bool { return t.Sequences == 0 }) {
		if r.s, err = gpt.NewSession(r.m, gpt.SessionOptions{Context: context, Cache: r.o.Cache}); err != nil {
			return err
		}
	}
	r.batches, err = newBatches(r.m, tests, r.o.Cache)
	return err
}

func (r *runner) close() {
	for _, y := range r.ys {
		y.close()
	}
	r.batches.close()
	if r.s != nil {
		r.s.Close()
	}
}

// all warms up every test, then makes the yardsticks, whose memory must not count
// as that of a test, then takes the samples.
func (r *runner) all(ctx context.Context, tests []Test) error {
	for _, t := range tests {
		r.p.step(t.String() + " warm-up")
		if err := r.warm(ctx, t); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
	}
	for _, t := range r.running {
		if err := r.yardstick(t); err != nil {
			return fmt.Errorf("%v: %w", t.test, err)
		}
	}
	if r.o.Ceilings {
		var err error
		if r.ceilings, err = r.d.Ceilings(ctx, r.o.Repetitions, r.p.step); err != nil {
			return err
		}
	}
	for i := range r.o.Repetitions {
		for _, t := range r.running {
			r.p.step(fmt.Sprintf("%v %d/%d", t.test, i+1, r.o.Repetitions))
			if err := r.repeat(ctx, t); err != nil {
				return fmt.Errorf("%v: %w", t.test, err)
			}
		}
	}
	return nil
}

// warm runs a test once, which makes its programs.
func (r *runner) warm(ctx context.Context, test Test) error {
	work := Count(r.m, test, r.o.Cache)
	t := &running{test: test, ids: randomIDs(test, r.m.Vocab), each: prompts(test, r.m.Vocab), need: work.Bytes()}
	if test.Prompt > 0 {
		t.need = work.Products + work.Head
	}
	t.Common = r.d.newCommon("test")
	t.NPrompt, t.NGen, t.NDepth, t.FLOP, t.Bytes = test.Prompt, test.Gen, test.Depth, work.FLOP(), work.Bytes()
	start, before := r.d.now(), r.d.b.spent
	r.d.b.lowered = nil
	if _, err := r.once(ctx, t); err != nil {
		return err
	}
	// Filling the context to its depth is part of it: that may make programs, too.
	t.FirstNS, t.RecordNS = r.d.now().Sub(start).Nanoseconds(), (r.d.b.spent - before).Nanoseconds()
	t.PeakRSS = peakRSS()
	t.DeviceMemory, _, _ = backend.Memory(r.d.b)
	t.Lowered = append([]string{}, r.d.b.lowered...)
	r.running = append(r.running, t)
	return nil
}

// yardstick finds or makes the yardstick of a test. Tests of the same kind and
// number of tokens share one.
func (r *runner) yardstick(t *running) error {
	for _, o := range r.running {
		if o.y != nil && promptRows(o.test) == promptRows(t.test) {
			t.y = o.y
		}
	}
	if t.y == nil {
		y, err := r.d.newYardstick(r.m, t.test)
		if err != nil {
			return err
		}
		r.ys = append(r.ys, y)
		if err := y.warm(long); err != nil {
			return err
		}
		t.y = y
	}
	t.Yardstick, t.YardstickUnit = t.y.name, t.y.unit
	return nil
}

// repeat takes one sample. The yardstick is measured before and after it, so
// that both see the same machine.
func (r *runner) repeat(ctx context.Context, t *running) (err error) {
	before := r.seconds
	if r.last != t.y {
		if before, err = t.y.measure(); err != nil {
			return err
		}
	}
	took, err := r.once(ctx, t)
	if err != nil {
		return err
	}
	after, err := t.y.measure()
	if err != nil {
		return err
	}
	r.last, r.seconds = t.y, after
	rate := t.y.work / ((before + after) / 2)
	t.rates = append(t.rates, rate)
	t.SamplesNS = append(t.SamplesNS, took.Nanoseconds())
	t.SamplesShare = append(t.SamplesShare, t.need/rate/took.Seconds())
	yardstick := result.SpreadOf(t.rates)
	t.AvgYardstick, t.StddevYardstick = yardstick.Mean, yardstick.SD
	return nil
}

// once times one repetition, after filling the context to its depth. Feed ends
// when the scores are with the host. Where the device draws tokens, it generates as users do:
// the first token that is read is one of the test's, the others are drawn.
func (r *runner) once(ctx context.Context, t *running) (time.Duration, error) {
	if t.test.Sequences > 0 {
		took, held, _, err := r.batches.run(ctx, t.test, t.each, r.d.now)
		if err == nil {
			t.Batched = batched(t.test, held)
		}
		return took, err
	}
	r.s.Reset()
	context, ids := t.ids[:t.test.Depth], t.ids[t.test.Depth:]
	if len(context) > 0 {
		if _, err := r.s.Feed(ctx, context...); err != nil {
			return 0, err
		}
	}
	chunk := 1
	if t.test.Prompt > 0 {
		chunk = len(ids)
	}
	if t.DrawnOnDevice = t.test.Gen > 0 && r.s.DrawsOnDevice(greedy(len(ids))); t.DrawnOnDevice {
		return generate(ctx, r.s, ids[:1], len(ids), r.d.now)
	}
	start := r.d.now()
	for ids := range slices.Chunk(ids, chunk) {
		if _, err := r.s.Feed(ctx, ids...); err != nil {
			return 0, err
		}
	}
	return r.d.now().Sub(start), nil
}

// greedy is generation of n tokens, the likeliest ones.
func greedy(n int) gpt.Options { return gpt.Options{Predict: n, IgnoreEOS: true} }

// generate times the reading of ids by an empty session and the drawing of n tokens.
func generate(ctx context.Context, s *gpt.Session, ids []int, n int, now func() time.Time) (time.Duration, error) {
	start := now()
	for _, err := range s.Generate(ctx, ids, greedy(n)) {
		if err != nil {
			return 0, err
		}
	}
	return now().Sub(start), nil
}

// randomIDs are tokens for a test, the same each time: what they are does not
// change how long they take, beyond which rows of the embedding are read.
func randomIDs(t Test, vocab int) []int {
	random := rand.New(rand.NewPCG(uint64(t.Prompt), uint64(t.Gen)))
	ids := make([]int, t.Depth+t.Tokens())
	for i := range ids {
		ids[i] = random.IntN(vocab)
	}
	return ids
}
