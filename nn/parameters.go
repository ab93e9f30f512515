package nn

import (
	"fmt"
	"math"

	"caldera/backend"
)

// Parameter is a tensor that training changes, and what it keeps for it.
type Parameter struct {
	Value Tensor // f32, contiguous, or the transpose of what is
	Decay bool   // AdamW shrinks it a little at each step: matrices, not biases and norms
	Half  bool   // products read a copy rounded to f16, and round what they multiply it with: mixed precision

	// Made by NewParameters, with the shape and strides of Value.
	Grad    Tensor
	Mean    Tensor // of the gradients: AdamW's m
	Square  Tensor // mean of their squares: AdamW's v
	Rounded Tensor // f16, where Half asks for it; see Tape.Round
}

// Parameters are all that a training run changes, in memory of a backend.
type Parameters struct {
	List    []Parameter
	zeros   Tensor                          // [widest row] f32, for clearing gradients
	owners  map[backend.Buffer][]*Parameter // of the memory of Value, and of Rounded
	buffers []backend.Buffer
}

// NewParameters allocates gradients and means, all of them 0. No two values
// may be the same tensor: one that serves twice, such as tied embeddings, is
// one parameter, in whose gradient both uses add up.
func NewParameters(b backend.Backend, list ...Parameter) (*Parameters, error) {
	p := &Parameters{List: list, owners: map[backend.Buffer][]*Parameter{}}
	if err := p.alloc(b); err != nil {
		p.Free()
		return nil, err
	}
	return p, nil
}

func (p *Parameters) alloc(b backend.Backend) (err error) {
	alloc := func(d backend.DType, dims ...int) (Tensor, error) {
		x, err := backend.New(b, d, dims...)
		if err == nil {
			p.buffers = append(p.buffers, x.Buf)
		}
		return x, err
	}
	widest := 1
	for i := range p.List {
		x := &p.List[i]
		rows := inRows(x.Value)
		if x.Value.DType != backend.F32 || !rows.Contiguous() {
			return fmt.Errorf("parameter %d is %v with strides %v: expected f32, contiguous or transposed", i, x.Value, x.Value.Strides)
		}
		if !p.grad(x.Value).Absent() {
			return fmt.Errorf("parameter %d, %v, is there twice", i, x.Value)
		}
		for _, s := range []struct {
			dst *Tensor
			d   backend.DType
		}{{&x.Grad, backend.F32}, {&x.Mean, backend.F32}, {&x.Square, backend.F32}, {&x.Rounded, backend.F16}} {
			if s.d == backend.F16 && !x.Half {
				continue
			}
			if *s.dst, err = alloc(s.d, rows.Shape[:]...); err != nil {
				return fmt.Errorf("training state of %v: %w", x.Value, err)
			}
			if rows != x.Value {
				*s.dst = s.dst.Transpose()
			}
		}
		p.owners[x.Value.Buf] = append(p.owners[x.Value.Buf], x)
		if x.Half {
			p.owners[x.Rounded.Buf] = append(p.owners[x.Rounded.Buf], x)
		}
		widest = max(widest, rows.Dim(-1))
	}
	p.zeros, err = alloc(backend.F32, widest)
	return err
}

// grad is the gradient of x, a parameter or a window on one, or on what is
// rounded of it. It is absent if x is neither.
func (p *Parameters) grad(x Tensor) Tensor {
	return p.same(x, func(o *Parameter) Tensor { return o.Grad })
}

// rounded is x as products read it in f16. It is absent if x is no parameter, or
// a parameter without Half.
func (p *Parameters) rounded(x Tensor) Tensor {
	return p.same(x, func(o *Parameter) Tensor { return o.Rounded })
}

