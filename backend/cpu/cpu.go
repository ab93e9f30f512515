// Package cpu runs ops on the host's processor. Matrix products use package gemm, or a BLAS
// library of the machine (package blaslib has the rule); products of quantised weights with
// activations in blocks use package qgemm; everything else uses package vec. It needs no cgo.
//
// To add an op, add a file with its name and an init that registers its kernel. No
// other place lists the ops.
package cpu

import (
	"errors"
	"fmt"
	"reflect"

	"caldera/backend"
	"caldera/backend/cpu/internal/blaslib"
	"caldera/backend/cpu/internal/isa"
)

var (
	_ backend.Backend        = (*Backend)(nil)
	_ backend.HostMapper     = (*Backend)(nil)
	_ backend.Describer      = (*Backend)(nil)
	_ backend.MemoryReporter = (*Backend)(nil)
	_ backend.Profiler       = (*Backend)(nil)
	_ backend.Rounder        = (*Backend)(nil)
	_ backend.Reproducer     = (*Backend)(nil)
	_ backend.Sharer         = (*Backend)(nil)
)

func init() {
	backend.Register("cpu", func() ([]backend.Device, error) {
		lib, err := load()
		if err != nil {
			return nil, err
		}
		return []backend.Device{{
			Backend: "cpu",
			Name:    hostName(),
			Kind:    backend.Host,
			Driver:  lib.Name,
			Memory:  hostMemory(),
			Advice:  lib.Advice,
			Open:    func() (backend.Backend, error) { return Open() },
		}}, nil
	})
}

// Backend is the host's processor. Its Run returns when the ops have finished.
type Backend struct {
	library   blaslib.Library
	pool      *pool
	live      map[*buffer]struct{}
	bytes     int // of buffers from Alloc that are not freed
	closed    bool
	profile   *profile       // the profile that is being made; nil: none
	wide      [2]wide        // see widen
	product   backend.Linear // the product in hand, where its vectors were widened
	integers  integers       // the product in hand, where it is one of integers
	experts   experts        // the product in hand, where it is one of experts
	attention attentionTiles // the op in hand, where its keys are spread
	next      matrixAhead    // of the product after the one in hand
	shared    shared

	// Run calls visit for each operand, to check it. It is made once, so that Run
	// allocates no memory.
	visit    func(name string, t *backend.Tensor, a backend.Access)
	visitErr error
}

// load chooses what multiplies matrices.
func load() (blaslib.Library, error) {
	if err := isa.Check(); err != nil {
		return blaslib.Library{}, err
	}
	return blaslib.Load()
}

// UseOwn makes this process multiply with package gemm alone, whatever libraries there are, so that
// its backends are reproducible. It is called before the first one is opened or listed, and returns an
// error if a library was chosen before.
func UseOwn() error {
	if err := isa.Check(); err != nil {
		return err
	}
	return blaslib.UseOwn()
}

// Reproducible implements [backend.Reproducer]: it is so unless a library multiplies. Gradients of
// weights, biases and norms are sums of rows, so what rows there are is in their bits; the number of
// threads is not, and in no other op of training.
func (b *Backend) Reproducible() bool { return b.library.Own }

// Open starts the backend with as many threads as [Threads] says. It fails only if the environment
// names a BLAS library that cannot be used, or an instruction set that does not exist.
func Open() (*Backend, error) {
	lib, err := load()
	if err != nil {
		return nil, fmt.Errorf("backend cpu: %w", err)
	}
	b := &Backend{
		library: lib,
		pool:    newPool(Threads()),
		live:    map[*buffer]struct{}{},
	}
	b.visit = func(name string, t *backend.Tensor, a backend.Access) {
		if err := b.checkOperand(t, a); err != nil && b.visitErr == nil {
			b.visitErr = fmt.Errorf("%s: %w", name, err)
		}
	}
	return b, nil
}

// Name is "cpu".
func (b *Backend) Name() string { return "cpu" }

// Describe names the processor, the number of threads and what multiplies matrices.
func (b *Backend) Describe() string {
	return fmt.Sprintf("%s, %d threads, %s", hostName(), b.pool.threads(), b.library.Name)
}

// kernel runs one op. Its Check is nil and its buffers are not freed.
type kernel func(b *Backend, op backend.Op)

var kernels = map[reflect.Type]kernel{}

// register makes run the kernel for ops of type O.
func register[O backend.Op](run func(b *Backend, op O)) {
	kernels[reflect.TypeFor[O]()] = func(b *Backend, op backend.Op) { run(b, op.(O)) }
}

// Supports returns true for every op that has a kernel, for all shapes, but for products that
// round x, or are joined with a norm, a rotation or a store.
func (b *Backend) Supports(op backend.Op) bool {
	l, ok := op.(*backend.Linear)
	return kernels[reflect.TypeOf(op)] != nil && !(ok && (l.Joined() || !l.Rounded.Absent()))
}

// Run runs ops in order and returns when they have finished. If an operand of one of
// them cannot be used, nothing runs.
func (b *Backend) Run(ops ...backend.Op) error {
	if b.closed {
		return backend.ErrClosed
	}
	for i, op := range ops {
		b.visitErr = nil
		if !b.Supports(op) {
			b.visitErr = errors.New("the cpu backend has no kernel for it; ops for Run come from backend.Prepare")
		} else {
			op.Operands(b.visit)
		}
		if b.visitErr != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: b.visitErr}
		}
	}
	for i, op := range ops {
		if l, ok := op.(*backend.Linear); ok && l.X.Rows() <= fewRows {
			b.next = b.pool.nextMatrix(ops[i+1:])
		}
		if b.profile != nil {
			b.profile.run(b, op)
			continue
		}
		kernels[reflect.TypeOf(op)](b, op)
	}
	return nil
}

// Close stops the threads and frees every buffer.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	for buf := range b.live {
		buf.Free()
	}
	b.closed = true
	b.pool.stop()
	return nil
}
