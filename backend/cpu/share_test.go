package cpu

import (
	"sync/atomic"
	"testing"
)

// counted counts how often each item is done.
type counted []atomic.Int32

func (c counted) Work(from, to int) {
	for i := from; i < to; i++ {
		c[i].Add(1)
	}
}

func TestShare(t *testing.T) {
	defer SetThreads(0)
	for threads := range 6 {
		SetThreads(threads)
		b := open(t)
		for _, n := range []int{0, 1, 2, 49, 1000} {
			for _, nanos := range []float64{1, 1e6} {
				c := make(counted, n)
				b.Share(c, n, nanos)
				for i := range c {
					if done := c[i].Load(); done != 1 {
						t.Errorf("%d threads: item %d of %d was done %d times", threads, i, n, done)
					}
				}
			}
		}
		if n := testing.AllocsPerRun(10, func() { b.Share(none{}, 100, 1e6) }); n != 0 {
			t.Errorf("%d threads: %v allocations, want none", threads, n)
		}
	}
}

type none struct{}

func (none) Work(from, to int) {}
