package nn

// Backward walks the operations of a tape from last to first and appends those
// that compute gradients: reverse-mode differentiation (Griewank and Walther
// 2008, Evaluating Derivatives, chapter 3). Results that they read live until
// they have run, because planning looks at all operations together.
//
// To teach it an operation: a rule, beside the tape's method for it.

import (
	"fmt"
	"reflect"
	"slices"

	"caldera/backend"
)

// Training says how a tape that trains differs from one that computes.
type Training struct {
	Share     float32 // gradients are scaled by it: one nth where n batches make a step
	Dropout   float32 // the probability with which [Tape.Dropout] drops an element
	Seed      Tensor  // [4] i32, of dropout: two words that differ from run to run, and two that count the steps
	Recompute bool    // keep only what crosses the ends of segments, and compute the rest again for Backward
	LossScale Tensor  // [1] f32: gradients are multiplied by it too; absent: 1
}

// Train makes the tape one that trains p: CrossEntropy computes gradients too,
// and Backward adds to those of p. It comes before the operations.
func (t *Tape) Train(p *Parameters, o Training) { t.params, t.training = p, o }

// Backward adds the gradient of the mean of losses, which CrossEntropy gave, to
// those of the parameters. What has no gradient is reported by Record.
func (t *Tape) Backward(losses Tensor) {
	b := backward{Tape: t, grads: map[*slot]*gradient{}, unneeded: map[backend.Op]bool{}}
	found := false
	for _, l := range t.losses {
		if l.losses == losses && !l.dx.Absent() {
			b.pass(l.x, l.dx)
			b.settle()
			found = true
		}
	}
	if !found {
		t.fail(fmt.Errorf("backward: %v is no loss of CrossEntropy on a tape that trains", losses))
	}
	ops, end := t.ops, len(t.ops)
	crossing := map[*slot]bool{} // read after end
	for _, from := range slices.Backward(append([]int{0}, t.segments...)) {
		part := ops[from:end]
		if end == len(ops) {
			b.walk(from, part)
		} else {
			b.recompute(from, part, crossing)
		}
		for _, op := range part {
			reads(op, crossing)
		}
		end = from
	}
	t.ops = slices.DeleteFunc(t.ops, func(op backend.Op) bool { return b.unneeded[op] })
}

// backward is one walk.
type backward struct {
	*Tape
	grads    map[*slot]*gradient
	computed []contribution // by the rule in hand, for settle to pass
	changed  []*gradient    // by the rule in hand
	unneeded map[backend.Op]bool
}

// walk visits ops, which lie from index from on, from last to first.
func (b *backward) walk(from int, ops []backend.Op) {
	for i, op := range slices.Backward(ops) {
		if err := b.visit(op); err != nil {
			b.fail(&backend.OpError{Index: from + i, Op: op.Name(), Err: err})
		}
	}
}

// visit appends what op's rule says, if the loss depends on op's result, the
// first tensor that it writes.
func (b *backward) visit(op backend.Op) (err error) {
	result := true
	op.Operands(func(name string, x *Tensor, a backend.Access) {
		if a != backend.Write && a != backend.Update {
			return
		}
		s, _ := x.Buf.(*slot)
		if g := b.grads[s]; g != nil && err == nil {
			rule := rules[reflect.TypeOf(op)]
			if rule == nil || !result || a != backend.Write {
				err = fmt.Errorf("there is no rule for the gradient of its %s", name)
				return
			}
			err = rule(b, op, b.of(g, *x))
			b.settle()
		}
		result = false
	})
	return err
}

// rules tell, by type of op, how the gradient dy of its result goes on to what
// it read: see [backward.dst], [backward.pass] and [backward.sum].
var rules = map[reflect.Type]func(b *backward, op backend.Op, dy Tensor) error{}

func rule[O backend.Op](f func(b *backward, o O, dy Tensor) error) {
	rules[reflect.TypeFor[O]()] = func(b *backward, op backend.Op, dy Tensor) error { return f(b, op.(O), dy) }
}
