//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend"
	"caldera/shaders"
)

// dtypeOf is the type that a macro of a variant chooses for an operand: f32 if there is none.
func dtypeOf(v *shaders.Variant, operand string) backend.DType {
	for role := range 8 {
		for _, d := range backend.DTypes(backend.Role(1 << role)) {
			if m := storage(operand, d); m != nil && v.Has(m[0]) {
				return d
			}
		}
	}
	return backend.F32
}

// stored is what numbers become as a dtype.
func stored(d backend.DType, values []float32) (p []byte, as []float64) {
	p, err := backend.Encode(nil, d, values)
	if err != nil {
		panic(err) // they are whole blocks
	}
	got := make([]float32, len(values))
	if err := backend.Decode(got, d, p); err != nil {
		panic(err)
	}
	return p, float64s(got)
}

// float64s are numbers in float64.
func float64s(values []float32) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = float64(v)
	}
	return list
}

// tryCopy makes the trials of copy.comp and copy_half.comp: rows that together end before a workgroup
// does, with it and behind it. Numbers have all bits of f32, so that rounding shows. Rows of 16 bits
// begin in the middle of words.
func tryCopy(t *trials, p pipelineSpec) {
	from, to, unit := dtypeOf(p.variant, "X_"), dtypeOf(p.variant, "DST_"), unitOf(p)
	switch {
	case p.variant.Source == "copy_half":
		to = backend.F16
	case p.variant.Has("MOVE"):
		from, to = backend.F16, backend.F16
	}
	const rows = 3
	items := int(lanesOf(p)) / rows * unit // that a row has of a workgroup
	for _, n := range []int{items, items + unit, 2*items + 3*unit} {
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, values := t.operand(from, small16(3000)(t, rows*n), rows, n, 4)
		_, want := stored(to, values)
		dst := t.expect(&tr, "dst", to, rows, n, nil, want, nil)
		tr.encode = func(e *encoder) error { return encodeCopy(e, &backend.Copy{Dst: dst, X: x}) }
		t.add(tr)
	}
}

// tryCopyBlocks makes the trials of dequantize.comp and quantize.comp: rows of a block less than a
// workgroup takes, as many and one more.
func tryCopyBlocks(t *trials, p pipelineSpec) {
	from, to, each := dtypeOf(p.variant, ""), backend.F32, 4 // elements that an invocation takes
	if p.variant.Source == "quantize" {
		from, to = backend.F32, backend.Q8_A
		each = to.BlockLen()
	}
	block := max(from.BlockLen(), to.BlockLen())
	for i, n := range edges(int(lanesOf(p))*each, block) {
		rows := 1 + i%2
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, values := t.operand(from, blockValues(t, from, rows*n), rows, n, 0)
		var dst backend.Tensor
		if to == backend.F32 {
			dst = t.expect(&tr, "dst", to, rows, n, nil, float64s(values), nil)
		} else {
			dst = t.expectBlocks(&tr, "dst", to, rows, n, values)
		}
		tr.encode = func(e *encoder) error { return encodeCopy(e, &backend.Copy{Dst: dst, X: x}) }
		t.add(tr)
	}
}

// blockValues are numbers for blocks. The scale in f16 is denormal in some, of types that are widened by integer code.
func blockValues(t *trials, d backend.DType, n int) []float32 {
	values := between(100)(t, n)
	if d.Quantized() && !takesEights(d) {
		for i := range values {
			if i/d.BlockLen()%3 == 0 {
				values[i] /= 1 << 20
			}
		}
	}
	return values
}

// expectBlocks places a matrix [rows, n] of blocks that the op is to write, with a row behind it, and
// returns it. It is to hold these values.
func (t *trials) expectBlocks(tr *trial, name string, d backend.DType, rows, n int, values []float32) backend.Tensor {
	row := make([]float32, n)
	for i := range row {
		row[i] = untouched
	}
	_, want := stored(d, values)
	bytes, other := stored(d, row)
	r := result{name: name, dtype: d, stride: n, want: append(want, other...)}
	r.most = make([]float64, len(r.want))
	for len(t.image)%(rangeUnit*d.BlockBytes()) != 0 { // see operand
		t.image = append(t.image, 0)
	}
	var image []byte
	for range rows + 1 {
		image = append(image, bytes...)
	}
	r.at = t.place(image)
	tr.results = append(tr.results, r)
	return t.tensor(d, r.at, rows+1, n).Slice(-2, 0, rows)
}
