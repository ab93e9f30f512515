package backend

// Fetcher is an optional interface of backends that go on working while the host waits
// for a result. What the host reads with [Backend.Read] waits for all work, also for
// what was passed on ahead.
type Fetcher interface {
	// Fetch copies n bytes of src from byte off on, up to [MaxFetch], after all earlier
	// work and before all later work. wait waits for that, but for no later work, and
	// copies the bytes to dst, of that length. It returns errors of the device, as Read
	// does. It is called at most once, and before the [MaxFetches]-th Fetch after this
	// one; it need not be called.
	Fetch(src Buffer, off, n int) (wait func(dst []byte) error, err error)

	// Beside reports whether the device works beside the host. A software driver takes the
	// host's processors, so that nothing is gained by giving it the host's work.
	Beside() bool
}

// Bounds of [Fetcher].
const (
	MaxFetch   = 16 << 10
	MaxFetches = 4
)

// FetchI32 begins to read a contiguous tensor of dtype i32, where b is a [Fetcher]. Else it
// reads it at once. len(values) of wait must be t.Len().
func FetchI32(b Backend, t Tensor) (wait func(values []int32) error, err error) {
	if err := hostData(t, t.Len(), I32); err != nil {
		return nil, err
	}
	f, ok := As[Fetcher](b)
	if !ok || t.Size() > MaxFetch {
		now := make([]int32, t.Len())
		if err := GetI32(b, t, now); err != nil {
			return nil, err
		}
		return func(values []int32) error { copy(values, now); return nil }, nil
	}
	fetched, err := f.Fetch(t.Buf, t.DType.Bytes(t.Offset), t.Size())
	if err != nil {
		return nil, err
	}
	return func(values []int32) error {
		if err := hostData(t, len(values), I32); err != nil {
			return err
		}
		return fetched(bytesOf(values))
	}, nil
}
