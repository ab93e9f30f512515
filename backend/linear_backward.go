package backend

import "fmt"

// LinearBackward adds what [Linear] says of the gradient of its matrix and its
// bias, summed over all vectors:
//
//	dw    += dyᵀ · x
//	dbias += Σ dy
//
// The gradient of x is a Linear itself: dx = dy · w, with w transposed. As w
// may, dw may lie in memory in either orientation.
type LinearBackward struct {
	DW    Tensor // [out, in] f32
	DBias Tensor // [out] f32; may be absent
	DY    Tensor // [..., out] f32 or f16
	X     Tensor // [..., in] of dy's dtype
}

func (*LinearBackward) Name() string { return "linear_backward" }

func (o *LinearBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dw", &o.DW, Update)
	if !o.DBias.Absent() {
		yield("dbias", &o.DBias, Update)
	}
	yield("dy", &o.DY, Read)
	yield("x", &o.X, Read)
}

func (o *LinearBackward) Check() error {
	out, in := o.DY.Dim(-1), o.X.Dim(-1)
	dy := o.X.Shape
	dy[3] = out
	err := first(
		wantDType("dw", o.DW, F32),
		wantDType("dy", o.DY, F32, F16),
		wantDType("x", o.X, o.DY.DType),
		wantShape("dw", o.DW, out, in),
		wantShape("dy", o.DY, dy[:]...),
		wantRows("dy", o.DY),
		wantRows("x", o.X),
	)
	if err == nil && wantRows("dw", o.DW) != nil && wantRows("dw", o.DW.Transpose()) != nil {
		err = fmt.Errorf("dw has strides %v, expected 1 along one of its two axes", o.DW.Strides[2:])
	}
	if err != nil || o.DBias.Absent() {
		return err
	}
	return first(
		wantDType("dbias", o.DBias, F32),
		wantShape("dbias", o.DBias, out),
		wantRows("dbias", o.DBias),
	)
}

// Cost is of one product, for the matrix.
func (o *LinearBackward) Cost() (flops, bytes int64) {
	return product(o.X.Rows(), o.X.Dim(-1), o.DY.Dim(-1)), moved(o, 0)
}
