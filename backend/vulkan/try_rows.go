//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// rowSizes are the lengths of rows for the trials of kernels that have a workgroup for each row: one
// unit less, as many and one more than its lanes take at once, and a second round.
func rowSizes(p pipelineSpec, unit int) []int {
	lanes := int(p.spec.(shaders.Workgroup).Lanes) * unit
	return append(edges(lanes, unit), 2*lanes+unit)
}

// tryNorms makes the trials of a kernel for norms: layer norms where it has a beta.
func tryNorms(t *trials, p pipelineSpec, unit int, encode func(e *encoder, dst, x backend.Tensor, n backend.LinearNorm) error) {
	const epsilon = 0.5 // so large that it shows
	layer := p.variant.Source == "layernorm"
	for i, n := range rowSizes(p, unit) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		gamma, beta := t.integers(n, 3), t.integers(n, 3)
		g, _ := t.operand(backend.F32, gamma, 1, n, 0)
		norm := backend.LinearNorm{Gamma: g.Reshape(n), Epsilon: epsilon}
		if layer {
			b, _ := t.operand(backend.F32, beta, 1, n, 0)
			norm.Beta = b.Reshape(n)
		} else {
			clear(beta)
		}
		var want []float64
		for r := range rows {
			for _, v := range normed(numbers[r*n:(r+1)*n], gamma, beta, layer, epsilon) {
				want = append(want, float64(v))
			}
		}
		dst := t.expect(&tr, "dst", backend.F32, rows, n, nil, want, off(len(want), 1e-4))
		tr.encode = func(e *encoder) error { return encode(e, dst, x, norm) }
		t.add(tr)
	}
}

// trySoftmax makes the trials of softmax.comp.
func trySoftmax(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p, 1) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 4), rows, n, 3)
		want := make([]float64, rows*n)
		for r := range rows {
			sum := 0.0
			for j, v := range numbers[r*n : (r+1)*n] {
				want[r*n+j] = math.Exp(float64(v))
				sum += want[r*n+j]
			}
			for j := range n {
				want[r*n+j] /= sum
			}
		}
		dst := t.expect(&tr, "dst", backend.F32, rows, n, nil, want, off(len(want), 1e-5))
		tr.encode = func(e *encoder) error { return dispatchRows(e, dst, x, p) }
		t.add(tr)
	}
}

// tryArgmax makes the trials of argmax.comp.
func tryArgmax(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p, 1) {
		rows := 1 + i%3
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 1000), rows, n, 3)
		r := result{name: "the index", dtype: backend.I32, stride: 1}
		for row := range rows {
			largest := 0
			for j, v := range numbers[row*n : (row+1)*n] {
				if v > numbers[row*n+largest] {
					largest = j
				}
			}
			r.want, r.most = append(r.want, float64(largest)), append(r.most, 0)
		}
		r.at = t.place(make([]byte, 4*rows))
		dst := t.tensor(backend.I32, r.at, rows, 1)
		t.add(trial{what: fmt.Sprintf("%d rows of %d", rows, n), results: []result{r}, encode: func(e *encoder) error { return dispatchRows(e, dst, x, p) }})
	}
}
