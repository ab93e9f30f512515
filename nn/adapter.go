package nn

import "caldera/backend"

// Adapter is a change of a matrix by two thin ones, beside it (LoRA: Hu et al. 2021, Low-Rank
// Adaptation of Large Language Models, arXiv:2106.09685):
//
//	x · wᵀ + bias + scale · (dropout(x) · aᵀ) · bᵀ
//
// The matrix is only read. So it may be of any dtype of weights, and it may be frozen while
// a and b, which are parameters, learn.
type Adapter struct {
	A       Tensor  // [rank, in] f32; absent: no adapter
	B       Tensor  // [out, rank] f32
	Scale   Tensor  // [1] f32, which the host writes; absent: 1
	Dropout float32 // the probability with which an element of x is dropped, on a tape that trains
}

// Present reports whether there is one.
func (a Adapter) Present() bool { return !a.A.Absent() }

// adapted is linears where there are adapters. The products with the matrices come first, so
// that those of matrices that lie one below the other are still one. Adapters with one A, as
// the parts of a joined matrix have it, multiply x with it once.
func (t *Tape) adapted(x Tensor, dst []Tensor, ls []Linear) []Tensor {
	sums, plain := t.beside(x, ls), make([]Tensor, len(ls))
	bare := make([]Linear, len(ls))
	for i, l := range ls {
		bare[i], plain[i] = Linear{W: l.W, Bias: l.Bias}, dst[i]
		if l.Adapter.Present() {
			plain[i] = sums[i]
		}
	}
	t.linears(x, plain, bare)
	inner := t.inner(x, ls)
	for i, l := range ls {
		if l.Adapter.Present() {
			t.add(&backend.Add{Dst: dst[i], A: sums[i], B: t.Linear(Linear{W: l.Adapter.B}, inner[l.Adapter.A])})
		}
	}
	return dst
}

// inner is scale · (dropout(x) · aᵀ) of each A.
func (t *Tape) inner(x Tensor, ls []Linear) map[Tensor]Tensor {
	inner := map[Tensor]Tensor{}
	var first []Linear // the A's whose products read x itself
	for _, l := range ls {
		a := l.Adapter
		if _, known := inner[a.A]; known || !a.Present() {
			continue
		}
		if inner[a.A] = x; !t.training.Seed.Absent() && a.Dropout > 0 {
			inner[a.A] = t.Linear(Linear{W: a.A}, t.drop(x, a.Dropout))
			continue
		}
		first = append(first, Linear{W: a.A})
	}
	if len(first) > 0 {
		for i, y := range t.Linears(x, first...) {
			inner[first[i].W] = y
		}
	}
	scaled := map[Tensor]bool{}
	for _, l := range ls {
		if a := l.Adapter; !a.Scale.Absent() && !scaled[a.A] {
			inner[a.A], scaled[a.A] = t.Scale(inner[a.A], a.Scale), true
		}
	}
	return inner
}
