package conformance

import (
	"caldera/backend"
)

// fetched holds a backend.Fetcher to the order of copies: what is fetched is what was
// there between earlier and later work, however late it is waited for.
func fetched(e *env) {
	f, ok := backend.As[backend.Fetcher](e.b)
	if !ok {
		return
	}
	const n = 300
	x, one := e.tensorOf(repeat(0, n)), e.tensorOf(repeat(1, n))
	sum := e.tensorOf(repeat(0, n))
	defer free(x, one, sum)
	var waits []func([]byte) error
	for i := range 9 {
		e.run(&backend.Add{Dst: sum, A: x, B: one}, &backend.Copy{Dst: x, X: sum}) // x is i + 1
		wait, err := f.Fetch(x.Buf, x.DType.Bytes(x.Offset)+4*i, 4*(n-i))
		e.must(err, "Fetch")
		if waits = append(waits, wait); len(waits) < backend.MaxFetches {
			continue
		}
		at := i + 1 - backend.MaxFetches
		got := make([]byte, 4*(n-at))
		e.must(waits[at](got), "waiting for a Fetch")
		for j := range n - at {
			if v := decode(backend.F32, got, j); v != float64(at+1) {
				e.Fatalf("%s: element %d of Fetch %d is %v, expected %d, what it was then", e.name, j, at, v, at+1)
			}
		}
	}
	for _, c := range []struct{ off, n int }{{-4, 8}, {4 * n * 2, 4}, {0, backend.MaxFetch + 4}, {0, -4}} {
		if _, err := f.Fetch(x.Buf, c.off, c.n); err == nil {
			e.Errorf("%s: no error for Fetch of %d bytes at %d of a buffer of %d", e.name, c.n, c.off, x.Buf.Size())
		}
	}
}
