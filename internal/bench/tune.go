package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench/result"
)

// TuneOptions say for which steps of a model ops are tuned.
type TuneOptions struct {
	Options
	Prompt    int // tokens that are read at once; 0: none
	Sequences int // whose tokens are read at once, beside a single one; 0: none
}

// tuneMargin is by how much another way has to be faster than the rule's, as a part of
// that, to be taken: two measurements of one way may differ by as much.
const tuneMargin = 0.03

// tunedTogether is how many ops of one kind are measured in one run, one after another: each
// has weights of its own, as in a model, so that caches hold no more of them than they do there.
const tunedTogether = 48

// alike are ops for which the choice is the same.
type alike struct {
	of   string
	ways []string
	ops  []backend.Op
}

// ErrNoPlace is the error of a device that has no file for what is measured.
var ErrNoPlace = errors.New("what is measured could not be kept, because there is no cache directory: set HOME or XDG_CACHE_HOME")

// Tune measures, for each op of a model of which the device has several ways to compute it, which
// is the fastest, and stores that with the device. Ops are those of a step of one token, and of the steps
// that o asks for. path is the file that has it; it is empty where nothing could be stored, which the error says.
// The error wraps [result.ErrUnsupported] where there is nothing to choose, and [ErrNoPlace] before anything is measured.
// What was measured before another error, or before ctx ended, is stored.
func (d *Device) Tune(ctx context.Context, model Model, o TuneOptions) (tuned []backend.Tuned, path string, err error) {
	t, ok := backend.As[backend.Tuner](d.b.Backend)
	if !ok {
		return nil, "", fmt.Errorf("%s has one way to compute each op: %w", d.Spec(), result.ErrUnsupported)
	}
	_, place, _ := t.Tuned() // a file that is damaged is replaced
	if place == "" {
		return nil, "", fmt.Errorf("%s: %w", d.Spec(), ErrNoPlace)
	}
	if err := d.lacks(model.Config, o.DType, backend.F32); err != nil {
		return nil, "", err
	}
	p := progress{o.Progress, 0, 2}
	p.step("loading")
	kinds, closeAll, err := d.opsOf(ctx, t, model, o)
	if closeAll != nil {
		defer func() { err = errors.Join(err, closeAll()) }()
	}
	if err != nil {
		return nil, "", err
	}
	if len(kinds) == 0 {
		return nil, "", fmt.Errorf("%s has one way to compute each op of %s: %w", d.Spec(), model.Name, result.ErrUnsupported)
	}
	p.total = 1 + len(kinds)
	for _, k := range kinds {
		p.step(k.of)
		best, e := d.fastest(ctx, t, k, o.Repetitions)
		if errors.Is(e, errNoWay) {
			continue
		}
		if e != nil {
			err = fmt.Errorf("%s on %s: %w", k.of, d.Spec(), e)
			break
		}
		tuned = append(tuned, best)
	}
	if len(tuned) > 0 {
		e := t.StoreTuned(tuned)
		if err = errors.Join(err, e); e == nil {
			path = place
		}
	}
	return tuned, path, err
}

// opsOf loads a model, and runs it once to see which ops it records. They are valid until
// closeAll is called, which may be nil after an error.
func (d *Device) opsOf(ctx context.Context, t backend.Tuner, model Model, o TuneOptions) (kinds []*alike, closeAll func() error, err error) {
	byName := map[string]*alike{}
	d.b.recorded = func(ops []backend.Op) {
		ops, err := backend.Prepare(d.b.Backend, ops...)
		if err != nil {
			return // Record says so
		}
		for _, op := range ops {
			of, ways := t.Ways(op)
			if len(ways) < 2 {
				continue
			}
			k := byName[of]
			if k == nil {
				k = &alike{of: of, ways: ways}
				byName[of] = k
				kinds = append(kinds, k)
			}
			if len(k.ops) < tunedTogether {
				k.ops = append(k.ops, op)
			}
		}
	}
	defer func() { d.b.recorded = nil }()

	tests := []Test{{Prompt: o.Prompt, Gen: 1, Sequences: o.Sequences}}
	if o.Sequences > 0 {
		tests = append(tests, Test{Prompt: o.Prompt, Gen: 1})
	}
	m, err := d.load(ctx, d.b, model, o.Options, use(tests, backend.F32))
	if err != nil {
		return nil, nil, err
	}
	var open []func() error
	closeAll = func() (err error) {
		for _, c := range slices.Backward(open) {
			err = errors.Join(err, c())
		}
		return err
	}
	open = append(open, m.Close)
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: min(o.Prompt+2, m.Context)})
	if err != nil {
		return nil, closeAll, err
	}
	open = append(open, func() error { s.Close(); return nil })
	for _, n := range []int{o.Prompt, 1} {
		if n > 0 {
			if _, err := s.Feed(ctx, make([]int, n)...); err != nil {
				return nil, closeAll, err
			}
		}
	}
	if o.Sequences > 0 {
		b, err := gpt.NewBatch(m, gpt.BatchOptions{Sequences: o.Sequences, Context: min(64, m.Context)})
		if err != nil {
			return nil, closeAll, err
		}
		open = append(open, func() error { b.Close(); return nil })
		for range o.Sequences {
			if _, err := b.Admit([]int{0}, gpt.Options{Predict: 3, IgnoreEOS: true}); err != nil {
				return nil, closeAll, err
			}
		}
		for _, err := range b.Run(ctx) {
			if err != nil {
				return nil, closeAll, err
			}
		}
	}
	return kinds, closeAll, nil
}

