//go:build watch && cgo

package watch

import (
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/nn"
)

// watched are the values of a step that are drawn.
var watched = []string{"blocks.*.attention.probs", "hidden.*"}

// Bounds of the maps of attention that are kept for earlier tokens.
const (
	mapRows   = 96
	mapMemory = 64 << 20 // bytes
)

// values are what is drawn, in the memory of the device. The host writes ids and reads
// nothing.
type values struct {
	b       *vulkan.Backend
	model   *model.Model
	session *gpt.Session

	// maps are rows of attention of the latest tokens, [layers, heads, rows, context].
	// The row of position p has index p modulo rows. The device copies them from the
	// values of each step, which the next step overwrites.
	maps  backend.Tensor
	first int // the earliest position whose row is there
	end   int // the position after the latest

	row     int            // of the latest token in the values of the last step
	stream  backend.Tensor // [1, layers+1, width]: its vector before each block and after the last
	lens    *nn.Program    // scores the vectors
	probs   backend.Tensor // [1, layers+1, vocab]: what each of them says comes next
	likely  backend.Tensor // i32 [layers+1]: the likeliest of these
	next    backend.Tensor // f32 [vocab]: the probabilities of the next token, the softmax of the session's scores
	nextIDs backend.Tensor // i32 [likeliest]: which of them are shown
	shown   int            // how many
	known   bool           // whether the last step was watched
	ramp    backend.Tensor // f32 [1, legendCells]: values whose colours are evenly apart, from 0 to 1
}

func newValues(b *vulkan.Backend, m *model.Model, s *gpt.Session) (_ *values, err error) {
	v := &values{b: b, model: m, session: s}
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	rows := max(1, min(s.Size(), mapRows, mapMemory/(4*m.Layers*m.Heads*s.Size())))
	for _, t := range []struct {
		to    *backend.Tensor
		dtype backend.DType
		dims  []int
	}{
		{&v.maps, backend.F32, []int{m.Layers, m.Heads, rows, s.Size()}},
		{&v.stream, backend.F32, []int{1, m.Layers + 1, m.Width}},
		{&v.next, backend.F32, []int{m.Vocab}},
		{&v.nextIDs, backend.I32, []int{likeliest}},
		{&v.ramp, backend.F32, []int{1, legendCells}},
	} {
		if *t.to, err = backend.New(b, t.dtype, t.dims...); err != nil {
			return nil, fmt.Errorf("memory for what is drawn: %w", err)
		}
	}
	ramp := make([]float32, legendCells)
	for i := range ramp {
		root := float32(i) / (legendCells - 1)
		ramp[i] = root * root
	}
	if err := backend.SetF32(b, v.ramp, ramp); err != nil {
		return nil, err
	}
	t := m.Tape()
	probs := t.Softmax(model.Unembed(m, t, v.stream))
	likely := t.Argmax(probs)
	t.Keep(probs)
	t.Keep(likely)
	if v.lens, err = t.Record(); err != nil {
		return nil, fmt.Errorf("the lens: %w", err)
	}
	v.probs = v.lens.Tensor(probs)
	v.likely = column(v.lens.Tensor(likely))
	return v, nil
}

// column is a tensor [1, rows, 1] as [rows].
func column(t backend.Tensor) backend.Tensor {
	t.Shape, t.Strides = [4]int{1, 1, 1, t.Dim(-2)}, [4]int{0, 0, 0, t.Stride(-2)}
	return t
}

func (v *values) close() {
	_ = v.lens.Close()
	for _, t := range []backend.Tensor{v.maps, v.stream, v.next, v.nextIDs, v.ramp} {
		if t.Buf != nil {
			t.Buf.Free()
		}
	}
}

// rows is how many rows maps has room for.
func (v *values) rows() int { return v.maps.Dim(2) }

// probabilities is the attention of a block in the last step, [1, heads, time, context].
func (v *values) probabilities(block int) backend.Tensor {
	return v.session.Seen(fmt.Sprintf("blocks.%d.attention.probs", block))
}

// take prepares for drawing what the model has just computed. top are the likeliest next
// tokens.
func (v *values) take(r read, top []gpt.TokenProb) error {
	if r.tokens == 0 {
		return nil
	}
	v.end = v.session.Len()
	tokens := (r.tokens-1)%gpt.MaxChunk + 1 // of the last step
	v.row, v.known = tokens-1, !v.probabilities(0).Absent()
	switch {
	case !v.known: // too many tokens to be watched
		v.first = v.end
	case r.anew:
		v.first = v.end - min(tokens, v.rows())
	default:
		v.first = max(v.first, v.end-v.rows())
	}
	ops := []backend.Op{&backend.Softmax{Dst: v.next, X: v.session.Scores()}}
	if v.known {
		ops = append(ops, v.copies(tokens)...)
	}
	if err := backend.Run(v.b, ops...); err != nil {
		return err
	}
	if v.shown = len(top); v.shown > 0 {
		ids := make([]int32, len(top))
		for i, t := range top {
			ids[i] = int32(t.ID)
		}
		if err := backend.SetI32(v.b, v.nextIDs.Slice(-1, 0, len(ids)), ids); err != nil {
			return err
		}
	}
	if !v.known {
		return nil
	}
	return v.lens.Run()
}

// copies keeps the maps and vectors of the last step, which has read so many tokens.
func (v *values) copies(tokens int) (ops []backend.Op) {
	size := v.session.Size()
	for p := max(v.first, v.end-tokens); p < v.end; {
		from, at := p-(v.end-tokens), p%v.rows()
		n := min(v.end-p, v.rows()-at)
		for block := range v.model.Layers {
			ops = append(ops, &backend.Copy{
				Dst: v.maps.Slice(0, block, block+1).Slice(2, at, at+n),
				X:   v.probabilities(block).Slice(2, from, from+n).Slice(-1, 0, size),
			})
		}
		p += n
	}
	for i := range v.model.Layers + 1 {
		x := v.session.Seen(fmt.Sprintf("hidden.%d", i))
		ops = append(ops, &backend.Copy{Dst: v.stream.Slice(-2, i, i+1), X: x.Slice(-2, v.row, v.row+1)})
	}
	return ops
}

// earlier calls visit with rows of the map of a head, [positions, context], for the
// positions [from, to): in parts where they do not follow one another in memory.
func (v *values) earlier(block, head, from, to int, visit func(position int, rows backend.Tensor)) {
	m := v.maps.Slice(0, block, block+1).Slice(1, head, head+1)
	for p := from; p < to; {
		at := p % v.rows()
		n := min(to-p, v.rows()-at)
		visit(p, m.Slice(-2, at, at+n))
		p += n
	}
}

// latest is the attention of the latest token, [heads, context], in the buffer that the
// model's own kernel has written.
func (v *values) latest(block int) backend.Tensor {
	t := v.probabilities(block).Slice(2, v.row, v.row+1)
	t.Shape, t.Strides = [4]int{1, 1, t.Dim(1), t.Dim(3)}, [4]int{0, 0, t.Stride(1), t.Stride(3)}
	return t
}
