package gpt

import (
	"context"
	"fmt"
	"io/fs"

	"caldera/backend"
)

// LoadOptions say how weights are kept in memory. The zero value keeps
// matrices as the checkpoint stores them and vectors as f32.
type LoadOptions struct {
	// DType is that of matrices: one of weights, or None for as stored.
	// Of the quantised types a matrix is kept as f16 where its inputs are not
	// whole blocks, and positions, which are added and not multiplied, as f32.
	DType backend.DType

	// Train keeps all weights as f32, in memory that may be written to: they
	// are copied where they would else be mapped. DType is then F32 or None. A
	// weight that is NaN or infinite is a [NonFiniteError].
	Train bool

	// Activations is the dtype in which products with quantised weights read what
	// they multiply with: F32 or None, or Q8_A for blocks of 8 bits, which is less
	// exact. Other products, and a model that trains, do not round so.
	Activations backend.DType

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
	if o.DType != backend.None && !o.DType.Is(backend.Weights) {
		return fmt.Errorf("%v is no dtype of weights: expected one of %s", o.DType, backend.JoinDTypes(backend.DTypes(backend.Weights)))
	}
	if o.Activations != backend.None && !o.Activations.Is(backend.Activations) {
		return fmt.Errorf("%v is no dtype of activations: expected one of %s", o.Activations, backend.JoinDTypes(backend.DTypes(backend.Activations)))
	}
	return nil
}

// kept is the dtype in which w is kept in memory.
func (o LoadOptions) kept(w Weight, stored backend.DType) backend.DType {
	if !w.Matrix() || w.Make != nil || o.Train {
		return backend.F32
	}
	d := o.DType
	if d == backend.None {
		d = stored
	}
	switch {
	case !d.Quantized():
		return d
	case w.Role == Positions:
		return backend.F32
	case w.Inputs()%d.BlockLen() != 0:
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

func (m *Model) load(ctx context.Context, c *Checkpoint, o LoadOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	found, err := m.match(c)
	if err != nil {
		return err
	}
	if err := m.fits(c.layout.format, found, o); err != nil {
		return err
	}
	for _, w := range m.Weights() {
		t := found[w.Name(HuggingFace)]
		if w.Make != nil {
			t = made(w, w.Make(), backend.F32)
		}
		if err := m.place(ctx, w, c.layout.format, t, o); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", t.File, t.Name, err)
		}
	}
	return nil
}

// made is a tensor of numbers that were computed, in the order of Hugging Face's
// layout. Without numbers it tells what there is going to be.
func made(w Weight, values []float32, d backend.DType) rawTensor {
	t := rawTensor{Name: w.Name(HuggingFace), DType: d.FileName(), Shape: w.Stored(HuggingFace), File: "random weights", aligned: true, made: true}
	if values != nil {
		t.Data, _ = backend.Encode(make([]byte, 0, d.Bytes(len(values))), d, values) // which fit any dtype
	}
	return t
}

// kept is how a tensor of a checkpoint is kept in the backend's memory.
type kept struct {
	dtype     backend.DType
	transpose bool            // on the way
	rows      func(r int) int // where row r lies, if rows change their places on the way
	mapped    bool            // it is used where it lies
	view      bool            // the other way round than it lies
}

// kept says how w, which lies in format f as t, is kept. A matrix stored [in, out] becomes
// [out, in]: as a view where the backend reads the host's memory, else
// transposed on the way, so that devices see one layout. Blocks run along the
// inputs, so a matrix that is quantised here is transposed in any case.
func (m *Model) kept(w Weight, f Format, t rawTensor, o LoadOptions) kept {
	stored := storage(t.DType)
	k := kept{dtype: o.kept(w, stored), rows: w.Rows(f, m.order, m.HeadSize)}
	_, host := backend.As[backend.HostMapper](m.b)
	k.transpose = w.Transposed(f) && (!host || k.dtype.Quantized())
	k.view = w.Transposed(f) && !k.transpose
	k.mapped = host && !m.train && !k.transpose && k.rows == nil && k.dtype == stored && t.Aligned()
	return k
}

// shape is that in which w, stored in format f, is kept.
func (k kept) shape(w Weight, f Format) []int {
	if k.transpose {
		return w.Shape
	}
	return w.Stored(f)
}

// place puts one tensor of a checkpoint into the memory of the backend.
func (m *Model) place(ctx context.Context, w Weight, f Format, t rawTensor, o LoadOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.Train {
		if err := checkFinite(ctx, t); err != nil {
			return err
		}
	}
	k := m.kept(w, f, t, o)
	if k.mapped {
		buf, err := backend.MapHost(m.b, t.Data)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, buf)
		*w.Tensor = backend.Of(buf, k.dtype, 0, k.shape(w, f)...)
	} else {
		c := converter{stored: storage(t.DType), data: t.Data, dtype: k.dtype, shape: k.shape(w, f), transpose: k.transpose, rows: k.rows}
		dst, err := backend.New(m.b, k.dtype, c.shape...)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, dst.Buf)
		if err := c.write(ctx, m.b, dst); err != nil {
			return err
		}
		*w.Tensor = dst
	}
	if k.view {
		*w.Tensor = w.Tensor.Transpose()
	}
	return nil
}
