package backend

import "fmt"

// LayerNormBackward is the gradient of [LayerNorm] (Ba et al. 2016,
// arXiv:1607.06450). It recomputes s = 1 / √(var(x) + ε) and n = (x − mean(x)) · s.
// With g = dy · gamma:
//
//	dx = s · (g − mean(g) − n · mean(g · n))
//	dgamma += Σ dy · n
//	dbeta  += Σ dy
//
// Means are over the last axis, sums over all others. If a vector of x has an element
// that is NaN or infinite, or a vector of dy · gamma has NaN, the whole vector of dx
// becomes NaN.
type LayerNormBackward struct {
	DX      Tensor  // [..., width] f32
	DGamma  Tensor  // [width] f32; may be absent
	DBeta   Tensor  // [width] f32; absent with dgamma
	X       Tensor  // [..., width] f32
	DY      Tensor  // [..., width] f32
	Gamma   Tensor  // [width] f32
	Stats   Tensor  // [..., 2] f32, scratch: mean and s of each vector
	Epsilon float32 // > 0
}

func (*LayerNormBackward) Name() string { return "layernorm_backward" }

func (o *LayerNormBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dx", &o.DX, Write)
	if !o.DGamma.Absent() {
		yield("dgamma", &o.DGamma, Update)
		yield("dbeta", &o.DBeta, Update)
	}
	yield("x", &o.X, Read)
	yield("dy", &o.DY, Read)
	yield("gamma", &o.Gamma, Read)
	yield("stats", &o.Stats, Scratch)
}

func (o *LayerNormBackward) Check() error {
	if !(o.Epsilon > 0) {
		return fmt.Errorf("epsilon is %v, expected a number above 0", o.Epsilon)
	}
	width := o.X.Dim(-1)
	stats := o.X.Shape
	stats[3] = 2
	err := first(
		wantDType("dx", o.DX, F32),
		wantDType("x", o.X, F32),
		wantDType("dy", o.DY, F32),
		wantDType("gamma", o.Gamma, F32),
		wantDType("stats", o.Stats, F32),
		wantShape("dx", o.DX, o.X.Shape[:]...),
		wantShape("dy", o.DY, o.X.Shape[:]...),
		wantShape("gamma", o.Gamma, width),
		wantShape("stats", o.Stats, stats[:]...),
		wantRows("dx", o.DX),
		wantRows("x", o.X),
		wantRows("dy", o.DY),
		wantRows("gamma", o.Gamma),
		wantRows("stats", o.Stats),
	)
	if err != nil || o.DGamma.Absent() && o.DBeta.Absent() {
		return err
	}
	if o.DGamma.Absent() || o.DBeta.Absent() {
		return fmt.Errorf("dgamma and dbeta go together: dgamma is %v, dbeta is %v", o.DGamma, o.DBeta)
	}
	return first(
		wantDType("dgamma", o.DGamma, F32),
		wantDType("dbeta", o.DBeta, F32),
		wantShape("dgamma", o.DGamma, width),
		wantShape("dbeta", o.DBeta, width),
		wantRows("dgamma", o.DGamma),
		wantRows("dbeta", o.DBeta),
	)
}
