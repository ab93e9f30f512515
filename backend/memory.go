package backend

// MemoryReporter is the optional ability to tell how much memory a backend has.
type MemoryReporter interface {
	// Memory tells, in bytes, how much the backend holds for buffers, how much
	// more Alloc could get, and how much the device has in all. What is not
	// known is 0. Memory that [HostMapper] maps belongs to the caller and is
	// not counted. free is an estimate: other programs may use the device too.
	Memory() (used, free, total int64)
}

// Memory asks b for its memory. All are 0 where b is no [MemoryReporter].
func Memory(b Backend) (used, free, total int64) {
	if r, ok := As[MemoryReporter](b); ok {
		return r.Memory()
	}
	return 0, 0, 0
}
