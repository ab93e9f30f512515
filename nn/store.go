package nn

import "caldera/backend"

// Store writes the vectors of x, [batch, time, width], into cache, each to the row of
// its place, and returns the cache. Where it is absent nothing precedes x, which is
// returned as it is: each row of ids is all of a sequence then.
func (t *Tape) Store(cache, x Tensor, at Places) Tensor {
	if cache.Absent() {
		return x
	}
	t.add(&backend.Store{Dst: cache, X: x, At: at.At, Table: at.Table})
	return cache
}
