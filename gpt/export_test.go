package gpt

import (
	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// NewEvaluatorInChunks returns one that reads up to chunk tokens at once.
func NewEvaluatorInChunks(m *model.Model, window, chunk int) (*Evaluator, error) {
	return newEvaluator(m, window, chunk, backend.None)
}

// SetMaxWatching changes maxWatching until undo is called.
func SetMaxWatching(bytes int) (undo func()) {
	old := maxWatching
	maxWatching = bytes
	return func() { maxWatching = old }
}

// Parameters are what the trainer changes.
func (tr *Trainer) Parameters() []nn.Parameter { return tr.params.List }
