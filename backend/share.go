package backend

// Sharer is an optional interface of backends that compute on threads of the host: between runs these do work of the
// caller, such as passes over scores.
type Sharer interface {
	// Share calls w.Work for parts of [0, n) that together are all of it, several at a time, and returns when all are done. An
	// item takes about nanos ns; with little work the caller's thread does it alone. It may be called when Run may.
	Share(w Work, n int, nanos float64)
}

// Share is [Sharer] of b, or the caller's thread alone where b is nil or has none to share.
func Share(b Backend, w Work, n int, nanos float64) {
	if s, ok := As[Sharer](b); ok {
		s.Share(w, n, nanos)
		return
	}
	w.Work(0, n)
}

// Work is items that do not depend on each other.
type Work interface {
	Work(from, to int) // does items [from, to)
}
