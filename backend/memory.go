package backend

// MemoryReporter is an optional interface of backends that know how much memory they
// have.
type MemoryReporter interface {
	// Memory returns, in bytes, how much memory the backend holds for buffers, how
	// much more Alloc can get, and how much the device has in all. A value that is
	// not known is 0. Memory that [HostMapper] maps is not counted. free is an
	// estimate if other programs use the device too.
	Memory() (used, free, total int64)
}

// Memory returns b's memory: see [MemoryReporter]. All are 0 if b is none.
func Memory(b Backend) (used, free, total int64) {
	if r, ok := As[MemoryReporter](b); ok {
		return r.Memory()
	}
	return 0, 0, 0
}
