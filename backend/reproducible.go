package backend

// Reproducer is an optional interface of backends whose results may not depend on what is computed
// beside them.
type Reproducer interface {
	// Reproducible reports whether each row of a result has the same bits with any rows beside
	// it, and any number of threads, as long as the op's other operands and constants are the same.
	Reproducible() bool
}

// Reproducible reports whether b is a [Reproducer] for which that is so.
func Reproducible(b Backend) bool {
	r, ok := As[Reproducer](b)
	return ok && r.Reproducible()
}
