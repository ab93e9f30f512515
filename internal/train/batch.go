package train

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"caldera/internal/setting"
)

// What batches are drawn for. Each has random numbers of its own.
const (
	forTraining = iota
	forEvaluation
)

// drawBatch fills ids and targets, [n, time] each, with n windows that begin at
// random places of t, as nanoGPT's get_batch; the target of an id is what
// follows it. The random numbers are those of (seed, purpose, index) and of
// nothing else, so that a run that goes on draws what it would have drawn.
func drawBatch(t Tokens, seed uint64, purpose, index, time int, ids, targets []int) {
	var key [32]byte
	for i, v := range []uint64{seed, uint64(purpose), uint64(index)} {
		binary.LittleEndian.PutUint64(key[8*i:], v)
	}
	r := rand.New(rand.NewChaCha8(key))
	window := make([]int, time+1)
	for i := 0; i < len(ids); i += time {
		t.Read(window, r.IntN(t.Len()-time))
		copy(ids[i:i+time], window)
		copy(targets[i:i+time], window[1:])
	}
}

// evaluation is how the loss of held-out ids is measured: batches of windows.
type evaluation struct {
	tokens      Tokens
	seed        uint64
	batch, time int
	random      int // batches drawn at random, the same each time; 0: every id once
}

// The most batches that an evaluation has where nobody says how many.
const maxEvaluation = 50

// newEvaluation plans one for the ids of t.
func newEvaluation(t Tokens, o Options) (*evaluation, error) {
	e := &evaluation{tokens: t, seed: o.Seed, batch: o.BatchSize, time: o.BlockSize, random: deref(o.EvalIters, 0)}
	fits := t.Len() > e.time
	if !fits && o.EvalIters != nil {
		return nil, setting.Errorf("{eval_iters=%d}: the validation data has %d tokens, and random batches of it need more than block_size, %d", e.random, t.Len(), e.time)
	}
	if fits && o.EvalIters == nil && e.batches() > maxEvaluation {
		e.random = maxEvaluation
	}
	return e, nil
}

// String tells what is measured, for people.
func (e *evaluation) String() string {
	if e.random > 0 {
		return fmt.Sprintf("%d random batches, the same each time", e.random)
	}
	return fmt.Sprintf("all %d tokens, in windows of %d", e.tokens.Len(), e.time)
}

// batches is how many there are.
func (e *evaluation) batches() int {
	if e.random > 0 {
		return e.random
	}
	size := e.batch * e.time
	return (e.tokens.Len() - 1 + size - 1) / size
}

// fill makes batch i and returns how many targets count. In what is past the
// end of the ids targets are -1.
func (e *evaluation) fill(i int, ids, targets []int) int {
	if e.random > 0 {
		drawBatch(e.tokens, e.seed, forEvaluation, i, e.time, ids, targets)
		return len(targets)
	}
	from := i * len(ids)
	window := make([]int, min(len(ids), e.tokens.Len()-1-from)+1)
	e.tokens.Read(window, from)
	for j := range ids {
		ids[j], targets[j] = 0, -1
	}
	copy(ids, window[:len(window)-1])
	return copy(targets, window[1:])
}

// loss is the mean loss of all targets, in nats.
func (e *evaluation) loss(ctx context.Context, l Learner, progress func(done, total int)) (float64, error) {
	ids, targets := make([]int, e.batch*e.time), make([]int, e.batch*e.time)
	sum, count := 0.0, 0
	for i := range e.batches() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		progress(i, e.batches())
		n := e.fill(i, ids, targets)
		loss, err := l.Loss(ids, targets)
		if err != nil {
			return 0, err
		}
		sum += loss * float64(len(targets))
		count += n
	}
	return sum / float64(count), nil
}
