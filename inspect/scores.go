package inspect

import (
	"context"
	"math"
	"math/bits"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// headRows is the most rows that are mapped to scores at once: scores are as many
// numbers for each row as there are tokens.
const headRows = 64

// head is a program that maps vectors to scores of all tokens.
type head struct {
	*nn.Program
	rows      int
	x, scores backend.Tensor // [1, rows, width], [1, rows, vocab]
	values    []float32
}

func (h *head) close() {
	h.Program.Close()
	if h.x.Buf != nil {
		h.x.Buf.Free()
	}
}

// Scores maps vectors of the residual stream, rows of the model's width, through the
// last norm and the unembedding, and calls visit for each row with the scores (logits)
// of all tokens, [vocab], which are valid until visit returns.
func (in *Inspector) Scores(ctx context.Context, x []float32, visit func(row int, scores []float32) error) error {
	width := in.Model.Width
	for row := 0; row*width < len(x); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(x)/width-row, headRows)
		h, err := in.head(1 << bits.Len(uint(n-1)))
		if err != nil {
			return err
		}
		if err := backend.SetF32(in.Model.Backend, h.x.Slice(-2, 0, n), x[row*width:(row+n)*width]); err != nil {
			return err
		}
		if err := in.measure(h.Run, func() []string { return []string{"scores"} }, h.Writers); err != nil {
			return err
		}
		if err := backend.GetF32(in.Model.Backend, h.scores.Slice(-2, 0, n), h.values[:n*in.Model.Vocab]); err != nil {
			return err
		}
		for i := range n {
			if err := visit(row+i, h.values[i*in.Model.Vocab:(i+1)*in.Model.Vocab]); err != nil {
				return err
			}
		}
		row += n
	}
	return nil
}

// head returns the program for so many rows, recorded at its first use.
func (in *Inspector) head(rows int) (*head, error) {
	if h := in.heads[rows]; h != nil {
		return h, nil
	}
	m := in.Model
	h := &head{rows: rows, values: make([]float32, rows*m.Vocab)}
	var err error
	if h.x, err = backend.New(m.Backend, backend.F32, 1, rows, m.Width); err != nil {
		return nil, err
	}
	t := m.Tape()
	t.Watch(func(name string) bool { return name == "scores" })
	scores := t.Name(model.Unembed(m, t, h.x), "scores")
	if h.Program, err = t.Record(); err != nil {
		h.x.Buf.Free()
		return nil, err
	}
	h.scores = h.Tensor(scores)
	in.heads[rows] = h
	return h, nil
}

// LogProbs are the natural logarithms of the probabilities that scores stand for, at a
// temperature above 0: scores / temperature less the logarithm of the sum of their
// exponentials, summed up in float64.
func LogProbs(scores []float32, temperature float64) []float64 {
	most := math.Inf(-1)
	for _, s := range scores {
		most = math.Max(most, float64(s))
	}
	sum := 0.0
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = (float64(s) - most) / temperature
		sum += math.Exp(out[i])
	}
	for i := range out {
		out[i] -= math.Log(sum)
	}
	return out
}