// errNoWay is the error of fastest where the device computes ops in none of the ways: they are wrong there.
var errNoWay = errors.New("no way to compute it is right on this device")

// fastest measures all ways to compute ops, by turns, and returns the one whose fastest
// repetition took the least time. A way that turns out to compute wrongly, of which the device takes another instead,
// does not count.
func (d *Device) fastest(ctx context.Context, t backend.Tuner, k *alike, repetitions int) (backend.Tuned, error) {
	defer t.Take(k.of, "")
	var ys []*yardstick // nil: far slower than another
	defer func() {
		for _, y := range ys {
			if y != nil {
				y.close()
			}
		}
	}()
	ways := slices.Clone(k.ways)
	var least []float64
	for i := 0; i < len(ways); {
		if err := ctx.Err(); err != nil {
			return backend.Tuned{}, err
		}
		way := ways[i]
		t.Take(k.of, way)
		program, err := backend.Record(d.b.Backend, k.ops...)
		if err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		y := &yardstick{now: d.now, program: program, wait: func() error { return readByte(d.b.Backend, k.ops[0]) }}
		if _, right := t.Ways(k.ops[0]); !slices.Contains(right, way) { // what was recorded is another one
			y.close()
			ways = slices.Delete(ways, i, i+1)
			continue
		}
		ys = append(ys, y)
		if err := y.warm(long / 2); err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		s, err := y.measure()
		if err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		if least = append(least, s); i > 0 && s > 2*slices.Min(least[:i]) {
			y.close()
			ys[i] = nil
		}
		i++
	}
	if len(ways) == 0 {
		return backend.Tuned{}, errNoWay
	}
	for range repetitions - 1 {
		for i, y := range ys {
			if err := ctx.Err(); err != nil {
				return backend.Tuned{}, err
			}
			if y == nil {
				continue
			}
			s, err := y.measure()
			if err != nil {
				return backend.Tuned{}, fmt.Errorf("%s: %w", ways[i], err)
			}
			least[i] = min(least[i], s)
		}
	}
	best := slices.Index(least, slices.Min(least))
	if least[best] > (1-tuneMargin)*least[0] {
		best = 0
	}
	n := float64(len(k.ops))
	return backend.Tuned{
		Of: k.of, Way: ways[best], Seconds: least[best] / n, Rule: ways[0], RuleSeconds: least[0] / n,
		Measured: d.now().UTC().Truncate(time.Second),
	}, nil
}

// readByte waits until an op has run.
func readByte(b backend.Backend, op backend.Op) (err error) {
	done := false
	op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) {
		if !done {
			err, done = b.Read(make([]byte, 1), t.Buf, 0), true
		}
	})
	return err
}

// Tuned returns what was measured on the device before, and the path of the file that has it.
func (d *Device) Tuned() (list []backend.Tuned, path string, err error) {
	t, ok := backend.As[backend.Tuner](d.b.Backend)
	if !ok {
		return nil, "", nil
	}
	return t.Tuned()
}

// ForgetTuned removes what was measured on the device before.
func (d *Device) ForgetTuned() error {
	t, ok := backend.As[backend.Tuner](d.b.Backend)
	if !ok {
		return nil
	}
	return t.ForgetTuned()
}
