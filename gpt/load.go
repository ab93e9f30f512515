package gpt

import (
	"context"
	"fmt"
	"io/fs"

	"caldera/backend"
	"caldera/nn"
)

// LoadOptions say how weights are kept in memory. The zero value keeps
// matrices as the checkpoint stores them (bf16 as f32) and vectors as f32.
type LoadOptions struct {
	// DType is that of matrices: one of weights, or None for as stored.
	// Of the quantised types a matrix is kept as f16 where its inputs are not
	// whole blocks, and positions, which are added and not multiplied, as f32.
	DType backend.DType

	// Train keeps all weights as f32, in memory that may be written to: they
	// are copied where they would else be mapped. DType is then F32 or None. A
	// weight that is NaN or infinite is a [NonFiniteError].
	Train bool

	// For is what the model is loaded for. Where the backend tells how much
	// memory is free, and that has no room for all of it, nothing is loaded and
	// the error is a [MemoryError]. Nil: only the weights must fit.
	For *Use
}

// check reports options that contradict each other.
func (o LoadOptions) check() error {
	if o.Train && o.DType != backend.None && o.DType != backend.F32 {
		return fmt.Errorf("weights that train are kept as f32, not as %v", o.DType)
	}
	return nil
}

// kept is the dtype in which w is kept in memory.
func (o LoadOptions) kept(m *Model, w weight, stored backend.DType) backend.DType {
	if len(w.shape) == 1 || o.Train {
		return backend.F32
	}
	d := o.DType
	if d == backend.None {
		d = stored
	}
	switch {
	case !d.Is(backend.Weights):
		return backend.F32
	case !d.Quantized():
		return d
	case w.dst == &m.Positions:
		return backend.F32
	case w.inputs()%d.BlockLen() != 0:
		return backend.F16
	}
	return d
}

// Load reads the checkpoint at path into the memory of b, as
// [Checkpoint.Load] does: a directory in Hugging Face's layout, or a GGUF file.
func Load(ctx context.Context, b backend.Backend, path string, o LoadOptions) (*Model, error) {
	c, err := OpenCheckpoint(path)
	if err != nil {
		return nil, err
	}
	return c.Load(ctx, b, o)
}

// LoadFS is Load for a file system, such as that of the embedded model.
func LoadFS(ctx context.Context, b backend.Backend, fsys fs.FS, o LoadOptions) (*Model, error) {
	c, err := OpenCheckpointFS(fsys, "")
	if err != nil {
		return nil, err
	}
	return c.Load(ctx, b, o)
}

func newModel(b backend.Backend, config Config) *Model {
	m := &Model{Config: config, b: b}
	for range config.Layers {
		m.Blocks = append(m.Blocks, &Block{Heads: config.Heads})
	}
	return m
}

func (m *Model) load(ctx context.Context, c *Checkpoint, o LoadOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	found, err := m.match(c)
	if err != nil {
		return err
	}
	if err := m.fits(c.layout.weights, found, o); err != nil {
		return err
	}
	for _, w := range c.layout.weights(m) {
		if err := m.place(ctx, w, found[w.name], o); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", found[w.name].File, found[w.name].Name, err)
		}
	}
	m.tie()
	return nil
}

// tie makes the token matrix serve as the head too, where the model says so.
func (m *Model) tie() {
	if m.TieEmbeddings {
		m.Head = nn.Linear{W: m.Tokens}
	}
}

// kept is how a tensor of a checkpoint is kept in the backend's memory.
type kept struct {
	dtype     backend.DType
	transpose bool // on the way
	mapped    bool // it is used where it lies
	view      bool // the other way round than it lies
}

// kept says how w, which lies as t, is kept. A matrix stored [in, out] becomes
// [out, in]: as a view where the backend reads the host's memory, else
// transposed on the way, so that devices see one layout. Blocks run along the
// inputs, so a matrix that is quantised here is transposed in any case.
func (m *Model) kept(w weight, t rawTensor, o LoadOptions) kept {
	stored := storage(t.DType)
	k := kept{dtype: o.kept(m, w, stored)}
	_, host := backend.As[backend.HostMapper](m.b)
	k.transpose = w.conv1D && (!host || k.dtype.Quantized())
	k.view = w.conv1D && !k.transpose
	k.mapped = host && !m.train && !k.transpose && k.dtype == stored && t.Aligned()
	return k
}

// shape is that of w as it is kept.
func (k kept) shape(w weight) []int {
	if k.transpose {
		return []int{w.shape[1], w.shape[0]}
	}
	return w.shape
}

func blockPrefix(i int) string { return fmt.Sprintf("h.%d.", i) }

// place puts one tensor of a checkpoint into the memory of the backend.
func (m *Model) place(ctx context.Context, w weight, t rawTensor, o LoadOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.Train {
		if err := checkFinite(ctx, t); err != nil {
			return err
		}
	}
	k := m.kept(w, t, o)
	if k.mapped {
		buf, err := backend.MapHost(m.b, t.Data)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, buf)
		*w.dst = backend.Of(buf, k.dtype, 0, w.shape...)
	} else {
		c := converter{stored: storage(t.DType), data: t.Data, dtype: k.dtype, transpose: k.transpose}
		dst, err := backend.New(m.b, k.dtype, k.shape(w)...)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, dst.Buf)
		if err := c.write(ctx, m.b, dst); err != nil {
			return err
		}
		*w.dst = dst
	}
	if k.view {
		*w.dst = w.dst.Transpose()
	}
	return nil
}
