package backend

import "fmt"

// AdamW updates weights by a step of the optimizer AdamW (Loshchilov and Hutter
// 2019, arXiv:1711.05101, algorithm 2; the decay is multiplied by the learning
// rate, as in PyTorch). With t the number of the step, from 1 on:
//
//	g = scale · g
//	m = Beta1 · m + (1 − Beta1) · g
//	v = Beta2 · v + (1 − Beta2) · g²
//	w = w − rate · (Decay · w + m/(1 − Beta1ᵗ) / (√(v/(1 − Beta2ᵗ)) + Epsilon))
//
// What changes between steps is in the tensor Step. The host computes the two bias
// corrections 1 − Betaᵗ in float64, because float32 loses too many digits.
type AdamW struct {
	W    Tensor // any shape, f32: the weights
	M    Tensor // as w: moving average of the gradients
	V    Tensor // as w: moving average of their squares, no element below 0
	G    Tensor // as w: the gradient
	Step Tensor // [3] f32: the learning rate, 1 − Beta1ᵗ, 1 − Beta2ᵗ

	Scale Tensor // [1] f32: factor of the gradient, as [GlobalNorm] gives it; may be absent: 1

	Beta1, Beta2 float64 // 0 ≤ Beta < 1
	Epsilon      float32 // > 0
	Decay        float32 // ≥ 0
}

func (*AdamW) Name() string { return "adamw" }

func (o *AdamW) Operands(yield func(string, *Tensor, Access)) {
	yield("w", &o.W, Update)
	yield("m", &o.M, Update)
	yield("v", &o.V, Update)
	yield("g", &o.G, Read)
	yield("step", &o.Step, Read)
	if !o.Scale.Absent() {
		yield("scale", &o.Scale, Read)
	}
}

func (o *AdamW) Check() error {
	switch {
	case !(0 <= o.Beta1 && o.Beta1 < 1 && 0 <= o.Beta2 && o.Beta2 < 1):
		return fmt.Errorf("betas are %v and %v, expected numbers from 0 to below 1", o.Beta1, o.Beta2)
	case !(o.Epsilon > 0):
		return fmt.Errorf("epsilon is %v, expected a number above 0", o.Epsilon)
	case !(o.Decay >= 0):
		return fmt.Errorf("decay is %v, expected 0 or a number above", o.Decay)
	}
	err := first(
		wantDType("w", o.W, F32),
		wantDType("m", o.M, F32),
		wantDType("v", o.V, F32),
		wantDType("g", o.G, F32),
		wantDType("step", o.Step, F32),
		wantShape("m", o.M, o.W.Shape[:]...),
		wantShape("v", o.V, o.W.Shape[:]...),
		wantShape("g", o.G, o.W.Shape[:]...),
		wantShape("step", o.Step, 3),
		wantRows("w", o.W),
		wantRows("m", o.M),
		wantRows("v", o.V),
		wantRows("g", o.G),
		wantRows("step", o.Step),
	)
	if err != nil || o.Scale.Absent() {
		return err
	}
	return first(wantDType("scale", o.Scale, F32), wantShape("scale", o.Scale, 1))
}
