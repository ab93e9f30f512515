package backend

import "fmt"

// CrossEntropy computes the cross-entropy loss of each vector of scores (logits)
// with its target, in nats. It replaces the scores by the gradient of the loss:
//
//	loss = −log softmax(x)[target]
//	x    = (softmax(x) − onehot(target)) · Scale · loss_scale
//
// With Scale = 1/n that is the gradient of the mean over n vectors; x may hold only
// some of them. If a target is outside of the vocabulary, its vector does not count:
// loss and gradient are 0. The loss scale is a factor that training in mixed
// precision applies to all gradients, so that few of them are too small for f16. It
// is a tensor because it changes between steps.
//
// A vector that has NaN or +∞, or no element above −∞, has a loss and a gradient of
// NaN, unless its target is outside. If only the target's score is −∞, the loss is
// +∞ and the gradient is finite.
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
