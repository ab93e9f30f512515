package backend

import "fmt"

// CrossEntropy tells how much each vector of scores (logits) was surprised by
// what came, in nats, and turns the scores into the gradient of that, in place:
//
//	loss = −log softmax(x)[target]
//	x    = (softmax(x) − onehot(target)) · Scale
//
// With Scale = 1/n, that is the gradient of the mean over n vectors, of which
// x may hold a few at a time. A target outside of the vocabulary makes its
// vector not count: loss and gradient are 0.
type CrossEntropy struct {
	Loss    Tensor // [rows] f32
	X       Tensor // [rows, vocab] f32
	Targets Tensor // [rows] i32
	Scale   float32
}

func (*CrossEntropy) Name() string { return "cross_entropy" }

func (o *CrossEntropy) Operands(yield func(string, *Tensor, Access)) {
	yield("loss", &o.Loss, Write)
	yield("x", &o.X, Update)
	yield("targets", &o.Targets, Read)
}

func (o *CrossEntropy) Check() error {
	if o.Scale != o.Scale {
		return fmt.Errorf("scale is %v, expected a number", o.Scale)
	}
	rows := o.X.Dim(-2)
	return first(
		wantDType("loss", o.Loss, F32),
		wantDType("x", o.X, F32),
		wantDType("targets", o.Targets, I32),
		wantShape("x", o.X, rows, o.X.Dim(-1)),
		wantShape("loss", o.Loss, rows),
		wantShape("targets", o.Targets, rows),
		wantRows("loss", o.Loss),
		wantRows("x", o.X),
	)
}
