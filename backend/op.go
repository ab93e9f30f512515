package backend

import (
	"fmt"
	"reflect"
)

// Op is an operation: a pointer to a struct that names its operands. What changes
// between two runs of a recorded op must be in a tensor. A Go value in the struct,
// such as the number of heads, is frozen when the op is recorded.
type Op interface {
	// Name returns the op's short name, such as "linear". Its files, its shader and
	// its tests have the same name.
	Name() string

	// Check returns an error if shapes, dtypes or settings do not agree. It is the
	// same for all backends.
	Check() error

	// Operands calls yield for each tensor that is not absent. Barriers, memory
	// planning, traces and tests depend on it. A caller may use the pointer to bind
	// the op to other memory.
	Operands(yield func(name string, t *Tensor, a Access))
}

// Clone returns a copy of the op's struct, on the same buffers.
func Clone(op Op) Op {
	v := reflect.New(reflect.TypeOf(op).Elem())
	v.Elem().Set(reflect.ValueOf(op).Elem())
	return v.Interface().(Op)
}

// Access says what an op does to an operand.
type Access uint8

const (
	Read    Access = iota // only reads it
	Write                 // writes every element, and reads none
	Update                // reads and writes it, or writes only some elements
	Scratch               // uses it as a workspace; its contents are undefined before and after
)

// Writes reports whether the operand's contents change.
func (a Access) Writes() bool { return a != Read }

// Label returns the op's name with its settings, for messages and tables:
// "linear+gelu_tanh+residual". An op whose name does not say them has a method Label.
func Label(op Op) string {
	if l, ok := op.(interface{ Label() string }); ok {
		return l.Label()
	}
	return op.Name()
}

// Lowerer is an Op that can be replaced by simpler ops, which Lower returns. They define
// what the op means, and are the fallback of backends that do not support it.
// Intermediate results are operands of the op, so that Lower allocates no memory. Lower
// returns nil if the op has no simpler form.
type Lowerer interface {
	Op
	Lower() []Op
}

// OpError says which op of a list is wrong.
type OpError struct {
	Index int
	Op    string
	Err   error
}

func (e *OpError) Error() string { return fmt.Sprintf("op %d (%s): %v", e.Index, e.Op, e.Err) }
func (e *OpError) Unwrap() error { return e.Err }

// Check returns an error unless op is right for every backend: each operand is
// inside its buffer, an operand that is written overlaps neither itself nor another
// operand, and op.Check finds no fault.
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

// Checks of operands, for the Check methods of ops. name is that of the operand.

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

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
