// Package nn has the layers of models, and a [Tape] on which a model writes the
// operations that it consists of. A layer's file has the tape's method for it,
// and the rule for its gradient.
//
// A tape is written once and recorded into a [Program], which then runs as
// often as is wanted: what changes between runs are the contents of tensors.
package nn

import (
	"fmt"

	"caldera/backend"
)

// Tensor is a view of memory of a backend, or of a result of a Tape, for
// which Record finds memory.
type Tensor = backend.Tensor

// Tape collects operations. Each method makes the tensor for its result,
// appends an operation that computes it, and returns it, so that a model reads
// like its formula. What does not fit together is reported by Record.
type Tape struct {
	*tape
	scope string // goes before the names of values
}

// tape is what a tape and its scopes share.
type tape struct {
	b     backend.Backend
	ops   []backend.Op
	wants func(name string) bool
	edit  Edit // nil: values stay as they are
	named map[string]Tensor

	activations backend.DType     // see RoundActivations
	quantized   map[Tensor]Tensor // what RoundActivations made blocks of so far

	params   *Parameters // whose gradients are wanted, or nil
	training Training
	segments []int // indices of ops, where Recompute was asked for
	losses   []loss
	dropouts uint32
	err      error // the first, for Record to report
}

// NewTape returns an empty tape for models on b.
func NewTape(b backend.Backend) *Tape {
	return &Tape{tape: &tape{b: b, wants: func(string) bool { return false }, named: map[string]Tensor{}}}
}

// RoundActivations says how products with weights that are not f32 read what they multiply
// these with:
//
//	f32, None: as it is
//	f16: rounded to its precision (see [backend.Round])
//	a quantised dtype of activations: in blocks of it, where weights are quantised too
//
// The second is what matrix units want of many rows. Few rows are rounded too, so that a token gets
// the same numbers, but for the order of sums, alone and among others. Products that read the same
// tensor share its blocks. A tape that trains never does this: see [Training]. Record reports any other dtype.
func (t *Tape) RoundActivations(d backend.DType) {
	if t.activations = d; d != backend.None && d != backend.F32 && d != backend.F16 && !(d.Is(backend.Activations) && d.Quantized()) {
		t.fail(fmt.Errorf("activations in %v: expected f32, f16, or a quantised dtype of activations such as %v", d, backend.Q8_A))
	}
}

// Scope returns the same tape under a name that goes before those of values: what
// the scope "blocks.3" calls "middle" is "blocks.3.middle".
func (t *Tape) Scope(format string, args ...any) *Tape {
	return &Tape{tape: t.tape, scope: t.name(format, args...) + "."}
}

func (t *Tape) name(format string, args ...any) string { return t.scope + fmt.Sprintf(format, args...) }

// Watch makes the tape keep the values that the model names, where wants says so:
// hidden states, attention maps. They are found by [Program.Named].
func (t *Tape) Watch(wants func(name string) bool) { t.wants = wants }

// Edit returns what a model is to compute with in place of x, which it has just
// named: x itself, or a result of further operations that it writes on t.
type Edit func(t *Tape, name string, x Tensor) Tensor

// Edit makes the tape call edit for each value that the model names.
func (t *Tape) Edit(edit Edit) { t.edit = edit }

// Name gives x a name, under which Watch may ask for it, and returns what to
// compute with in place of x: see [Tape.Edit]. Watch keeps that one.
func (t *Tape) Name(x Tensor, format string, args ...any) Tensor {
	if t.edit != nil {
		x = t.edit(t, t.name(format, args...), x)
	}
	t.See(x, format, args...)
	return x
}

// See gives x a name, under which Watch may ask for it. Edit is not called.
func (t *Tape) See(x Tensor, format string, args ...any) {
	if name := t.name(format, args...); t.wants(name) {
		t.named[name] = t.Keep(x)
	}
}

// Keep makes x a result of the program: its contents last until the next run.
func (t *Tape) Keep(x Tensor) Tensor {
	if s, ok := x.Buf.(*slot); ok {
		s.persistent = true
	}
	return x
}

