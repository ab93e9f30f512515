package backend

import "fmt"

// Scale multiplies each row of a tensor by a number of its own:
//
//	dst[a, b, c, i] = x[a, b, c, i] · by[a, b, c, 0]
//
// An axis of By that has length 1 serves all of X's: with By of [1, 1, heads, 1], X of
// [batch, time, heads, size] has one factor for each head. The factors are data, so
// a recorded program can switch a part of a model off and on again: by 0 and by 1.
//
// It is a multiplication as IEEE 754 has it: 0 · NaN and 0 · ∞ are NaN, and a product by
// 1 has the bits of x, unless x is a denormal number and the device flushes those.
type Scale struct {
	Dst Tensor // [..., n] f32
	X   Tensor // [..., n] f32
	By  Tensor // [..., 1] f32: each axis as long as X's, or 1
}

func (*Scale) Name() string { return "scale" }

func (o *Scale) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("by", &o.By, Read)
}

// Factors returns By as a view with a row of one element for each row of X.
func (o *Scale) Factors() Tensor {
	by := o.By
	for i := range 3 {
		if by.Shape[i] == 1 {
			by.Shape[i], by.Strides[i] = o.X.Shape[i], 0
		}
	}
	return by
}

func (o *Scale) Check() error {
	if err := first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("by", o.By, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	); err != nil {
		return err
	}
	for i, n := range o.By.Shape {
		if n != 1 && (i == 3 || n != o.X.Shape[i]) {
			return fmt.Errorf("by has shape %v, expected 1 along the last axis, and along others 1 or the length of x, %v",
				shapeString(o.By.Shape), shapeString(o.X.Shape))
		}
	}
	return nil
}
