package checkpoint

import (
	"context"
	"fmt"
	"slices"

	"caldera/backend"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
)

// NonFiniteError is the error of a weight that is NaN or infinite, in a checkpoint
// that is loaded with [LoadOptions].Train. A model cannot learn with one: every loss
// would be NaN.
type NonFiniteError struct {
	Tensor string  // name in the checkpoint
	Index  []int   // of the first such element, one number an axis, the outermost first
	Value  float32 // of that element
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("element %v is %v, expected a finite number: a model with such a weight cannot be trained; take another checkpoint, such as an earlier one", e.Index, e.Value)
}

// CheckFinite returns a [NonFiniteError] for the first tensor of the model that has a NaN or
// an infinity, and an error where its tensors do not fit. It stops when ctx ends.
func (c *Checkpoint) CheckFinite(ctx context.Context) error {
	m, found, err := c.match(nil, model.Placement{})
	if err != nil {
		return err
	}
	for _, w := range m.Learned() {
		if err := checkFinite(ctx, found[w.Name(model.HuggingFace)]); err != nil {
			return err
		}
	}
	return nil
}

// checkFinite returns a [NonFiniteError] for the first element of t that is NaN
// or infinite. It stops between pieces when ctx ends.
func checkFinite(ctx context.Context, t rawTensor) error {
	s := backend.OfFileName(t.DType)
	n := tensorfile.Elements(t.Shape)
	data := t.Data()
	piece := make([]float32, min(n, pieceLen/s.BlockLen()*s.BlockLen()))
	for from := 0; from < n; from += len(piece) {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece = piece[:min(len(piece), n-from)]
		decode(piece, s, data[s.Bytes(from):s.Bytes(from+len(piece))])
		if i := slices.IndexFunc(piece, func(v float32) bool { return v-v != 0 }); i >= 0 {
			return &NonFiniteError{t.Name, indexOf(from+i, t.Shape), piece[i]}
		}
	}
	return nil
}

// indexOf is the index of element i, counted row-major, of a tensor of that shape:
// one number an axis.
func indexOf(i int, shape []int) []int {
	index := make([]int, len(shape))
	for axis, dim := range slices.Backward(shape) {
		index[axis] = i % dim
		i /= dim
	}
	return index
}
