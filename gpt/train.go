package gpt

import (
	"cmp"
	"fmt"
	"math"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// TrainOptions say what a training step is.
type TrainOptions struct {
	Batch, Time int      // sequences that are read at once, and tokens of each
	Accumulate  int      // batches whose gradients add up to those of a step; 0: 1
	AdamW       nn.AdamW // how weights follow their gradients
	Clip        float32  // the largest norm of all gradients as one vector; +Inf does not clip

	// DType is what matrix products read: F32, or F16 for mixed precision. Weights
	// are f32 in either case. 0: F32.
	DType backend.DType

	// Dropout is the probability with which an element of what embedding,
	// attention and MLP give to the residual stream is dropped. The seed and the
	// count of steps decide which ones, on any backend.
	Dropout float32
	Seed    uint64

	Chunk     int  // positions scored at once; 0: as many as take 64 MiB
	Recompute bool // keep what passes from block to block, and compute the insides of blocks again backward
}

// scoresAtOnce is the number of scores that are held at a time: their positions
// make a matrix product that uses a GPU well, and take a part of its memory.
const scoresAtOnce = 1 << 24

// TrainChunk is TrainOptions.Chunk where that is 0.
func TrainChunk(vocab int) int { return max(1, scoresAtOnce/vocab) }

// Trainer makes a model better at a text. A step is one recorded program:
// forward, backward, clipping and AdamW. Where several batches make a step, it
// is one that clears the gradients, one for each batch, and one that ends it.
type Trainer struct {
	m       *model.Model
	o       TrainOptions
	params  *nn.Parameters // as m.Trained
	buffers []backend.Buffer
	count   int // steps so far

	clear  *nn.Program    // of gradients; nil if batch does so
	batch  *nn.Program    // forward and backward
	end    *nn.Program    // the norm of the gradients, and in f32 the weights; nil if batch does so
	update *nn.Program    // of weights in mixed precision, where the host has a say; else nil
	losses backend.Tensor // [batch, time] f32
	norm   backend.Tensor // [2] f32: of the gradients, and what they are multiplied with

	scale *lossScale // in mixed precision; else nil

	loss       *nn.Program    // forward only, made when Loss is first called
	lossLosses backend.Tensor // [batch, time] f32

	ids, targets backend.Tensor // [batch, time] i32
	at           nn.Places      // each sequence begins at position 0
	step         backend.Tensor // [3] f32, see nn.AdamW.Step
	seed         backend.Tensor // [4] i32, see nn.Training.Seed
	lossScale    backend.Tensor // [1] f32, see nn.Training.LossScale
	clip         backend.Tensor // [1] f32, what gradients are multiplied with in mixed precision
}

// NewTrainer records a training step of m, whose weights were loaded with
// [LoadOptions].Train. The error is a [TrainMemoryError] where the backend tells
// that it has not the memory for it.
func NewTrainer(m *model.Model, o TrainOptions) (*Trainer, error) {
	o.Accumulate, o.Chunk, o.DType = cmp.Or(o.Accumulate, 1), cmp.Or(o.Chunk, TrainChunk(m.Vocab)), cmp.Or(o.DType, backend.F32)
	switch {
	case !m.Train && !m.Tune:
		return nil, fmt.Errorf("the weights cannot change: load them with LoadOptions.Train")
	case m.Tune && o.DType == backend.F16 && m.DType() != backend.F16:
		return nil, fmt.Errorf("products of f16: the weights beside the adapter are %v: load them as f16", m.DType())
	case o.Batch < 1 || o.Time < 1 || o.Time > m.Context || o.Batch > math.MaxInt32/o.Time:
		return nil, fmt.Errorf("%d sequences of %d tokens: expected at least one of 1 to %d", o.Batch, o.Time, m.Context)
	case o.DType != backend.F32 && o.DType != backend.F16:
		return nil, fmt.Errorf("products of %v: a model is trained in f32 or f16", o.DType)
	case o.Accumulate < 1:
		return nil, fmt.Errorf("%d batches make a step: expected at least 1", o.Accumulate)
	}
	if err := trains(m, o); err != nil {
		return nil, err
	}
	return newTrainer(m, o)
}

func newTrainer(m *model.Model, o TrainOptions) (*Trainer, error) {
	tr := &Trainer{m: m, o: o}
	if o.DType == backend.F16 {
		tr.scale = &lossScale{value: min(firstLossScale, o.largestLossScale())}
	}
	if err := tr.record(); err != nil {
		tr.Close()
		return nil, err
	}
	return tr, nil
}

// record allocates what a step needs and writes it on tapes.
func (tr *Trainer) record() (err error) {
	m, o := tr.m, tr.o
	var list []nn.Parameter
	head := model.Head(m).W
	for _, w := range m.Trained() {
		multiplies := w.Multiplies() || *w.Tensor == head // not an embedding alone
		list = append(list, nn.Parameter{Value: *w.Tensor, Decay: w.Matrix(), Half: multiplies && tr.scale != nil})
	}
	if tr.params, err = nn.NewParameters(m.Backend, list...); err != nil {
		return err
	}
	for _, x := range []struct {
		dst  *backend.Tensor
		d    backend.DType
		dims []int
	}{
		{&tr.ids, backend.I32, []int{o.Batch, o.Time}}, {&tr.targets, backend.I32, []int{o.Batch, o.Time}},
		{&tr.step, backend.F32, []int{3}}, {&tr.seed, backend.I32, []int{4}},
		{&tr.lossScale, backend.F32, []int{1}}, {&tr.clip, backend.F32, []int{1}},
	} {
		if *x.dst, err = backend.New(m.Backend, x.d, x.dims...); err != nil {
			return err
		}
		tr.buffers = append(tr.buffers, x.dst.Buf)
	}
	if tr.at, err = nn.NewPlaces(m.Backend, o.Batch, o.Time); err != nil {
		return err
	}
	tr.buffers = append(tr.buffers, tr.at.At.Buf)
	training := nn.Training{Share: float32(1 / float64(o.Accumulate)), Dropout: o.Dropout, Seed: tr.seed, Recompute: o.Recompute}
	if tr.scale != nil {
		training.LossScale = tr.lossScale
	}
	whole := o.Accumulate == 1 && tr.scale == nil
	if !whole {
		t := nn.NewTape(m.Backend)
		t.Round(tr.params)
		t.ClearGradients(tr.params)
		if tr.clear, err = t.Record(); err != nil {
			return err
		}
	}
	t := nn.NewTape(m.Backend)
	t.Train(tr.params, training)
	if whole {
		t.ClearGradients(tr.params)
	}
	losses := tr.forward(t)
	t.Backward(losses)
	var norm backend.Tensor
	if whole {
		norm = tr.finish(t)
	}
	if tr.batch, err = t.Record(); err != nil {
		return err
	}
	tr.losses = tr.batch.Tensor(losses)
	if whole {
		tr.norm = tr.batch.Tensor(norm)
		return nil
	}
	t = nn.NewTape(m.Backend)
	norm = tr.finish(t)
	if tr.end, err = t.Record(); err != nil {
		return err
	}
	tr.norm = tr.end.Tensor(norm)
	if tr.scale != nil {
		t = nn.NewTape(m.Backend)
		t.AdamW(tr.params, tr.o.AdamW, tr.step, tr.clip)
		tr.update, err = t.Record()
	}
	return err
}

// forward writes how surprising each target is, [batch, time].
func (tr *Trainer) forward(t *nn.Tape) backend.Tensor {
	x := t.Norm(tr.m.Final(), tr.m.Forward(t, tr.ids, tr.at, nil)) // [batch, time, width]
	return t.Keep(t.CappedCrossEntropy(tr.m.SoftCap(), model.Head(tr.m), x, tr.targets, tr.o.Chunk))
}

// finish writes the norm of the gradients, [2], and how weights follow them; in
// mixed precision that is for the host to allow.
func (tr *Trainer) finish(t *nn.Tape) backend.Tensor {
	norm := t.Keep(t.ClipGradients(tr.params, tr.o.Clip))
	if tr.scale == nil {
		t.AdamW(tr.params, tr.o.AdamW, tr.step, norm.Slice(-1, 1, 2))
	}
	return norm
}

// Count is the number of steps that the weights have behind them.
func (tr *Trainer) Count() int { return tr.count }

// Step learns that each of ids, [accumulate · batch · time], is followed by its
// target; a target below 0 does not count. The learning rate is about how far
// each weight moves. It returns the mean loss before the step, in nats, and the
// norm of the gradients before they were clipped. Where one of them is NaN or
// infinite, the weights are no longer of use.
func (tr *Trainer) Step(ids, targets []int, rate float64) (loss, norm float64, err error) {
	if err := tr.check(ids, targets, tr.o.Accumulate); err != nil {
		return 0, 0, err
	}
	if err := backend.SetF32(tr.m.Backend, tr.step, tr.o.AdamW.Step(tr.count+1, rate)); err != nil {
		return 0, 0, err
	}
	step := tr.gradients // and in f32 the weights
	if tr.scale != nil {
		step = tr.scaledStep
	}
	if loss, norm, err = step(ids, targets); err != nil {
		return 0, 0, err
	}
	tr.count++
	return loss, norm, nil
}

// gradients runs the programs but update, and returns the loss and the norm of
// the gradients as they are.
func (tr *Trainer) gradients(ids, targets []int) (loss, norm float64, err error) {
	if tr.clear != nil {
		if err := tr.clear.Run(); err != nil {
			return 0, 0, err
		}
	}
	n := tr.o.Batch * tr.o.Time
	for i := range tr.o.Accumulate {
		count := uint64(tr.count)*uint64(tr.o.Accumulate) + uint64(i)
		seed := []int32{int32(tr.o.Seed), int32(tr.o.Seed >> 32), int32(count), int32(count >> 32)}
		if err := backend.SetI32(tr.m.Backend, tr.seed, seed); err != nil {
			return 0, 0, err
		}
		l, err := tr.run(tr.batch, tr.losses, ids[i*n:(i+1)*n], targets[i*n:(i+1)*n])
		if err != nil {
			return 0, 0, err
		}
		loss += l / float64(tr.o.Accumulate)
	}
	if tr.end != nil {
		if err := tr.end.Run(); err != nil {
			return 0, 0, err
		}
	}
	norms := make([]float32, 2)
	if err := backend.GetF32(tr.m.Backend, tr.norm, norms); err != nil {
		return 0, 0, err
	}
	return loss, float64(norms[0]), nil
}

// Loss is the mean loss of ids, [batch · time], without dropout and in f32.
// Nothing is learned.
func (tr *Trainer) Loss(ids, targets []int) (float64, error) {
	if err := tr.check(ids, targets, 1); err != nil {
		return 0, err
	}
	if err := tr.recordLoss(); err != nil {
		return 0, err
	}
	return tr.run(tr.loss, tr.lossLosses, ids, targets)
}

func (tr *Trainer) recordLoss() (err error) {
	if tr.loss != nil {
		return nil
	}
	t := nn.NewTape(tr.m.Backend)
	losses := tr.forward(t)
	if tr.loss, err = t.Record(); err == nil {
		tr.lossLosses = tr.loss.Tensor(losses)
	}
	return err
}

func (tr *Trainer) check(ids, targets []int, batches int) error {
	for _, x := range []struct {
		what   string
		values []int
		least  int
	}{{"token", ids, 0}, {"target", targets, -1}} {
		if want := batches * tr.o.Batch * tr.o.Time; len(x.values) != want {
			return fmt.Errorf("%d %ss, expected %d: %d sequences of %d", len(x.values), x.what, want, batches*tr.o.Batch, tr.o.Time)
		}
		for i, v := range x.values {
			if v < x.least || v >= tr.m.Vocab {
				return fmt.Errorf("%s %d is %d: this model knows ids 0 to %d", x.what, i, v, tr.m.Vocab-1)
			}
		}
	}
	return nil
}

// run runs p over a batch and returns the mean of its losses.
func (tr *Trainer) run(p *nn.Program, losses backend.Tensor, ids, targets []int) (mean float64, err error) {
	for _, x := range []struct {
		dst    backend.Tensor
		values []int
	}{{tr.ids, ids}, {tr.targets, targets}} {
		if err := backend.SetI32(tr.m.Backend, x.dst, int32s(x.values)); err != nil {
			return 0, err
		}
	}
	if err := p.Run(); err != nil {
		return 0, err
	}
	values := make([]float32, len(ids))
	if err := backend.GetF32(tr.m.Backend, losses, values); err != nil {
		return 0, err
	}
	for _, v := range values {
		mean += float64(v) / float64(len(values))
	}
	return mean, nil
}

// Close frees the trainer's memory; the model keeps what it has learned.
func (tr *Trainer) Close() {
	for _, p := range []*nn.Program{tr.clear, tr.batch, tr.end, tr.update, tr.loss} {
		p.Close()
	}
	if tr.params != nil {
		tr.params.Free()
	}
	for _, b := range tr.buffers {
		b.Free()
	}
}
