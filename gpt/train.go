package gpt

import (
	"fmt"

	"caldera/backend"
	"caldera/nn"
)

// TrainOptions say what a training step is.
type TrainOptions struct {
	Batch, Time int      // sequences in a step, and tokens of each
	AdamW       nn.AdamW // how weights follow their gradients
	Clip        float32  // the largest norm of all gradients as one vector; +Inf does not clip
	Chunk       int      // positions scored at once; 0: as many as take 64 MiB
}

// scoresAtOnce is the number of scores that are held at a time: their positions
// make a matrix product that uses a GPU well, and take a part of its memory.
const scoresAtOnce = 1 << 24

// Trainer makes a model better at a text, one recorded program a step: forward,
// backward, clipping and AdamW.
type Trainer struct {
	m       *Model
	batch   int
	time    int
	adamW   nn.AdamW
	params  *nn.Parameters
	buffers []backend.Buffer
	program *nn.Program
	count   int // steps so far

	ids, targets Tensor // [batch, time] i32
	step         Tensor // [3] f32, see nn.AdamW.Step
	losses       Tensor // [batch, time] f32
	norm         Tensor // [2] f32: of the gradients, and what they are multiplied with
}

// NewTrainer records a training step of m, whose weights were loaded with
// [LoadOptions].Train.
func (m *Model) NewTrainer(o TrainOptions) (*Trainer, error) {
	switch {
	case !m.train:
		return nil, fmt.Errorf("the weights cannot change: load them with LoadOptions.Train")
	case o.Batch < 1 || o.Time < 1 || o.Time > m.Context:
		return nil, fmt.Errorf("%d sequences of %d tokens: expected at least one of 1 to %d", o.Batch, o.Time, m.Context)
	}
	if o.Chunk == 0 {
		o.Chunk = max(1, scoresAtOnce/m.Vocab)
	}
	tr := &Trainer{m: m, batch: o.Batch, time: o.Time, adamW: o.AdamW}
	if err := tr.record(o); err != nil {
		tr.Close()
		return nil, err
	}
	return tr, nil
}

// record allocates what a step needs and writes it on a tape.
func (tr *Trainer) record(o TrainOptions) (err error) {
	m := tr.m
	var list []nn.Parameter
	for _, w := range m.tensors() {
		list = append(list, nn.Parameter{Value: *w.dst, Decay: len(w.shape) > 1})
	}
	if tr.params, err = nn.NewParameters(m.b, list...); err != nil {
		return err
	}
	var at Tensor // [batch]: each sequence begins at position 0
	for _, x := range []struct {
		dst  *Tensor
		d    backend.DType
		dims []int
	}{
		{&tr.ids, backend.I32, []int{o.Batch, o.Time}}, {&tr.targets, backend.I32, []int{o.Batch, o.Time}},
		{&at, backend.I32, []int{o.Batch}}, {&tr.step, backend.F32, []int{3}},
	} {
		if *x.dst, err = backend.New(m.b, x.d, x.dims...); err != nil {
			return err
		}
		tr.buffers = append(tr.buffers, x.dst.Buf)
	}
	t := nn.NewTape(m.b)
	t.Train(tr.params)
	t.ClearGradients(tr.params)
	x := t.LayerNorm(m.Norm, m.Forward(t, tr.ids, at, nil))          // [batch, time, width]
	losses := t.Keep(t.CrossEntropy(m.Head, x, tr.targets, o.Chunk)) // [batch, time]
	t.Backward(losses)
	norm := t.Keep(t.ClipGradients(tr.params, o.Clip)) // [2]
	t.AdamW(tr.params, o.AdamW, tr.step, norm.Slice(-1, 1, 2))
	if tr.program, err = t.Record(); err != nil {
		return err
	}
	tr.losses, tr.norm = tr.program.Tensor(losses), tr.program.Tensor(norm)
	return nil
}

// Step learns that each of ids, [batch · time], is followed by its target; a
// target below 0 does not count. The learning rate is about how far each weight
// moves. It returns the mean loss before the step, in nats, and the norm of the
// gradients before they were clipped.
func (tr *Trainer) Step(ids, targets []int, rate float64) (loss, norm float64, err error) {
	for _, x := range []struct {
		dst    Tensor
		what   string
		values []int
		least  int
	}{{tr.ids, "token", ids, 0}, {tr.targets, "target", targets, -1}} {
		if len(x.values) != tr.batch*tr.time {
			return 0, 0, fmt.Errorf("%d %ss, expected %d sequences of %d", len(x.values), x.what, tr.batch, tr.time)
		}
		words := make([]int32, len(x.values))
		for i, v := range x.values {
			if v < x.least || v >= tr.m.Vocab {
				return 0, 0, fmt.Errorf("%s %d is %d: this model knows ids 0 to %d", x.what, i, v, tr.m.Vocab-1)
			}
			words[i] = int32(v)
		}
		if err := backend.SetI32(tr.m.b, x.dst, words); err != nil {
			return 0, 0, err
		}
	}
	if err := backend.SetF32(tr.m.b, tr.step, tr.adamW.Step(tr.count+1, rate)); err != nil {
		return 0, 0, err
	}
	if err := tr.program.Run(); err != nil {
		return 0, 0, err
	}
	losses, norms := make([]float32, len(ids)), make([]float32, 2)
	if err := backend.GetF32(tr.m.b, tr.losses, losses); err != nil {
		return 0, 0, err
	}
	if err := backend.GetF32(tr.m.b, tr.norm, norms); err != nil {
		return 0, 0, err
	}
	tr.count++
	for _, v := range losses {
		loss += float64(v) / float64(len(losses))
	}
	return loss, float64(norms[0]), nil
}

// Close frees the trainer's memory; the model keeps what it has learned.
func (tr *Trainer) Close() {
	if tr.program != nil {
		tr.program.Close()
	}
	if tr.params != nil {
		tr.params.Free()
	}
	for _, b := range tr.buffers {
		b.Free()
	}
}
