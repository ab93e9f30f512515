package cpu

import "caldera/backend"

// shared is the caller's work, as an op for the pool. No op is run by it.
type shared struct {
	backend.Op
	work backend.Work
}

// Share implements [backend.Sharer].
func (b *Backend) Share(w backend.Work, n int, nanos float64) {
	b.shared.work = w
	b.parallel(&b.shared, n, nanos, func(_ *worker, op backend.Op, from, to int) { op.(*shared).work.Work(from, to) })
	b.shared.work = nil
}
