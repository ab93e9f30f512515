package gpt

import (
	"caldera/backend"
	"caldera/nn"
)

// NewEvaluatorInChunks returns one that reads up to chunk tokens at once.
func (m *Model) NewEvaluatorInChunks(window, chunk int) (*Evaluator, error) {
	return m.newEvaluator(window, chunk, backend.None)
}

// Weight is a tensor of a model under its name in a checkpoint.
type Weight struct {
	Name      string
	Value     Tensor
	Transpose bool // in a checkpoint
}

// Weights are those of m, in the order of a trainer's Parameters.
func (m *Model) Weights() []Weight {
	var all []Weight
	for _, w := range m.tensors() {
		all = append(all, Weight{w.name, *w.dst, w.conv1D})
	}
	return all
}

// Parameters are what the trainer changes.
func (tr *Trainer) Parameters() []nn.Parameter { return tr.params.List }
