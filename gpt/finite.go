package gpt

import (
	"context"
	"fmt"
	"slices"
)

// NonFiniteError tells of a weight that is NaN or infinite, in a checkpoint that
// was loaded with [LoadOptions].Train. Nothing can be learned from it: every
// loss would be NaN.
type NonFiniteError struct {
	Tensor string  // its name in the checkpoint
	Index  []int   // of the first such element
	Value  float32 // what it is
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("element %v is %v, expected a finite number: a model with such a weight cannot be trained; take another checkpoint, such as an earlier one", e.Index, e.Value)
}

// checkFinite returns a [NonFiniteError] for the first element of t that is NaN
// or infinite. It stops between pieces when ctx ends.
func checkFinite(ctx context.Context, t rawTensor) error {
	s := storage(t.DType)
	n := 1
	for _, dim := range t.Shape {
		n *= dim
	}
	piece := make([]float32, min(n, pieceLen/s.BlockLen()*s.BlockLen()))
	for from := 0; from < n; from += len(piece) {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece = piece[:min(len(piece), n-from)]
		decode(piece, s, t.Data[s.Bytes(from):s.Bytes(from+len(piece))])
		if i := slices.IndexFunc(piece, func(v float32) bool { return v-v != 0 }); i >= 0 {
			return &NonFiniteError{t.Name, indexOf(from+i, t.Shape), piece[i]}
		}
	}
	return nil
}

// indexOf is where element i of a tensor of a shape stands along each axis.
func indexOf(i int, shape []int) []int {
	index := make([]int, len(shape))
	for axis, dim := range slices.Backward(shape) {
		index[axis] = i % dim
		i /= dim
	}
	return index
}
