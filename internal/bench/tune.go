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

// Tune measures, for each op of a model of which the device has several ways to compute it, which
// is the fastest, and stores that with the device. Ops are those of a step of one token, and of the steps
// that o asks for. The error wraps [result.ErrUnsupported] where there is nothing to choose. What was
// measured before an error, or before ctx ended, is stored.
func (d *Device) Tune(ctx context.Context, model Model, o TuneOptions) (tuned []backend.Tuned, err error) {
	t, ok := backend.As[backend.Tuner](d.b.Backend)
	if !ok {
		return nil, fmt.Errorf("%s has one way to compute each op: %w", d.Spec(), result.ErrUnsupported)
	}
	if err := d.lacks(model.Config, o.DType, backend.F32); err != nil {
		return nil, err
	}
	p := progress{o.Progress, 0, 2}
	p.step("loading")
	kinds, closeAll, err := d.opsOf(ctx, t, model, o)
	if closeAll != nil {
		defer func() { err = errors.Join(err, closeAll()) }()
	}
	if err != nil {
		return nil, err
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("%s has one way to compute each op of %s: %w", d.Spec(), model.Name, result.ErrUnsupported)
	}
	p.total = 1 + len(kinds)
	for _, k := range kinds {
		p.step(k.of)
		best, e := d.fastest(ctx, t, k, o.Repetitions)
		if e != nil {
			err = fmt.Errorf("%s on %s: %w", k.of, d.Spec(), e)
			break
		}
		tuned = append(tuned, best)
	}
	if len(tuned) > 0 {
		err = errors.Join(err, t.StoreTuned(tuned))
	}
	return tuned, err
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
	m, err := d.load(ctx, d.b, model, o.Options, use(model.Config, tests, backend.F32))
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

// fastest measures all ways to compute ops, by turns, and returns the one whose fastest
// repetition took the least time.
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
	least := make([]float64, len(k.ways))
	for i, way := range k.ways {
		if err := ctx.Err(); err != nil {
			return backend.Tuned{}, err
		}
		t.Take(k.of, way)
		program, err := backend.Record(d.b.Backend, k.ops...)
		if err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		y := &yardstick{now: d.now, program: program, wait: func() error { return readByte(d.b.Backend, k.ops[0]) }}
		ys = append(ys, y)
		if err := y.warm(long / 2); err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		if least[i], err = y.measure(); err != nil {
			return backend.Tuned{}, fmt.Errorf("%s: %w", way, err)
		}
		if i > 0 && least[i] > 2*slices.Min(least[:i]) {
			y.close()
			ys[i] = nil
		}
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
				return backend.Tuned{}, fmt.Errorf("%s: %w", k.ways[i], err)
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
		Of: k.of, Way: k.ways[best], Seconds: least[best] / n, Rule: k.ways[0], RuleSeconds: least[0] / n,
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
