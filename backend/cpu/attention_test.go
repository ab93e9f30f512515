package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// TestAttentionTiles is the part of the suite with attention, with tiles of a few keys: of one thread, and of several, which
// share the keys of one head.
func TestAttentionTiles(t *testing.T) {
	usual := keyTile
	defer func() { keyTile = usual }()
	for _, n := range [][2]int{{1, 5}, {3, 8}} {
		keyTile = n[1]
		t.Run(fmt.Sprintf("threads=%d/keys=%d", n[0], n[1]), func(t *testing.T) {
			conformance.TestGroups(t, func(tb testing.TB) backend.Backend { return openThreads(tb, n[0]) }, "attention")
		})
	}
}

func openThreads(tb testing.TB, threads int) *Backend {
	b := open(tb)
	b.pool.stop()
	b.pool = newPool(threads)
	return b
}

// TestAttentionBits wants a query over several tiles of keys to have the same bits alone and among others, and with every
// number of threads.
func TestAttentionBits(t *testing.T) {
	const time, heads, groups, size, context, at = 70, 6, 2, 24, 1400, 1300
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		for _, window := range []int{0, 700} {
			var all []float32 // [time, heads·size]
			for _, threads := range []int{1, 2, 5} {
				b, r := openThreads(t, threads), rand.New(rand.NewPCG(1, 2))
				set := func(x backend.Tensor) backend.Tensor {
					values := make([]float32, x.Len())
					for i := range values {
						values[i] = float32(r.NormFloat64())
					}
					if err := backend.SetF32(b, x, values); err != nil {
						t.Fatal(err)
					}
					return x
				}
				q := set(tensor(t, b, backend.F32, 1, time, heads*size))
				kv := set(tensor(t, b, d, 1, context, 2*groups*size))
				dst, sinks := tensor(t, b, backend.F32, 1, time, heads*size), set(tensor(t, b, backend.F32, heads))
				run := func(t0, n int) []float32 {
					op := &backend.Attention{
						Dst: dst.Slice(-2, t0, t0+n), Q: q.Slice(-2, t0, t0+n), K: kv.Slice(-1, 0, groups*size), V: kv.Slice(-1, groups*size, 2*groups*size),
						At: places(t, b, n), Sinks: sinks, Heads: heads, Scale: 0.3, Window: window, SoftCap: 20,
					}
					setAt(t, b, op.At, at+t0)
					if err := backend.Run(b, op); err != nil {
						t.Fatal(err)
					}
					return slices.Clone(elements[float32](&dst)[t0*heads*size:][:n*heads*size])
				}
				got := run(0, time)
				if all == nil {
					all = got
				}
				if !slices.Equal(got, all) {
					t.Errorf("%v, window %d: other bits with %d threads", d, window, threads)
				}
				for _, one := range []int{0, 33, time - 1} {
					if !slices.Equal(run(one, 1), all[one*heads*size:][:heads*size]) {
						t.Errorf("%v, window %d, %d threads: query %d has other bits alone", d, window, threads, one)
					}
				}
				b.Close()
			}
		}
	}
}
