package backend

import "fmt"

// Copy copies x into dst of the same shape, whatever the strides of either.
// Between plain dtypes it rounds to the nearest, ties to even, and NaN stays NaN.
// It also converts a quantised dtype to f32, and f32 to one of activations (see
// [Q8_A]); the f32 tensor is then one whose rows are neighbours in memory.
type Copy struct {
	Dst Tensor // any shape: a plain dtype, or i32 from i32, or quantised activations from f32
	X   Tensor // as dst
}

func (*Copy) Name() string { return "copy" }

func (o *Copy) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Copy) Check() error {
	dst, x := o.Dst.DType, o.X.DType
	var rows error
	switch plain := func(d DType) bool { return d.Is(Weights) && !d.Quantized() }; {
	case plain(dst) && plain(x), dst == I32 && x == I32:
	case dst == F32 && x.Quantized():
		rows = wantRows("dst", o.Dst)
	case dst.Quantized() && dst.Is(Activations) && x == F32:
		rows = wantRows("x", o.X)
	default:
		return fmt.Errorf("cannot convert %v to %v", x, dst)
	}
	return first(rows, wantShape("dst", o.Dst, o.X.Shape[:]...))
}
