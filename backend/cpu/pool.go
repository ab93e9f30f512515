package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"caldera/backend"
	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/qgemm"
)

// part computes items [from, to) of an op, such as rows. It is a plain function and
// no closure, so that running an op allocates no memory. Items must not depend on
// each other.
type part func(w *worker, op backend.Op, from, to int)

// worker is the state of one thread: its workspaces.
type worker struct {
	index   int // of its share in pool.shares
	scratch [8][]float32
	states  [2][]softmaxState
	gemm    gemm.Workspace
	sampler *sampler // of sample.go; nil before its first use

	integers qgemm.Workspace
}

// floats returns a workspace of n floats, contents undefined. A part that
// needs several at once gives them different slots.
func (w *worker) floats(slot, n int) []float32 {
	if cap(w.scratch[slot]) < n {
		w.scratch[slot] = make([]float32, n)
	}
	return w.scratch[slot][:n]
}

// pool runs the items of an op on several threads: the caller's and helpers. Each has a
// share, chunks of items that follow one another, so that memory is read on from where it
// was, and the same part of a matrix at each run. Who has done his own takes from the end of
// what others have left: a thread that is late, slow or not running holds nobody up for longer than
// a chunk. The caller does not wait for helpers to wake up.
type pool struct {
	caller   worker
	upcoming matrixAhead // of the caller: what the next job has as next
	helpers  int
	version  atomic.Int64 // number of jobs so far, so that helpers see a new one without locking
	pending  atomic.Int64 // number of items that are not finished

	mu      sync.Mutex
	wake    sync.Cond // wakes helpers that sleep
	asleep  int       // number of helpers that sleep
	stopped bool
	run     part
	op      backend.Op
	chunk   int
	shares  []share
	next    matrixAhead // asked for by who is done
}

// share is the items of a thread that nobody has taken.
type share struct{ from, to int }

const (
	// inlineNanos is the time in ns below which an op runs on the caller's thread
	// alone, because a second thread would cost more time than it saves.
	inlineNanos = 8_000
	// chunksPerThread is above 1 so that fast threads can take chunks of slow ones.
	chunksPerThread = 4
	// fewChunks is the same where a chunk repeats no work.
	fewChunks = 16
	// cacheLine is the number of float32 in a cache line. Two threads should not
	// write to the same one.
	cacheLine = 16
	// spin is how long a helper polls for the next op before it sleeps. It is longer
	// than the time between the ops of a model, because waking takes 10 to 50 µs.
	spin = 100 * time.Microsecond
	// yieldAfter is how long a thread polls before it yields to the operating system.
	// It is longer than threads that are all running wait for each other.
	yieldAfter = 20 * time.Microsecond
)

func newPool(threads int) *pool {
	p := &pool{helpers: threads - 1, shares: make([]share, threads)}
	p.wake.L = &p.mu
	for i := range p.helpers {
		go p.help(i + 1)
	}
	return p
}

func (p *pool) threads() int { return p.helpers + 1 }

// parallel runs n items of an op, each of which takes about nanos ns.
func (b *Backend) parallel(op backend.Op, n int, nanos float64, run part) {
	b.pool.do(op, n, 1, nanos, chunksPerThread, run)
}

// columns runs n columns of an op, each of which takes about nanos ns for all rows.
// There is one chunk for each thread, because each chunk reads all rows. Chunks are
// whole cache lines.
func (b *Backend) columns(op backend.Op, n int, nanos float64, run part) {
	b.pool.do(op, n, 4*cacheLine, nanos, 1, run)
}

// shareOf is what a thread has of n items. Shares are equal in whole units.
func (p *pool) shareOf(thread, n, unit int) share {
	units, threads := (n+unit-1)/unit, p.threads()
	return share{min(thread*units/threads*unit, n), min((thread+1)*units/threads*unit, n)}
}

// chunkOf is how many items a chunk has: see do.
func (p *pool) chunkOf(n, unit int, nanos float64, perThread int) int {
	chunks := min(perThread*p.threads(), max(2, int(float64(n)*nanos/inlineNanos)))
	return ((n+unit-1)/unit + chunks - 1) / chunks * unit
}

// do runs n items, each of which takes about nanos ns. It makes at most perThread
// chunks for each thread. Their sizes are multiples of unit, except the last one's.
func (p *pool) do(op backend.Op, n, unit int, nanos float64, perThread int, run part) {
	work := float64(n) * nanos
	if p.helpers == 0 || n <= unit || work < inlineNanos {
		run(&p.caller, op, 0, n)
		return
	}
	chunk := p.chunkOf(n, unit, nanos, perThread)
	p.mu.Lock()
	p.run, p.op, p.chunk = run, op, chunk
	for i := range p.shares {
		p.shares[i] = p.shareOf(i, n, unit)
	}
	p.pending.Store(int64(n))
	p.next, p.upcoming = p.upcoming, matrixAhead{}
	p.version.Add(1)
	if p.asleep > 0 {
		p.wake.Broadcast()
	}
	p.mu.Unlock()
	p.work(&p.caller)
	for since, i := time.Now(), 1; p.pending.Load() != 0; i++ {
		if i%64 == 0 {
			runtime.Gosched()
			if time.Since(since) > yieldAfter {
				yield()
			}
		}
	}
}

// work runs chunks until none is left.
func (p *pool) work(w *worker) {
	for {
		p.mu.Lock()
		run, op, next, s := p.run, p.op, p.next, p.take(w.index)
		if s.from == s.to {
			p.run, p.op = nil, nil // so that the op's memory can be collected
		}
		p.mu.Unlock()
		if s.from == s.to {
			next.fetch(p, w.index)
			return
		}
		run(w, op, s.from, s.to)
		p.pending.Add(int64(s.from - s.to))
	}
}

// take returns what a thread does next: the beginning of its share, or the end of the largest other one. It is
// empty if nothing is left.
func (p *pool) take(thread int) share {
	if own := &p.shares[thread]; own.from < own.to {
		from := own.from
		own.from = min(from+p.chunk, own.to)
		return share{from, own.from}
	}
	most := &p.shares[0]
	for i := range p.shares {
		if s := &p.shares[i]; s.to-s.from > most.to-most.from {
			most = s
		}
	}
	to := most.to
	// Chunks begin where the owner's would, so that they are whole units.
	most.to = most.from + max(0, to-most.from-1)/max(1, p.chunk)*p.chunk
	return share{most.to, to}
}

// help is the loop of a helper's thread: it waits for a job and works on it, until
// the pool stops.
func (p *pool) help(index int) {
	w := worker{index: index}
	seen := int64(0)
	for {
		for since, i := time.Now(), 1; p.version.Load() == seen; i++ {
			if i%64 != 0 {
				continue
			}
			runtime.Gosched()
			if waited := time.Since(since); waited < spin {
				if waited > yieldAfter {
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
