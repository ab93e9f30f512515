package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/model"
)

// LoadOptions say how weights are kept in memory. The zero value keeps
// matrices as the checkpoint stores them and vectors as f32.
type LoadOptions struct {
	// DType is that of matrices: one of weights, or None for as stored.
	// Of the quantised types and mixtures a matrix is kept as [model.Weight.Kept] says,
	// and positions, which are added and not multiplied, as f32.
	DType backend.DType

	// Train keeps all weights as f32, in memory that may be written to: they
	// are copied where they would else be mapped. DType is then F32 or None. A
	// weight that is NaN or infinite is a [NonFiniteError]. Where there is an adapter, of
	// which there may be one then, the weights are kept as without Train, and the
	// adapter is what may be written to.
	Train bool

	// Adapters are put beside the weights, which stay as they are: each adds to what
	// products give. Load reads them, and leaves them open.
	Adapters []*Adapter

	// Merge adds adapters to the matrices in place of that, for those who look into these. Such
	// a matrix is kept as f32 where DType is None.
	Merge bool

	// Activations says how products with weights that are not f32 read what they
	// multiply these with: F32 does not round it; F16 rounds it to the precision of f16,
	// as matrix units want it; Q8_A makes blocks of 8 bits of it where weights are
	// quantised, which is less exact; None is that with which the backend is fastest
	// (see [model.Model.Rounding]). A model that trains does not round so.
	Activations backend.DType

	// Fits is asked, where it is not nil, before anything is copied. Where it returns
	// an error, nothing is loaded.
	Fits func(Plan) error
}

// check reports options that contradict each other.
func (o LoadOptions) check() error {
	if o.tunes() && (len(o.Adapters) > 1 || o.Merge) {
		return fmt.Errorf("%d adapters to train: expected one, beside the weights", len(o.Adapters))
	}
	if o.Train && !o.tunes() && o.DType != backend.None && o.DType != backend.F32 {
		return fmt.Errorf("weights that train are kept as f32, not as %v", o.DType)
	}
	if o.DType != backend.None && !o.DType.Is(backend.Weights|backend.Targets) {
		return fmt.Errorf("%v is no dtype of weights: expected one of %s", o.DType, backend.JoinDTypes(backend.DTypes(backend.Targets)))
	}
	if d := o.Activations; d != backend.None && d != backend.F32 && d != backend.F16 && !(d.Quantized() && d.Is(backend.Activations)) {
		return fmt.Errorf("%v is no dtype of activations to load a model with: expected %v, %v or %v", d, backend.F16, backend.F32, backend.Q8_A)
	}
	return nil
}

// kept is the dtype in which w, of a model of shape c, is kept in memory.
func (o LoadOptions) kept(c model.Config, w model.Weight, stored backend.DType) backend.DType {
	if !w.Matrix() || w.Make != nil || o.Train && !o.tunes() {
		return backend.F32
	}
	return w.Kept(cmp.Or(o.DType, stored), c)
}

// Load reads the weights into the memory of b. Where b can compute on memory of
// the host, they are not copied but used from the mapped file. It takes the
// checkpoint over: that is closed with the model, or at once if Load fails, with
// the error of ctx where that ends.
func (c *Checkpoint) Load(ctx context.Context, b backend.Backend, o LoadOptions) (*model.Model, error) {
	p, err := c.plan(b, o)
	if err == nil {
		err = p.load(ctx)
	}
	switch {
	case err == nil:
		return p.m, nil
	case p.m == nil:
		return nil, errors.Join(err, c.Close())
	}
	return nil, errors.Join(err, p.m.Close())
}

// Plan is a model that is about to be loaded: nothing of it is copied yet.
type Plan struct {
	File string // that has its largest weight, for messages

	m      *model.Model
	format model.Format         // that of the checkpoint
	found  map[string]rawTensor // by the names of m's rows
	beside map[string]addition  // of adapters, likewise
	o      LoadOptions
}

