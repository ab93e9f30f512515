package backend

import "fmt"

// Copy copies x into dst of the same shape, whatever the strides of either.
// Between f32 and f16 it converts, to the nearest f16.
type Copy struct {
	Dst Tensor // any shape: f32 or f16, or i32 from i32
	X   Tensor // as dst
}

func (*Copy) Name() string { return "copy" }

func (o *Copy) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Copy) Check() error {
	if (o.Dst.DType == I32) != (o.X.DType == I32) {
		return fmt.Errorf("cannot convert %v to %v", o.X.DType, o.Dst.DType)
	}
	return first(
		wantDType("dst", o.Dst, append(PlainDTypes(), I32)...),
		wantDType("x", o.X, append(PlainDTypes(), I32)...),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
	)
}