// same is the view, on what a parameter has beside its value, that x is on the
// value or on what is rounded of it.
func (p *Parameters) same(x Tensor, of func(*Parameter) Tensor) Tensor {
	if p == nil || x.Absent() {
		return Tensor{}
	}
	from, to := x.Span()
	for _, o := range p.owners[x.Buf] {
		for _, value := range []Tensor{o.Value, o.Rounded} {
			if value.Buf != x.Buf || value.DType != x.DType {
				continue
			}
			other := of(o)
			if start, end := value.Span(); start <= from && to <= end && !other.Absent() {
				x.Offset -= value.Offset
				return at(other, x)
			}
		}
	}
	return Tensor{}
}

// zerosLike is 0 in x's shape, by a row that is the same for all.
func (p *Parameters) zerosLike(x Tensor) Tensor {
	x.Buf, x.DType, x.Offset, x.Strides = p.zeros.Buf, p.zeros.DType, 0, [4]int{}
	if x.Dim(-1) <= p.zeros.Dim(-1) {
		x.Strides[3] = 1
	}
	return x
}

// inRows is a matrix in the orientation in which its rows lie in memory.
func inRows(x Tensor) Tensor {
	if !x.Contiguous() {
		return x.Transpose()
	}
	return x
}

// Free releases gradients and means; values are the caller's.
func (p *Parameters) Free() {
	for _, b := range p.buffers {
		b.Free()
	}
}

// ClearGradients sets the gradients to 0, for Backward to add to.
func (t *Tape) ClearGradients(p *Parameters) {
	for _, x := range p.List {
		grad := inRows(x.Grad)
		t.add(&backend.Copy{Dst: grad, X: p.zerosLike(grad)})
	}
}

// Round copies what products are to read in f16, as each step begins with.
func (t *Tape) Round(p *Parameters) {
	for _, x := range p.List {
		if x.Half {
			t.add(&backend.Copy{Dst: inRows(x.Rounded), X: inRows(x.Value)})
		}
	}
}

// ClipGradients measures all gradients as one vector. The result is [2]: their
// norm, and the factor that makes it at most limit, which AdamW is to be given.
func (t *Tape) ClipGradients(p *Parameters, limit float32) Tensor {
	rows := 0
	for _, x := range p.List {
		rows += inRows(x.Grad).Rows()
	}
	sums := t.tensor(backend.F32, rows)
	from := 0
	for _, x := range p.List {
		grad := inRows(x.Grad)
		to := from + grad.Rows()
		dst := sums.Slice(-1, from, to)
		dst.Shape = grad.Shape
		dst.Shape[3] = 1
		dst.Strides = backend.Of(nil, backend.F32, 0, dst.Shape[:]...).Strides
		t.add(&backend.SumSquares{Dst: dst, X: grad})
		from = to
	}
	norm := t.tensor(backend.F32, 2)
	t.add(&backend.GlobalNorm{Dst: norm, X: sums, Max: limit})
	return norm
}

// AdamW is how weights follow their gradients; package backend has the formula.
type AdamW struct {
	Beta1, Beta2 float64 // of the means of gradients and of their squares: 0.9 and 0.95 for GPTs
	Epsilon      float32 // 1e-8
	Decay        float32 // of parameters that decay: 0.1
}

// Step is what differs from one step to the next, for the tensor of that name:
// the learning rate, and corrections for the t-1 gradients that came before.
func (o AdamW) Step(t int, rate float64) []float32 {
	return []float32{
		float32(rate),
		float32(1 - math.Pow(o.Beta1, float64(t))),
		float32(1 - math.Pow(o.Beta2, float64(t))),
	}
}

// AdamW moves each parameter against its gradient times scale, [1]. step is
// [3] and written before each run, see [AdamW.Step].
func (t *Tape) AdamW(p *Parameters, o AdamW, step, scale Tensor) {
	for _, x := range p.List {
		decay := o.Decay
		if !x.Decay {
			decay = 0
		}
		t.add(&backend.AdamW{
			W: inRows(x.Value), M: inRows(x.Mean), V: inRows(x.Square), G: inRows(x.Grad), Step: step, Scale: scale,
			Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, Decay: decay,
		})
	}
}
