package backend

import (
	"fmt"
	"slices"
)

// Prepare checks every op, and replaces those that b does not support by the ops
// that they lower to. A backend's Run and Record accept only the result. The error
// is an [OpError].
func Prepare(b Backend, ops ...Op) ([]Op, error) {
	out := make([]Op, 0, len(ops))
	for i, op := range ops {
		if op == nil {
			return nil, &OpError{i, "nil", fmt.Errorf("an op is missing")}
		}
		if err := Check(op); err != nil {
			return nil, &OpError{i, op.Name(), err}
		}
		var err error
		if out, err = lower(b, op, out); err != nil {
			return nil, &OpError{i, op.Name(), err}
		}
	}
	return out, nil
}

func lower(b Backend, op Op, out []Op) ([]Op, error) {
	if b.Supports(op) {
		return append(out, op), nil
	}
	var parts []Op
	if l, ok := op.(Lowerer); ok {
		parts = l.Lower()
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s does not support %s for %s", b.Name(), Label(op), NewSpan(op).Signature())
	}
	for _, simpler := range parts {
		if err := Check(simpler); err != nil {
			return nil, fmt.Errorf("lowered to %s: %w", simpler.Name(), err)
		}
		if repeats(simpler, out) {
			continue
		}
		var err error
		if out, err = lower(b, simpler, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// repeats reports whether op rounds what one of those before it has rounded to the same memory, and
// nothing has written there since: products that share their rounded x.
func repeats(op Op, before []Op) bool {
	round, ok := op.(*Round)
	if !ok {
		return false
	}
	for _, b := range slices.Backward(before) {
		if r, ok := b.(*Round); ok && *r == *round {
			return true
		}
		written := false
		b.Operands(func(_ string, t *Tensor, a Access) {
			written = written || a.Writes() && (t.Overlaps(round.X) || t.Overlaps(round.Dst))
		})
		if written {
			return false
		}
	}
	return false
}

// Run prepares ops and runs them once.
func Run(b Backend, ops ...Op) error {
	ops, err := Prepare(b, ops...)
	if err != nil {
		return err
	}
	return b.Run(ops...)
}
