package gpt

import (
	"caldera/backend"
	"caldera/nn"
)

// NewEvaluatorInChunks returns one that reads up to chunk tokens at once.
func (m *Model) NewEvaluatorInChunks(window, chunk int) (*Evaluator, error) {
	return m.newEvaluator(window, chunk, backend.None)
}

// ParameterRows are the rows of a trainer's Parameters.
func (m *Model) ParameterRows() []Weight { return m.parameters() }

// Parameters are what the trainer changes.
func (tr *Trainer) Parameters() []nn.Parameter { return tr.params.List }
