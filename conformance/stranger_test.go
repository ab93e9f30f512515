package conformance_test

import (
	"math"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

var nan = math.NaN()

func init() { ExampleRegister() }

// device is a backend of another package: it wraps one of which it knows the
// interface alone, and adds a kernel for Normalize.
type device struct {
	backend.Backend
	kernel func(dst, x []float32, epsilon float32)
}

func (d *device) Supports(op backend.Op) bool {
	_, own := op.(*Normalize)
	return own || d.Backend.Supports(op)
}

func (d *device) Run(ops ...backend.Op) error {
	for _, op := range ops {
		o, own := op.(*Normalize)
		if !own {
			if err := d.Backend.Run(op); err != nil {
				return err
			}
			continue
		}
		n := o.X.Dim(-1)
		x, dst := make([]float32, n), make([]float32, n)
		for r := range o.X.Rows() {
			if err := backend.GetF32(d, backend.Of(o.X.Buf, backend.F32, o.X.Row(r), n), x); err != nil {
				return err
			}
			d.kernel(dst, x, o.Epsilon)
			if err := backend.SetF32(d, backend.Of(o.Dst.Buf, backend.F32, o.Dst.Row(r), n), dst); err != nil {
				return err
			}
		}
	}
	return nil
}

func rightKernel(dst, x []float32, epsilon float32) {
	sum := epsilon
	for _, v := range x {
		sum += v * v
	}
	norm := float32(math.Sqrt(float64(sum)))
	for i, v := range x {
		dst[i] = v / norm
	}
}

func TestStrangersOp(t *testing.T) {
	conformance.TestGroups(t, func(testing.TB) backend.Backend {
		return &device{conformance.Reference(), rightKernel}
	}, "normalize", "linear")
}

// TestStrangersOpIsHeld expects each wrong kernel of the op to be caught.
func TestStrangersOpIsHeld(t *testing.T) {
	for name, kernel := range map[string]func(dst, x []float32, epsilon float32){
		"forgets epsilon": func(dst, x []float32, _ float32) { rightKernel(dst, x, 0) },
		"leaves the last element out of the sum": func(dst, x []float32, epsilon float32) {
			rightKernel(dst, append(x[:len(x)-1:len(x)-1], 0), epsilon)
			dst[len(x)-1] = x[len(x)-1]
		},
		"has 11 bits of mantissa": func(dst, x []float32, epsilon float32) {
			rightKernel(dst, x, epsilon)
			for i, v := range dst {
				dst[i] = math.Float32frombits(math.Float32bits(v) &^ 0xfff)
			}
		},
		"makes 0 of NaN": func(dst, x []float32, epsilon float32) {
			rightKernel(dst, x, epsilon)
			for i, v := range dst {
				if v != v {
					dst[i] = 0
				}
			}
		},
		"keeps the first result": func() func(dst, x []float32, epsilon float32) {
			var first []float32
			return func(dst, x []float32, epsilon float32) {
				rightKernel(dst, x, epsilon)
				if len(first) == len(dst) {
					copy(dst, first)
				}
				first = append([]float32{}, dst...)
			}
		}(),
	} {
		caught := conformance.Examine(func() backend.Backend { return &device{conformance.Reference(), kernel} }, "normalize")
		if len(caught) == 0 {
			t.Errorf("a kernel that %s passed", name)
			continue
		}
		t.Logf("%s: %s", name, caught[0])
	}
}

// other has the name of an op that is registered.
type other struct{ Normalize }

func (*other) Name() string { return "linear" }

// nameless has no name.
type nameless struct{ Normalize }

func (*nameless) Name() string { return "" }

func TestRegisterRefuses(t *testing.T) {
	cases := func() []conformance.Case { return nil }
	oracle := conformance.Oracle(normalize)
	for name, k := range map[string]conformance.Kind{
		"the name of another op": {Op: &other{}, Oracle: oracle, Cases: cases},
		"the same op twice":      {Op: &Normalize{}, Oracle: oracle, Cases: cases},
		"no op":                  {Oracle: oracle, Cases: cases},
		"a nil op":               {Op: (*Normalize)(nil), Oracle: oracle, Cases: cases},
		"no name":                {Op: &nameless{}, Oracle: oracle, Cases: cases},
		"no oracle":              {Op: &renamed{}, Cases: cases},
		"no cases":               {Op: &renamed{}, Oracle: oracle},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register took a kind with %s", name)
				}
			}()
			conformance.Register(k)
		}()
	}
	// An op that has another's name is not computed by the other's oracle.
	if conformance.Reference().Supports(&other{}) {
		t.Error("the reference supports an op that only has the name of one it knows")
	}
}

// renamed is an op that nobody has registered.
type renamed struct{ Normalize }

func (*renamed) Name() string { return "renamed" }
