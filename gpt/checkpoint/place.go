package checkpoint

// Where weights lie in memory: each in a buffer of its own, or several one below the other
// in one, so that a product with one of them can be one with all.

import (
	"context"
	"fmt"

	"caldera/backend"
	"caldera/gpt/model"
)

// group is weights that share a buffer, and how they are kept.
type group struct {
	w []model.Weight
	k []kept
}

// groups are the weights of m, a model of this plan, in order. A weight is in the group of
// the one before it if the table says so, and both are copied and have one dtype.
func (p Plan) groups(m *model.Model) []group {
	var groups []group
	for _, w := range m.Weights() {
		k := p.kept(w, p.tensor(w))
		if n := len(groups); n > 0 && w.Below {
			last := &groups[n-1]
			if before := last.k[0]; before.dtype == k.dtype && !before.mapped && !k.mapped && !before.view && !k.view {
				last.w, last.k = append(last.w, w), append(last.k, k)
				continue
			}
		}
		groups = append(groups, group{[]model.Weight{w}, []kept{k}})
	}
	return groups
}

// elements is how many numbers the group has.
func (g group) elements() (n int) {
	for _, w := range g.w {
		n += int(w.Elements())
	}
	return n
}

// lay makes the tensors of the group, which lie in buf.
func (g group) lay(buf backend.Buffer) {
	at := 0
	for i, w := range g.w {
		k := g.k[i]
		*w.Tensor = backend.Of(buf, k.dtype, at, k.shape...)
		at += w.Tensor.Len()
		if k.view {
			*w.Tensor = w.Tensor.Transpose()
		}
	}
}

// place puts the tensors of a group into the memory of the backend.
func (p Plan) place(ctx context.Context, g group) error {
	for i, w := range g.w {
		t := p.tensor(w)
		err := ctx.Err()
		if err == nil && p.o.Train {
			err = checkFinite(ctx, t)
		}
		if err == nil && i == 0 {
			err = p.alloc(g, t)
		}
		if err == nil && !g.k[0].mapped {
			k := g.k[i]
			c := converter{stored: backend.OfFileName(t.DType), data: t.Data(), dtype: k.dtype, shape: k.shape, transpose: k.transpose, rows: k.rows, more: k.more}
			if err = t.failed(); err == nil {
				err = c.write(ctx, p.m.Backend, *w.Tensor)
			}
			if t.drop != nil {
				t.drop() // so that the file does not fill memory beside the copy
			}
		}
		if err != nil {
			return fmt.Errorf("%s: tensor %q: %w", t.File, t.Name, err)
		}
	}
	return nil
}

// alloc finds the memory of a group of which t is the first tensor: that of the file, if it
// is used where it lies.
func (p Plan) alloc(g group, t rawTensor) (err error) {
	var buf backend.Buffer
	if k := g.k[0]; k.mapped {
		buf, err = backend.MapHost(p.m.Backend, t.Data())
	} else {
		var all backend.Tensor
		all, err = backend.New(p.m.Backend, k.dtype, g.elements())
		buf = all.Buf
	}
	if err == nil {
		g.lay(buf)
	}
	return err
}
