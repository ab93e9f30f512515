package inspect

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt"
)

// Run is what was seen while the model read a text.
type Run struct {
	IDs    []int
	values map[string]*Value
}

// Value is a value that the model names, for all positions of a text, on the host.
type Value struct {
	Name  string
	Shape []int // [time, width], or of "probs" [heads, time, time]: the position that looks, then the one that is looked at
	Data  []float32
}

// Row is the vector at the position, [width]; of "probs" that of a head and a position.
func (v *Value) Row(at ...int) []float32 {
	i := 0
	for axis, n := range at {
		i = i*v.Shape[axis] + n
	}
	width := v.Shape[len(v.Shape)-1]
	return v.Data[i*width : (i+1)*width]
}

// Value returns the value of that name, which must be one that was asked for.
func (r *Run) Value(format string, args ...any) *Value {
	name := fmt.Sprintf(format, args...)
	v := r.values[name]
	if v == nil {
		panic(fmt.Sprintf("inspect: %q was not asked for", name))
	}
	return v
}

// smallest is the fewest positions for which a cache is allocated.
const smallest = 64

// Run has the model read a text, and returns the values of these names: see
// [gpt.Session.Watch] and package model, which lists the names. "hidden.final" is not
// among them, for it is computed of the last position only; Scores computes it. The
// memory for a value is that of all its positions; maps of attention grow with the
// square of the text.
func (in *Inspector) Run(ctx context.Context, ids []int, names ...string) (*Run, error) {
	return in.RunFrom(ctx, ids, 0, names...)
}

// RunFrom is Run that keeps the values of positions from on alone: row 0 is that of
// position from. Those before are read without being watched, which takes no memory.
func (in *Inspector) RunFrom(ctx context.Context, ids []int, from int, names ...string) (*Run, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	s, err := in.sessionFor(len(ids))
	if err != nil {
		return nil, err
	}
	return in.read(ctx, s, ids, from, names)
}

// sessionFor returns a session that has room for so many tokens. It is made anew, with
// twice as much room or more, when a longer text comes: a cache for the whole context
// of some models is larger than the model.
func (in *Inspector) sessionFor(tokens int) (*gpt.Session, error) {
	if in.session != nil && in.session.Size() >= tokens {
		return in.session, nil
	}
	if in.session != nil {
		in.session.Close()
		in.session = nil
	}
	var err error
	in.session, err = gpt.NewSession(in.Model, gpt.SessionOptions{Context: roomFor(tokens, in.Model.Context), Cache: in.cache, Whole: true})
	return in.session, err
}

func roomFor(tokens, context int) int {
	return min(max(smallest, 1<<bits.Len(uint(tokens-1))), context)
}

// read has s read a text and collects what it sees of positions first and later.
func (in *Inspector) read(ctx context.Context, s *gpt.Session, ids []int, first int, names []string) (*Run, error) {
	s.Reset()
	if first > 0 {
		s.Watch()
		if _, err := s.Feed(ctx, ids[:first]...); err != nil {
			return nil, err
		}
	}
	s.Watch(names...)
	r := &Run{IDs: ids, values: map[string]*Value{}}
	err := in.feed(ctx, s, ids[first:], gpt.MaxChunk, func(from, n int) error {
		for _, name := range s.Watched() {
			if name == "hidden.final" {
				continue
			}
			v := r.values[name]
			x := s.Seen(name)
			if v == nil {
				v = &Value{Name: name, Shape: []int{len(ids) - first, x.Dim(-1)}}
				if strings.HasSuffix(name, ".probs") {
					v.Shape = []int{x.Dim(1), len(ids) - first, len(ids)}
				}
				v.Data = make([]float32, product(v.Shape))
				r.values[name] = v
			}
			if err := in.collect(v, x, from, n); err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

// feed has s read ids, at most chunk of them at a time, and calls visit after each time:
// s has seen n of them, from the index from on.
func (in *Inspector) feed(ctx context.Context, s *gpt.Session, ids []int, chunk int, visit func(from, n int) error) error {
	for from := 0; from < len(ids); from += chunk {
		part := ids[from:min(from+chunk, len(ids))]
		read := func() error {
			_, err := s.Feed(ctx, part...)
			return err
		}
		if err := in.measure(read, s.Watched, s.Writers); err != nil {
			return err
		}
		if err := visit(from, len(part)); err != nil {
			return err
		}
	}
	return nil
}

// collect copies n positions of x, [1, time, width] or [1, heads, time, context], to
// those of v that begin at from.
func (in *Inspector) collect(v *Value, x backend.Tensor, from, n int) error {
	width := v.Shape[len(v.Shape)-1]
	x = x.Slice(2, 0, n).Slice(3, 0, width)
	p, err := in.fetch(nil, x)
	if err != nil {
		return err
	}
	for h := range x.Dim(1) {
		to := v.Data[(h*v.Shape[len(v.Shape)-2]+from)*width:]
		copy(to[:n*width], p[h*n*width:])
	}
	return nil
}

// fetch returns the elements of x, [1, n, rows, width] of f32 whose numbers are neighbours
// in memory, one row after the other, in the memory of p if that is large enough.
func (in *Inspector) fetch(p []float32, x backend.Tensor) ([]float32, error) {
	begin, end := x.Span()
	p = slices.Grow(p[:0], (end-begin)/4)[:(end-begin)/4]
	if err := backend.GetF32(in.Model.Backend, backend.Of(x.Buf, backend.F32, x.Offset, len(p)), p); err != nil {
		return nil, err
	}
	if x.Contiguous() {
		return p, nil
	}
	width := x.Dim(3)
	out := p[:0] // rows move to the front, never behind one that is still to move
	for h := range x.Dim(1) {
		for i := range x.Dim(2) {
			out = append(out, p[h*x.Stride(1)+i*x.Stride(2):][:width]...)
		}
	}
	return out, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