func (t *Tape) add(op backend.Op) { t.ops = append(t.ops, op) }

func (t *Tape) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// tensor is a result for which Record will find memory.
func (t *Tape) tensor(d backend.DType, dims ...int) Tensor {
	x := backend.Of(nil, d, 0, dims...)
	x.Buf = &slot{size: x.Size(), shape: x.Shape, block: d.BlockBytes()}
	return x
}

// padded is a result whose rows begin at multiples of 16 bytes, which
// backends read faster: vocabularies have any length.
func (t *Tape) padded(d backend.DType, shape [4]int) Tensor {
	n := shape[3]
	unit := 16 / d.BlockBytes()
	shape[3] = (n + unit - 1) / unit * unit
	return t.tensor(d, shape[:]...).Slice(-1, 0, n)
}

// like is a new f32 tensor of x's shape.
func (t *Tape) like(x Tensor) Tensor { return t.tensor(backend.F32, x.Shape[:]...) }

// Record fuses and prepares the operations, plans memory for their results and
// records them. A tape is recorded once.
func (t *Tape) Record() (*Program, error) {
	if t.err != nil {
		return nil, t.err
	}
	ops := backend.Fuse(t.b, t.ops, func(x Tensor) bool {
		s, ok := x.Buf.(*slot)
		return !ok || s.persistent
	})
	ops, err := backend.Prepare(t.b, ops...)
	if err != nil {
		return nil, err
	}
	p := &Program{named: t.named, writers: writers(ops)}
	if size := plan(ops); size > 0 {
		if p.memory, err = t.b.Alloc(size); err != nil {
			return nil, fmt.Errorf("memory for intermediate results: %w", err)
		}
	}
	for _, op := range ops {
		op.Operands(func(_ string, x *Tensor, _ backend.Access) { *x = p.Tensor(*x) })
	}
	if p.Program, err = backend.Record(t.b, ops...); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Program is a recorded tape together with the memory of its results.
type Program struct {
	backend.Program
	memory  backend.Buffer
	named   map[string]Tensor
	writers map[*slot][]int // the ops that write to a kept result, by index
}

// Tensor is where a result lies in memory. The result must have been given to
// [Tape.Keep].
func (p *Program) Tensor(x Tensor) Tensor {
	if s, ok := x.Buf.(*slot); ok {
		x.Buf = p.memory
		x.Offset += s.at / x.DType.BlockBytes() * x.DType.BlockLen()
	}
	return x
}

// Named are the results that the tape was told to watch, by name.
func (p *Program) Named() map[string]Tensor {
	out := make(map[string]Tensor, len(p.named))
	for name, x := range p.named {
		out[name] = p.Tensor(x)
	}
	return out
}

// Writers are the ops that write the named value, as indices of the ops that the
// program runs: those of the spans of a profile of one run. They are none if no
// value of that name is kept.
func (p *Program) Writers(name string) []int {
	s, _ := p.named[name].Buf.(*slot)
	return p.writers[s]
}

// Memory is how many bytes the results of the program take.
func (p *Program) Memory() int {
	if p.memory == nil {
		return 0
	}
	return p.memory.Size()
}

// writers lists, for each slot that is kept, the ops that write to it.
func writers(ops []backend.Op) map[*slot][]int {
	found := map[*slot][]int{}
	for i, op := range ops {
		op.Operands(func(_ string, x *Tensor, a backend.Access) {
			if s, ok := x.Buf.(*slot); ok && s.persistent && (a == backend.Write || a == backend.Update) {
				found[s] = append(found[s], i)
			}
		})
	}
	return found
}

// Close frees the program and the memory of its results.
func (p *Program) Close() error {
	if p == nil {
		return nil
	}
	var err error
	if p.Program != nil {
		err = p.Program.Close()
	}
	if p.memory != nil {
		p.memory.Free()
	}
	return err
}
