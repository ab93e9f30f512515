package conformance

// The oracle: what ops mean, said in naive float64 loops. Each op's file holds
// its own; here is what they share.

import (
	"bytes"
	"fmt"
	"math"

	"caldera/backend"
)

// Values are the elements of a tensor in row-major order. Each has a bound: how far a
// right result in float32 may be from it. A bound of 0 demands the exact value; +Inf
// allows every finite one.
type Values struct {
	v, e   []float64
	blocks []byte // of a quantised result: the bytes of its rows, which are exact
}

// NewValues returns n zeros with a bound of 0.
func NewValues(n int) Values { return Values{v: make([]float64, n), e: make([]float64, n)} }

// Row returns the i-th row of n elements, which shares memory with x.
func (x Values) Row(i, n int) Values { return Values{v: x.v[i*n : (i+1)*n], e: x.e[i*n : (i+1)*n]} }

// set sets element i. One that is not finite is exact: rounding does not make
// another of it.
func (x Values) set(i int, v, e float64) {
	n := bounded(v, e)
	x.v[i], x.e[i] = n.Value, n.Bound
}

// finite is not v-v == 0, for a compiler may make one instruction of it and a product before
// it (Go does on arm64), of which only one side is rounded.
func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }

// Memory is where an oracle loads the operands of an op and stores its results.
type Memory interface {
	// Load returns the elements of t.
	Load(t backend.Tensor) Values

	// Store sets the elements of t to x, whose length is t.Len().
	Store(t backend.Tensor, x Values)
}

// interpret computes op, or what it lowers to where it has no oracle itself.
func interpret(m Memory, op backend.Op) error {
	if k, ok := kindOf(op); ok && k.Oracle != nil {
		k.Oracle(m, op)
		return nil
	}
	l, ok := op.(backend.Lowerer)
	if !ok {
		return fmt.Errorf("conformance has no oracle for %s (%T): register its kind", op.Name(), op)
	}
	for _, simpler := range l.Lower() {
		if err := interpret(m, simpler); err != nil {
			return err
		}
	}
	return nil
}

// Oracle makes the Oracle of a [Kind] of a function that takes the op's own type.
// The function loads the operands that the op reads, computes in float64, and
// stores those that it writes.
func Oracle[T backend.Op](f func(Memory, T)) func(Memory, backend.Op) {
	return func(m Memory, op backend.Op) { f(m, op.(T)) }
}

// sheet is a memory for checking: operands come from blocks, whose bytes stay
// as they are; results are kept beside them with all digits and bounds.
type sheet map[*block]*results

// results are the elements of a block that an oracle has set.
type results struct {
	Values
	set  []bool
	data []byte // of a quantised block
}

func (s sheet) Load(t backend.Tensor) Values {
	b, width, stride := t.Buf.(*block), t.Dim(-1), t.Stride(-1)
	x := NewValues(t.Len())
	eachRow(t, func(i, at int) {
		decodeRow(x.v[i:i+width], b.dtype, b.data, at, stride)
		if w := s[b]; w != nil {
			for j := range width {
				if p := at + j*stride; w.set[p] {
					x.set(i+j, w.v[p], w.e[p])
				}
			}
			if b.dtype.Quantized() {
				x.blocks = append(x.blocks, w.data[b.dtype.Bytes(at):b.dtype.Bytes(at+width)]...)
			}
		}
	})
	return x
}

func (s sheet) Store(t backend.Tensor, x Values) {
	b := t.Buf.(*block)
	w := s[b]
	if w == nil {
		w = &results{NewValues(b.len()), make([]bool, b.len()), bytes.Clone(b.data)}
		s[b] = w
	}
	eachRow(t, func(i, at int) {
		if width := t.Dim(-1); b.dtype.Quantized() {
			encodeActivations(w.data[b.dtype.Bytes(at):], x.v[i:i+width])
			decodeRow(w.v[at:at+width], b.dtype, w.data, at, 1)
			activationBounds(w.e[at:at+width], w.v[at:at+width], x.v[i:i+width], x.e[i:i+width])
			for j := range width {
				w.set[at+j] = true
			}
			return
		}
		for j := range t.Dim(-1) {
			v, e := x.v[i+j], x.e[i+j]
			v = nearest(b.dtype, v)
			if e > 0 { // it may round to the neighbour
				e += spacing(b.dtype, v)
			}
			p := at + j*t.Stride(-1)
			w.Values.set(p, v, e)
			w.set[p] = true
		}
	})
}

// dot is Σ a·b and more terms, as a sum of float32 products and of these may give
// it, in any order.
func dot(a, b Values, more ...Number) (sum, err float64) {
	n, magnitude := len(a.v), 0.0
	for i, x := range a.v {
		y := b.v[i]
		sum += x * y
		magnitude += math.Abs(x * y)
		err += a.e[i]*math.Abs(y) + math.Abs(x)*b.e[i]
	}
	for _, t := range more {
		if t != (Number{}) { // adding 0 rounds nothing
			n, sum, magnitude, err = n+1, sum+t.Value, magnitude+math.Abs(t.Value), err+t.Bound
		}
	}
	if !finite(sum) {
		return sum, 0
	}
	return sum, err + sumError(n, magnitude)
}

// softmax is exp(x − max) / Σ exp(x − max), for attention too.
func softmax(x Values) Values {
	n := len(x.v)
	p := NewValues(n)
	largest, largestErr := math.Inf(-1), 0.0
	for i, v := range x.v {
		largest, largestErr = math.Max(largest, v), math.Max(largestErr, x.e[i])
	}
	sum := 0.0
	for i, v := range x.v {
		p.v[i] = math.Exp(v - largest)
		sum += p.v[i]
	}
	relative := lambda*math.Sqrt(float64(n))*ulp + function // of the sum
	for i, v := range x.v {
		if p.v[i] > 0 {
			p.e[i] = expError(v-largest) + x.e[i] + largestErr
		}
		p.v[i] /= sum
		relative += p.v[i] * p.e[i]
	}
	for i, v := range p.v {
		if v < tiny {
			p.set(i, v, tiny)
		} else {
			p.set(i, v, v*math.Expm1(p.e[i]+relative)+tiny)
		}
	}
	return p
}
