package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
	"caldera/internal/opcases"
)

// OpOptions say which ops to measure, and how.
type OpOptions struct {
	Options
	Model  string          // of the shape, for the name
	DTypes []backend.DType // of matrices, tables and caches
	Names  []string        // of ops; none: all
}

// OpNames are the names of all ops that are measured.
func OpNames() []string {
	var names []string
	experts := opcases.Shape{
		Width: 32, Inner: 32, Heads: 1, KVHeads: 1, HeadSize: 32, Vocab: 32, Context: 32, Experts: 2, Chosen: 1,
		Products: []opcases.Product{{In: 32, Out: 32, Experts: 2, Chosen: 1}},
	}
	for _, s := range []opcases.Shape{opcases.GPT2, experts} {
		for _, c := range opcases.Cases(s, []backend.DType{backend.F32}) {
			if !slices.Contains(names, c.Op) {
				names = append(names, c.Op)
			}
		}
	}
	return names
}

// opShape is what ops of a model of shape c work on, by its family's weight table.
func opShape(c model.Config) (opcases.Shape, error) {
	c, gated := c.Complete(), false
	s := opcases.Shape{
		Width: c.Width, Inner: c.Inner, Heads: c.Heads, KVHeads: c.KVHeads, HeadSize: c.HeadSize, Vocab: c.Vocab, Context: c.Context,
	}
	f, err := model.FamilyOf(c.Family)
	if err != nil {
		return s, err
	}
	for _, w := range f.Network(c, model.HuggingFace).Weights() {
		p := opcases.Product{In: w.Inputs(), Out: w.Shape[max(0, len(w.Shape)-2)], Residual: w.Role == model.Output || w.Role == model.Down, Plain: w.NeverInBlocks()}
		switch gated = gated || w.Role == model.Gate; {
		case w.Role == model.Positions:
			s.Positions = true
		case w.Role == model.Sinks:
			s.Sinks = true
		case w.Experts() > 0:
			p.Experts, p.Chosen, p.Apart, p.Residual = w.Experts(), w.Chosen, w.Role == model.Down, false
			s.Experts, s.Chosen = p.Experts, p.Chosen
		case w.Role == model.Up && !gated:
			p.Activation = backend.GELUTanh
		}
		if w.Multiplies() && !slices.Contains(s.Products, p) {
			s.Products = append(s.Products, p)
		}
	}
	return s, nil
}

// MeasureOps times the ops of a GPT of a shape, one after the other. skipped
// tells what the device cannot do; where an op fails the others are timed all
// the same.
func (d *Device) MeasureOps(ctx context.Context, shape model.Config, o OpOptions) (results []*result.OpResult, skipped []error, err error) {
	var cases []opcases.Case
	s, err := opShape(shape)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range opcases.Cases(s, o.DTypes) {
		if len(o.Names) == 0 || slices.Contains(o.Names, c.Op) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, nil, fmt.Errorf("a model of the shape %s has no %s: name another shape, or other ops", o.Model, strings.Join(o.Names, " and no "))
	}
	p := progress{o.Progress, 0, len(cases)}
	var ceilings result.Ceilings
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
			case errors.Is(opErr, result.ErrUnsupported):
				skipped = append(skipped, opErr)
			case errors.Is(opErr, backend.ErrDeviceLost):
				return results, skipped, opErr
			default:
				failed = append(failed, opErr)
			}
			continue
		}
		r.ModelType = o.Model
		r.Summarise(ceilings)
		results = append(results, r)
	}
	if len(failed) > 0 {
		err = fmt.Errorf("%d of %d ops failed, the first of them %w", len(failed), len(cases), failed[0])
	}
	return results, skipped, err
}

// op times one case. The error wraps result.ErrUnsupported where the backend lacks it.
func (d *Device) op(c opcases.Case, repetitions int) (*result.OpResult, error) {
	op, err := c.Build(d.b)
	if err != nil {
		return nil, err
	}
	defer op.Free()
	d.b.lowered, d.b.lacked = nil, nil
	if _, err := backend.Prepare(d.b.Backend, op.Op); err != nil {
		return nil, fmt.Errorf("%w: %w", result.ErrUnsupported, err)
	}
	program, err := backend.Record(d.b, op.Op)
	if err != nil {
		return nil, err
	}
	r := &result.OpResult{Common: d.newCommon("op"), Op: c.Op, Shape: c.Shape, DType: c.DType.String(), FLOP: op.FLOP, Bytes: op.Bytes}
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
	return r, nil
}
