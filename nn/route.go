package nn

import "caldera/backend"

// Route chooses so many experts for each vector of scores, x: their ids, i32, and the weights of
// what they give, both [batch, time, chosen].
func (t *Tape) Route(x Tensor, chosen int) (ids, weights Tensor) {
	ids = t.tensor(backend.I32, x.Dim(0), x.Dim(1), x.Dim(2), chosen)
	weights = t.tensor(backend.F32, x.Dim(0), x.Dim(1), x.Dim(2), chosen)
	t.add(&backend.Route{IDs: ids, Weights: weights, X: x})
	return ids, weights
}
