package gpt

import (
	"math"

	"caldera/backend"
)

// In mixed precision the matrix products of training read f16, forward and
// backward, and add up in f32; weights, what AdamW remembers, and all other
// operations are f32: Micikevicius et al. 2018, Mixed Precision Training,
// arXiv:1710.03740. The gradients of a mean over thousands of tokens are often
// below 2⁻²⁴, the smallest number of f16, so all are multiplied by a loss scale.

// lossScale is that, and adapts (dynamic loss scaling). As PyTorch's GradScaler has it, it halves when a
// gradient was too large for f16, and doubles after many steps of which none was.
type lossScale struct {
	value float64 // a power of two
	steps int     // without change
}

const (
	firstLossScale = 1 << 16
	lossScaleGrows = 2000 // steps
)

// largest is a scale with which the gradient of a score, at most 1 before it is
// divided by the number of targets of a step, comes to half of what f16 holds.
func (o TrainOptions) largestLossScale() float64 {
	return math.Exp2(math.Floor(math.Log2(1 << 15 * float64(o.Batch) * float64(o.Time) * float64(o.Accumulate))))
}

// overflowed follows a step that was for nothing.
func (s *lossScale) overflowed() { s.value, s.steps = s.value/2, 0 }

// passed follows a step whose gradients were finite.
func (s *lossScale) passed(largest float64) {
	if s.steps++; s.steps == lossScaleGrows {
		s.value, s.steps = min(2*s.value, largest), 0
	}
}

// scaledStep is a step in mixed precision: gradients, anew each time that they
// overflow, and then the weights.
func (tr *Trainer) scaledStep(ids, targets []int) (loss, norm float64, err error) {
	finite := func(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }
	for ; ; tr.scale.overflowed() {
		scale := tr.scale.value
		if err := backend.SetF32(tr.m.Backend, tr.lossScale, []float32{float32(scale)}); err != nil {
			return 0, 0, err
		}
		loss, norm, err := tr.gradients(ids, targets)
		norm /= scale
		if err != nil || !finite(loss) || !finite(norm) && scale <= 1 { // the latter have nothing to do with the scale
			return loss, norm, err
		}
		if !finite(norm) {
			continue
		}
		clip := min(1, float64(tr.o.Clip)/(norm+1e-6)) / scale // as backend.GlobalNorm has it
		if err := backend.SetF32(tr.m.Backend, tr.clip, []float32{float32(clip)}); err != nil {
			return 0, 0, err
		}
		tr.scale.passed(tr.o.largestLossScale())
		return loss, norm, tr.update.Run()
	}
}
