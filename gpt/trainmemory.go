package gpt

import (
	"fmt"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/model"
)

// TrainMemoryError reports a training step for which a backend has too little
// memory, before any of it was taken, and what would fit.
type TrainMemoryError struct {
	Backend           string
	Need, Free, Total int64 // bytes: beside the weights, which are there

	Batch     int // the most sequences at once that fit; 0: not one
	Recompute int // the most with TrainOptions.Recompute
}

func (e *TrainMemoryError) Error() string {
	return fmt.Sprintf("%v: a training step needs %s on %s, where %s of %s are free",
		e.Unwrap(), byteCount(e.Need), e.Backend, byteCount(e.Free), byteCount(e.Total))
}

func (e *TrainMemoryError) Unwrap() error { return backend.ErrOutOfMemory }

// trains reports a step that has no place in the memory of the backend, where
// that tells how much it has.
func trains(m *model.Model, o TrainOptions) error {
	_, free, total := backend.Memory(m.Backend)
	if free == 0 || total == 0 { // not known
		return nil
	}
	need, err := trainMemory(m, o)
	if err != nil || need <= free {
		return err
	}
	e := &TrainMemoryError{Backend: m.Backend.Name(), Need: need, Free: free, Total: total}
	for _, x := range []struct {
		recompute bool
		most      *int
	}{{o.Recompute, &e.Batch}, {true, &e.Recompute}} {
		o := o
		o.Recompute = x.recompute
		for low, high := 1, o.Batch; low <= high; { // low-1 fit
			o.Batch = (low + high) / 2
			if need, err := trainMemory(m, o); err == nil && need <= free {
				*x.most, low = o.Batch, o.Batch+1
			} else {
				high = o.Batch - 1
			}
		}
	}
	return e
}

// trainMemory is the number of bytes that a trainer allocates.
func trainMemory(m *model.Model, o TrainOptions) (int64, error) {
	dry, counts := *m, &null.Backend{As: m.Backend}
	dry.Backend = counts
	tr, err := newTrainer(&dry, o)
	if err == nil {
		err = tr.recordLoss()
	}
	return counts.Allocated(), err
}
