package nn

import "caldera/backend"

// Store writes the vectors of x, [batch, time, width], into cache,
// [batch, context, width], from row at[batch] on, and returns the cache. Where
// it is absent nothing precedes x, which is returned as it is.
func (t *Tape) Store(cache, x, at Tensor) Tensor {
	if cache.Absent() {
		return x
	}
	t.add(&backend.Store{Dst: cache, X: x, At: at})
	return cache
}
