package backend

import (
	"fmt"
	"reflect"
)

// Op is one unit of work: a pointer to a struct naming its operands. What may
// change between two runs of a recorded op lies in a tensor; a Go value in the
// struct, such as a number of heads, is frozen when the op is recorded.
type Op interface {
	// Name is the op's short name, "linear": also that of its files, shader,
	// tests and trace.
	Name() string

	// Check reports shapes and dtypes that do not agree, for any backend.
	Check() error

	// Operands calls yield for each tensor that is present. It drives
	// barriers, memory planning, traces and tests; through the pointer a
	// caller may bind the op to other memory.
	Operands(yield func(name string, t *Tensor, a Access))
}

// Clone returns a copy of the op's struct, on the same buffers.
func Clone(op Op) Op {
	v := reflect.New(reflect.TypeOf(op).Elem())
	v.Elem().Set(reflect.ValueOf(op).Elem())
	return v.Interface().(Op)
}

// Access is what an op does to an operand.
type Access uint8

const (
	Read    Access = iota // only reads it
	Write                 // writes every element and reads none
	Update                // writes some elements, or reads before it writes
	Scratch               // uses it as workspace; its contents are undefined afterwards
)

// Writes reports whether the operand's contents change.
func (a Access) Writes() bool { return a != Read }

// Label is the op's name with what it was told beside its operands, for
// messages and tables: "linear+gelu_tanh+residual". An op whose name says less
// than that has a method Label.
func Label(op Op) string {
	if l, ok := op.(interface{ Label() string }); ok {
		return l.Label()
	}
	return op.Name()
}

// Lowerer is an Op that simpler ones can replace. Lower returns them: they say
// what the op means, run where a backend lacks it, and serve as its oracle in
// tests. Intermediates are operands of the op, so that Lower allocates nothing.
// It returns nil where the op has no simpler form.
type Lowerer interface {
	Op
	Lower() []Op
}

// OpError tells which op of a list is wrong.
type OpError struct {
	Index int
	Op    string
	Err   error
}

func (e *OpError) Error() string { return fmt.Sprintf("op %d (%s): %v", e.Index, e.Op, e.Err) }
func (e *OpError) Unwrap() error { return e.Err }

// Check reports what makes op wrong for every backend, or nil: each operand lies inside
// its buffer, what it writes overlaps neither itself nor any other operand, and
// shapes and dtypes agree.
func Check(op Op) error {
	type operand struct {
		name string
		t    Tensor
		a    Access
	}
	var seen []operand
	var err error
	op.Operands(func(name string, t *Tensor, a Access) {
		if err != nil {
			return
		}
		if e := t.check(); e != nil {
			err = fmt.Errorf("%s: %w", name, e)
			return
		}
		if a.Writes() && t.repeats() {
			err = fmt.Errorf("%s is written, but %v with strides %v shows elements more than once", name, t, t.Strides)
			return
		}
		for _, o := range seen {
			if (a.Writes() || o.a.Writes()) && t.Overlaps(o.t) {
				err = fmt.Errorf("%s and %s share memory, and one of them is written", o.name, name)
				return
			}
		}
		seen = append(seen, operand{name, *t, a})
	})
	if err != nil {
		return err
	}
	return op.Check()
}

// What Check methods say about their operands. name is that of the operand.

func wantShape(name string, t Tensor, dims ...int) error {
	want := Of(nil, t.DType, 0, dims...).Shape
	if t.Shape != want {
		return fmt.Errorf("%s has shape %v, expected %v", name, shapeString(t.Shape), shapeString(want))
	}
	return nil
}

func wantDType(name string, t Tensor, ds ...DType) error {
	for _, d := range ds {
		if t.DType == d {
			return nil
		}
	}
	if t.Absent() {
		return fmt.Errorf("%s is absent, expected a tensor of %v", name, ds)
	}
	return fmt.Errorf("%s has dtype %v, expected one of %v", name, t.DType, ds)
}

func wantRows(name string, t Tensor) error {
	if t.Shape[3] != 1 && t.Strides[3] != 1 {
		return fmt.Errorf("%s has stride %d along its last axis, expected 1", name, t.Strides[3])
	}
	return nil
}

// first returns the first error of several checks, or nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