func (c *Checkpoint) plan(b backend.Backend, o LoadOptions) (p Plan, err error) {
	if err := o.check(); err != nil {
		return p, err
	}
	if f := c.Config.Architecture(); o.Train && f.Untrained != "" {
		return p, fmt.Errorf("a model of %s cannot be trained: %s", f.Title, f.Untrained)
	}
	in := model.Placement{Order: c.layout.format, Train: o.Train && !o.tunes(), Tune: o.tunes(), Activations: o.Activations}
	if in.Train {
		in.Order = model.HuggingFace // in which checkpoints are saved
	}
	p = Plan{format: c.layout.format, o: o}
	if p.m, p.found, err = c.match(b, in); err != nil {
		return p, err
	}
	p.m.Source = c
	p.File = p.tensor(p.m.Weights()[0]).File
	if p.beside, err = additions(p.m, o.Adapters); err != nil {
		return p, err
	}
	if o.Merge {
		for name, x := range p.beside {
			p.found[name] = x.merged(p.found[name], p.format, p.m, o.kept(p.m.Config, x.parts[0].w, backend.F32))
		}
		p.beside = nil
	}
	if o.Fits != nil {
		err = o.Fits(p)
	}
	return p, err
}

// Paper is the model as it would be with matrices of dtype d, as in
// [LoadOptions]: weights have their dtypes and shapes, and no memory. bytes is how
// much those take that are not used where they lie, and mapped how much those that are and that each token reads whole: tables of
// which it reads a row do not count.
func (p Plan) Paper(d backend.DType) (paper *model.Model, bytes, mapped int64) {
	p.o.DType = d
	paper = model.New(p.m.Backend, p.m.Config, p.m.Placement)
	for _, g := range p.groups(paper) {
		n := g.elements()
		all := null.Tensor(g.k[0].dtype, n)
		if !g.k[0].mapped || p.tensor(g.w[0]).made {
			bytes += int64(all.Size())
		} else if w := g.w[0]; w.Role != model.Positions && (w.Role != model.Embedding || p.m.Config.TieEmbeddings) {
			mapped += int64(all.Size())
		}
		g.lay(all.Buf)
	}
	return paper, bytes + p.adaptPaper(paper), mapped
}

func (p Plan) load(ctx context.Context) error {
	for _, g := range p.groups(p.m) {
		if err := p.place(ctx, g); err != nil {
			return err
		}
	}
	return p.loadAdapters(ctx)
}

// tensor is what w is made of.
func (p Plan) tensor(w model.Weight) rawTensor {
	if w.Make != nil {
		return made(w, w.Make)
	}
	return p.found[w.Name(model.HuggingFace)]
}

// made is a tensor of numbers that are computed, in the order of Hugging Face's
// layout.
func made(w model.Weight, values func() []float32) rawTensor {
	return rawTensor{Name: w.Name(model.HuggingFace), DType: "F32", Shape: w.Stored(model.HuggingFace), File: "random weights", aligned: true, made: true,
		Data: func() []byte {
			data, _ := backend.Encode(nil, backend.F32, values()) // which fit
			return data
		}}
}

// kept is how a tensor of a checkpoint is kept in the backend's memory.
type kept struct {
	dtype     backend.DType
	shape     []int
	transpose bool            // on the way
	rows      func(r int) int // where row r lies, if rows change their places on the way
	more      float32         // what is added to each number on the way
	mapped    bool            // it is used where it lies
	view      bool            // the other way round than it lies
}

// kept says how w, which lies as t, is kept. A matrix stored [in, out] becomes
// [out, in]: as a view where the backend reads the host's memory, else
// transposed on the way, so that devices see one layout. Blocks run along the
// inputs, so a matrix that is quantised here is transposed in any case.
func (p Plan) kept(w model.Weight, t rawTensor) kept {
	stored := backend.OfFileName(t.DType)
	k := kept{dtype: p.o.kept(p.m.Config, w, stored), shape: w.Stored(p.format), rows: w.Rows(p.format, w.Lies(p.m.Order), p.m.HeadSize), more: w.More(p.format)}
	_, host := backend.As[backend.HostMapper](p.m.Backend)
	k.transpose = w.Transposed(p.format) && (!host || k.dtype.Quantized())
	k.view = w.Transposed(p.format) && !k.transpose
	k.mapped = host && !p.m.Train && !k.transpose && k.rows == nil && k.more == 0 && k.dtype == stored && t.aligned
	if k.transpose {
		k.shape = w.Shape
	}
	return k
}
