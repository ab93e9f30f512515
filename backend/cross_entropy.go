package backend

import "fmt"

// CrossEntropy tells how much each vector of scores (logits) was surprised by
// what came, in nats, and turns the scores into the gradient of that, in place:
//
//	loss = −log softmax(x)[target]
//	x    = (softmax(x) − onehot(target)) · Scale · loss_scale
//
// With Scale = 1/n, that is the gradient of the mean over n vectors, of which
// x may hold a few at a time. A target outside of the vocabulary makes its
// vector not count: loss and gradient are 0. The loss scale is what training in
// mixed precision multiplies gradients by, so that few are too small for f16; it
// changes between steps.
//
// A vector that holds NaN or +∞, or nothing above −∞, has a loss and a gradient
// of NaN, unless its target is outside. Where only the target's score is −∞ the
// loss is +∞, and the gradient is finite.
type CrossEntropy struct {
	Loss      Tensor // [rows] f32
	X         Tensor // [rows, vocab] f32
	Targets   Tensor // [rows] i32
	LossScale Tensor // [1] f32; may be absent: 1
	Scale     float32
}

func (*CrossEntropy) Name() string { return "cross_entropy" }

func (o *CrossEntropy) Operands(yield func(string, *Tensor, Access)) {
	yield("loss", &o.Loss, Write)
	yield("x", &o.X, Update)
	yield("targets", &o.Targets, Read)
	if !o.LossScale.Absent() {
		yield("loss_scale", &o.LossScale, Read)
	}
}

func (o *CrossEntropy) Check() error {
	if o.Scale != o.Scale {
		return fmt.Errorf("scale is %v, expected a number", o.Scale)
	}
	rows := o.X.Dim(-2)
	if !o.LossScale.Absent() {
		if err := first(wantDType("loss_scale", o.LossScale, F32), wantShape("loss_scale", o.LossScale, 1)); err != nil {
			return err
		}
	}
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
