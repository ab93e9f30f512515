package conformance

// What mutants are made with: backends around the reference with one part
// replaced, and a way to run the suite on them that only takes notes.

import (
	"errors"
	"fmt"
	"math"

	"caldera/backend"
)

var errFault = errors.New("fault")

// notes is a reporter that remembers.
type notes []string

func (n *notes) Errorf(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }
func (n *notes) Fatalf(format string, args ...any) { n.Errorf(format, args...); panic(stop{}) }

// examine runs the checks of a group until one fails and returns what it said.
func examine(open func() backend.Backend, group string) []string {
	n, _ := examineAll(open, group, checks(false))
	return n
}

func examineAll(open func() backend.Backend, group string, list []check) ([]string, *tally) {
	var n notes
	b := open()
	defer b.Close()
	count := &tally{}
	for _, c := range list {
		if c.group() != group || c.name == "memory/returned" { // slow, and tried by itself
			continue
		}
		func() {
			defer func() {
				if p := recover(); p != nil && p != (any)(stop{}) {
					panic(p)
				}
			}()
			c.do(&env{reporter: &n, b: b, open: open, tally: count})
		}()
		if len(n) > 0 {
			break
		}
	}
	return n, count
}

// faulty is a reference with some methods replaced.
type faulty struct {
	*reference
	alloc func(size int) (backend.Buffer, error)
	write func(dst backend.Buffer, off int, src []byte) error
	read  func(dst []byte, src backend.Buffer, off int) error
	run   func(ops ...backend.Op) error
	close func() error
	fused bool // takes ops that lower to others
}

func (f *faulty) Alloc(size int) (backend.Buffer, error) {
	if f.alloc != nil {
		return f.alloc(size)
	}
	return f.reference.Alloc(size)
}

func (f *faulty) Write(dst backend.Buffer, off int, src []byte) error {
	if f.write != nil {
		return f.write(dst, off, src)
	}
	return f.reference.Write(dst, off, src)
}

func (f *faulty) Read(dst []byte, src backend.Buffer, off int) error {
	if f.read != nil {
		return f.read(dst, src, off)
	}
	return f.reference.Read(dst, src, off)
}

func (f *faulty) Run(ops ...backend.Op) error {
	if f.run != nil {
		return f.run(ops...)
	}
	return f.reference.Run(ops...)
}

func (f *faulty) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.reference.Close()
}

func (f *faulty) Supports(op backend.Op) bool {
	return f.fused && lowers(op) || f.reference.Supports(op)
}

// recorder is a faulty that records in its own way.
type recorder struct {
	*faulty
	record func(ops ...backend.Op) (backend.Program, error)
}

func (r *recorder) Record(ops ...backend.Op) (backend.Program, error) { return r.record(ops...) }

// wrong makes a backend that runs ops of type T by f, after the usual checks
// of buffers. f works on a copy of the op.
func wrong[T backend.Op](f func(o T)) func() backend.Backend {
	return func() backend.Backend {
		b := &faulty{reference: &reference{}, fused: true}
		b.run = func(ops ...backend.Op) error {
			for _, op := range ops {
				o, ok := op.(T)
				if !ok {
					if err := b.reference.Run(op); err != nil {
						return err
					}
					continue
				}
				f(backend.Clone(o).(T))
			}
			return nil
		}
		return b
	}
}

// swapped makes a fault that computes one activation in place of another.
func swapped(of, by backend.Activation) func(o *backend.Activate) {
	return func(o *backend.Activate) {
		if o.Func == of {
			o.Func = by
		}
		right(o)
	}
}

// right computes an op as it should be, for a fault to start or end with.
func right(op backend.Op) {
	if err := interpret(direct{}, op); err != nil {
		panic(err)
	}
}

// copied is t's values in a buffer of its own, each changed by f.
func copied(t backend.Tensor, f func(float64) float64) backend.Tensor {
	x := direct{}.Load(t)
	for i := range x.v {
		x.v[i] = f(x.v[i])
	}
	c := backend.Of(&referenceBuffer{data: make([]byte, t.Size())}, t.DType, 0, t.Shape[:]...)
	direct{}.Store(c, x)
	return c
}

// moved is a copy of places with each position changed by f.
func moved(at backend.Tensor, f func(float64) float64) backend.Tensor {
	c := copied(at, func(v float64) float64 { return v })
	pos := c.Slice(-2, 1, 2)
	direct{}.Store(pos, direct{}.Load(copied(pos, f)))
	return c
}

// each makes a fault of a function from a row of x to a row of dst.
func eachVector(dst, x backend.Tensor, f func(x, dst []float64)) {
	in := direct{}.Load(x)
	out := NewValues(dst.Len())
	for r := range x.Rows() {
		f(in.Row(r, x.Dim(-1)).v, out.Row(r, dst.Dim(-1)).v)
	}
	direct{}.Store(dst, out)
}

// truncated cuts a number to the given bits of mantissa, towards zero.
func truncated(bits int) func(float64) float64 {
	return func(v float64) float64 {
		fraction, exponent := math.Frexp(v)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v
		}
		return math.Ldexp(math.Trunc(math.Ldexp(fraction, bits+1)), exponent-bits-1)
	}
}

func poke(t backend.Tensor, element int, v float64) {
	data := t.Buf.(*referenceBuffer).data
	if n := t.DType.Bytes(1); element >= 0 && (element+1)*n <= len(data) {
		encode(t.DType, data, element, v)
	}
}
