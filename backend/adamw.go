package backend

import "fmt"

// AdamW moves weights against their gradient, by about the learning rate each,
// and decays them on the way (Loshchilov and Hutter 2019, arXiv:1711.05101,
// algorithm 2, with the decay times the learning rate, as in PyTorch):
//
//	g = scale · g
//	m = Beta1 · m + (1 − Beta1) · g
//	v = Beta2 · v + (1 − Beta2) · g²
//	w = w − rate · (Decay · w + m/(1 − Beta1ᵗ) / (√(v/(1 − Beta2ᵗ)) + Epsilon))
//
// What differs from step to step lies in a tensor. The host computes the two
// corrections of step t = 1, 2, … in float64: powers of numbers near 1 lose
// too many digits in float32.
type AdamW struct {
	W    Tensor // any shape, f32
	M    Tensor // as w: mean of the gradients
	V    Tensor // as w: mean of their squares, none below 0
	G    Tensor // as w: the gradient
	Step Tensor // [3] f32: the learning rate, 1 − Beta1ᵗ, 1 − Beta2ᵗ

	Scale Tensor // [1] f32, of gradients: [GlobalNorm]'s; may be absent

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
