package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"caldera/backend"
)

// part does the items [from, to) of an op, for instance rows. It is a plain
// function that finds what it needs in the op, never a closure, so that an op
// costs no garbage. Items must not depend on each other.
type part func(w *worker, op backend.Op, from, to int)

// worker is what one thread keeps for itself.
type worker struct {
	scratch [7][]float32
}

// floats returns a workspace of n floats, contents undefined. A part that
// needs several at once gives them different slots.
func (w *worker) floats(slot, n int) []float32 {
	if cap(w.scratch[slot]) < n {
		w.scratch[slot] = make([]float32, n)
	}
	return w.scratch[slot][:n]
}

// pool spreads the items of one op after another over threads: the caller's
// and helpers. The caller never waits for a helper to wake: it takes chunks of
// items itself until none is left, then waits for those under way.
type pool struct {
	caller  worker
	helpers int
	version atomic.Int64 // counts jobs, so that a helper sees a new one without locking
	pending atomic.Int64 // chunks that have not been finished

	mu       sync.Mutex
	wake     sync.Cond // for helpers that have waited long
	asleep   int
	stopped  bool
	run      part
	op       backend.Op
	n, chunk int
	next     int
}

const (
	// inlineNanos is the work below which a second thread costs more than it saves.
	inlineNanos = 8_000
	// chunksPerThread leaves small pieces for the end, when threads differ in speed.
	chunksPerThread = 4
	// cacheLine is the number of float32 in one, which no two threads should write.
	cacheLine = 16
	// spin is how long a helper looks for the next op before it sleeps: longer
	// than the pause between the ops of one pass, for waking takes 10 to 50 µs.
	spin = 100 * time.Microsecond
	// patience is how long a thread waits before it yields to the kernel: longer
	// than threads that all run wait for each other.
	patience = 20 * time.Microsecond
)

func newPool(threads int) *pool {
	p := &pool{helpers: threads - 1}
	p.wake.L = &p.mu
	for range p.helpers {
		go p.help()
	}
	return p
}

func (p *pool) threads() int { return p.helpers + 1 }

// parallel runs n items that take about nanos each.
func (b *Backend) parallel(op backend.Op, n int, nanos float64, run part) {
	b.pool.do(op, n, 1, nanos, chunksPerThread, run)
}

// columns runs n columns that take about nanos each, all their rows. A chunk is
// wide, because it goes down the rows anew, and is whole cache lines.
func (b *Backend) columns(op backend.Op, n int, nanos float64, run part) {
	b.pool.do(op, n, 4*cacheLine, nanos, 1, run)
}

// do runs n items that take about nanos each, in at most pieces chunks a
// thread, each but the last a multiple of unit.
func (p *pool) do(op backend.Op, n, unit int, nanos float64, pieces int, run part) {
	work := float64(n) * nanos
	if p.helpers == 0 || n <= unit || work < inlineNanos {
		run(&p.caller, op, 0, n)
		return
	}
	chunks := min(n, pieces*p.threads(), max(2, int(work/inlineNanos)))
	chunk := (n + chunks - 1) / chunks
	chunk = (chunk + unit - 1) / unit * unit
	p.mu.Lock()
	p.run, p.op, p.n, p.chunk, p.next = run, op, n, chunk, 0
	p.pending.Store(int64((n + chunk - 1) / chunk))
	p.version.Add(1)
	if p.asleep > 0 {
		p.wake.Broadcast()
	}
	p.mu.Unlock()
	p.work(&p.caller)
	for since, i := time.Now(), 1; p.pending.Load() != 0; i++ {
		if i%64 == 0 {
			runtime.Gosched()
			if time.Since(since) > patience {
				yield()
			}
		}
	}
}

// work does chunks until none is left.
func (p *pool) work(w *worker) {
	for {
		p.mu.Lock()
		run, op, from := p.run, p.op, p.next
		to := min(from+p.chunk, p.n)
		p.next = to
		if from == to {
			p.run, p.op = nil, nil // keeps nothing alive
		}
		p.mu.Unlock()
		if from == to {
			return
		}
		run(w, op, from, to)
		p.pending.Add(-1)
	}
}

// help is a helper's life.
func (p *pool) help() {
	var w worker
	seen := int64(0)
	for {
		for since, i := time.Now(), 1; p.version.Load() == seen; i++ {
			if i%64 != 0 {
				continue
			}
			runtime.Gosched()
			if waited := time.Since(since); waited < spin {
				if waited > patience {
					yield()
				}
				continue
			}
			p.mu.Lock()
			for p.asleep++; p.version.Load() == seen; {
				p.wake.Wait()
			}
			p.asleep--
			p.mu.Unlock()
		}
		seen = p.version.Load()
		p.mu.Lock()
		stopped := p.stopped
		p.mu.Unlock()
		if stopped {
			return
		}
		p.work(&w)
	}
}

func (p *pool) stop() {
	p.mu.Lock()
	p.stopped = true
	p.version.Add(1)
	p.wake.Broadcast()
	p.mu.Unlock()
}
