package nn

import (
	"fmt"

	"caldera/backend"
)

// loss is what CrossEntropy leaves for Backward to begin with.
type loss struct {
	losses, x, dx Tensor // dx: the gradient of x
}

// CrossEntropy is the loss of the head's scores for each vector of x, [batch,
// time, width], given the ids of the tokens that came: targets, [batch, time],
// contiguous. The result has the shape of targets, in nats. Vectors are scored
// chunk at a time: where gradients are wanted, scores turn into theirs in place
// and are used at once, so that memory for all of them is never needed.
// Gradients are those of the mean over all targets, times the share of the
// tape's Training.
func (t *Tape) CrossEntropy(head Linear, x, targets Tensor, chunk int) Tensor {
	return t.CappedCrossEntropy(0, head, x, targets, chunk)
}

// CappedCrossEntropy is CrossEntropy of scores that have a soft-cap: see [Tape.SoftCap].
func (t *Tape) CappedCrossEntropy(cap float32, head Linear, x, targets Tensor, chunk int) Tensor {
	x = t.contiguous(x)
	rows, width := x.Rows(), x.Dim(-1)
	l := loss{losses: t.tensor(backend.F32, targets.Shape[:]...), x: x}
	vectors, labels, losses := x.Reshape(rows, width), targets.Reshape(rows), l.losses.Reshape(rows)
	scale := float32(float64(t.training.Share) / float64(rows))
	if t.params != nil {
		l.dx = t.like(x)
		if _, computed := head.W.Buf.(*slot); computed {
			t.fail(fmt.Errorf("cross entropy: the head's matrix %v is a result of the tape: it has no gradient there", head.W))
		}
	}
	for r := 0; r < rows; r += chunk {
		end := min(r+chunk, rows)
		w, part := t.round(head.W, vectors.Slice(-2, r, end))
		scores := t.padded(backend.F32, [4]int{1, 1, end - r, w.Dim(-2)})
		op := &backend.Linear{Dst: scores, X: part, W: w, Bias: head.Bias, Rounded: t.rounded(w, part)}
		t.add(op)
		capped := scores // which become their gradient
		if cap != 0 {
			capped = t.padded(backend.F32, scores.Shape)
			t.add(&backend.SoftCap{Dst: capped, X: scores, Cap: cap})
		}
		t.add(&backend.CrossEntropy{
			Loss: losses.Slice(-1, r, end), X: capped, Targets: labels.Slice(-1, r, end), LossScale: t.training.LossScale, Scale: scale,
		})
		if t.params != nil {
			dx, dy := l.dx.Reshape(rows, width).Slice(-2, r, end), capped
			if cap != 0 {
				dy = t.padded(backend.F32, scores.Shape)
				t.add(&backend.SoftCapBackward{DX: dy, X: scores, DY: capped, Cap: cap})
			}
			if err := t.linearBackward(op, dx, dy, t.params.grad(w), t.params.grad(head.Bias)); err != nil {
				t.fail(fmt.Errorf("cross entropy: %w", err))
			}
		}
	}
	t.losses = append(t.losses, l)
	return l.losses
}
