//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// epsilonTried is that of norms in trials: so large that it shows.
const epsilonTried = 0.5

// rowSizes are the lengths of rows for the trials of kernels that have a workgroup for each row: one
// unit less, as many and one more than its lanes take at once, and a second round.
func rowSizes(p pipelineSpec) []int {
	unit := unitOf(p)
	lanes := int(lanesOf(p)) * unit
	return append(edges(lanes, unit), 2*lanes+unit)
}

// tryNorms makes the trials of layernorm.comp and rmsnorm.comp.
func tryNorms(t *trials, p pipelineSpec) {
	layer := p.variant.Source == "layernorm"
	for i, n := range rowSizes(p) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		gamma, beta := t.integers(n, 3), t.integers(n, 3)
		if !layer {
			clear(beta)
		}
		var want []float64
		for r := range rows {
			want = append(want, float64s(normed(numbers[r*n:(r+1)*n], gamma, beta, layer, epsilonTried))...)
		}
		g, b := t.vector(gamma), t.vector(beta)
		dst := t.expect(&tr, "dst", backend.F32, rows, n, nil, want, off(len(want), 1e-4))
		var op backend.Op = &backend.RMSNorm{Dst: dst, X: x, Gamma: g, Epsilon: epsilonTried}
		if layer {
			op = &backend.LayerNorm{Dst: dst, X: x, Gamma: g, Beta: b, Epsilon: epsilonTried}
		}
		tr.encode = func(e *encoder) error { return encodeOp(e, op) }
		t.add(tr)
	}
}

// vector places a vector of f32.
func (t *trials) vector(values []float32) backend.Tensor {
	x, _ := t.operand(backend.F32, values, 1, len(values), 0)
	return x.Reshape(len(values))
}

// softmaxOf are the probabilities of scores, and the log of their sum of exponentials.
func softmaxOf(scores []float32) (p []float64, log float64) {
	p, sum := make([]float64, len(scores)), 0.0
	for i, v := range scores {
		p[i] = math.Exp(float64(v))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, math.Log(sum)
}

// trySoftmax makes the trials of softmax.comp.
func trySoftmax(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 4), rows, n, 3)
		var want []float64
		for r := range rows {
			probs, _ := softmaxOf(numbers[r*n : (r+1)*n])
			want = append(want, probs...)
		}
		dst := t.expect(&tr, "dst", backend.F32, rows, n, nil, want, off(len(want), 1e-5))
		tr.encode = func(e *encoder) error { return encodeOp(e, &backend.Softmax{Dst: dst, X: x}) }
		t.add(tr)
	}
}

// tryCrossEntropy makes the trials of cross_entropy.comp. One target is in no vocabulary.
func tryCrossEntropy(t *trials, p pipelineSpec) {
	const scale, lossScale = 0.25, 64
	for i, n := range rowSizes(p) {
		rows := 2 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		op := &backend.CrossEntropy{Scale: scale}
		factor := float64(scale)
		if p.spec.(shaders.CrossEntropySpec).LossScale {
			op.LossScale = t.vector([]float32{lossScale})
			factor *= lossScale
		}
		scores, targets := t.integers(rows*n, 4), make([]int32, rows)
		losses, want := make([]float64, rows), make([]float64, rows*n)
		for r := range rows {
			if targets[r] = int32(t.rng.IntN(n)); r == 1 {
				targets[r] = int32(n)
				continue // no loss, and no gradient
			}
			probs, log := softmaxOf(scores[r*n : (r+1)*n])
			losses[r] = log - float64(scores[r*n+int(targets[r])])
			probs[targets[r]]--
			for j, v := range probs {
				want[r*n+j] = factor * v
			}
		}
		op.Targets = t.numbers(targets...)
		op.Loss = t.expect(&tr, "the loss", backend.F32, 1, rows, nil, losses, off(rows, 1e-4)).Reshape(rows)
		op.X = t.expect(&tr, "the gradient", backend.F32, rows, n, scores, want, off(len(want), 1e-5*factor))
		tr.encode = func(e *encoder) error { return encodeOp(e, op) }
		t.add(tr)
	}
}

// tryArgmax makes the trials of argmax.comp.
func tryArgmax(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p) {
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
		t.add(trial{what: fmt.Sprintf("%d rows of %d", rows, n), results: []result{r}, encode: func(e *encoder) error { return encodeOp(e, &backend.Argmax{Dst: dst, X: x}) }})
	}
}

// trySumSquares makes the trials of sum_squares.comp.
func trySumSquares(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		want := make([]float64, rows)
		for at, v := range numbers {
			want[at/n] += float64(v) * float64(v)
		}
		dst := t.expect(&tr, "dst", backend.F32, rows, 1, nil, want, nil)
		tr.encode = func(e *encoder) error { return encodeOp(e, &backend.SumSquares{Dst: dst, X: x}) }
		t.add(tr)
	}
}

// tryGlobalNorm makes the trials of global_norm.comp, with a norm that is clipped and with one that is not.
func tryGlobalNorm(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p) {
		tr := trial{what: fmt.Sprintf("%d sums", n)}
		sums := from0(50)(t, n)
		total := 0.0
		for _, v := range sums {
			total += float64(v)
		}
		norm := math.Sqrt(total)
		limit := float32(norm / 3)
		if i%2 == 1 {
			limit = float32(norm + 1)
		}
		want := []float64{norm, min(1, float64(limit)/(norm+1e-6))}
		op := &backend.GlobalNorm{X: t.vector(sums), Max: limit}
		op.Dst = t.expect(&tr, "(norm, factor)", backend.F32, 1, 2, nil, want, []float64{1e-5 * (1 + norm), 1e-5}).Reshape(2)
		tr.encode = func(e *encoder) error { return encodeOp(e, op) }
		t.add(tr)
	}
}

// trySumRows makes the trials of sum_rows.comp: of columns and rows that end where a workgroup does, one unit before and
// one behind.
func trySumRows(t *trials, p pipelineSpec) {
	spec, unit := p.spec.(shaders.Workgroup2D), unitOf(p)
	of, rowsOf := dtypeOf(p.variant, ""), edges(2*int(spec.LanesY), 1)
	for i, n := range edges(int(spec.Lanes)*unit, unit) {
		rows := rowsOf[len(rowsOf)-1-i%len(rowsOf)]
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, numbers := t.operand(of, t.integers(rows*n, 50), rows, n, 4)
		before := t.integers(n, 50)
		want := float64s(before)
		for at, v := range numbers {
			want[at%n] += float64(v)
		}
		dst := t.expect(&tr, "dst", backend.F32, 1, n, before, want, nil).Reshape(n)
		tr.encode = func(e *encoder) error { return sumRows(e, dst, x) }
		t.add(tr)
	}
}

// tryLinearSum makes the trials of linear_sum.comp: of four outputs less than a workgroup takes, as many and one more.
func tryLinearSum(t *trials, p pipelineSpec) {
	const rows, parts = 3, 3
	spec := p.spec.(shaders.LinearEpilogue)
	fours := int(spec.Lanes) / rows // of a row
	t.fours = true
	for _, n := range []int{4*fours - 1, 4 * fours, 4*fours + 5} {
		tr := trial{what: fmt.Sprintf("%d rows of %d, %d parts", rows, n, parts)}
		o := linearOp{activation: backend.Activation(spec.Activation), accumulate: spec.Accumulate}
		stride := (n + 3) / 4 * 4
		sums, values := t.operand(backend.F32, t.integers(parts*rows*stride, 2), parts*rows, stride, 0)
		bias, before := t.integers(n, 3), t.integers(rows*n, 3)
		o.bias = t.vector(bias)
		var residual []float32
		if spec.Residual {
			o.residual, residual = t.operand(backend.F32, t.integers(rows*n, 50), rows, n, 4+stride-n)
		}
		want := make([]float64, rows*n)
		for at := range want {
			r, i := at/n, at%n
			v := float64(bias[i])
			for part := range parts {
				v += float64(values[(part*rows+r)*stride+i])
			}
			if spec.Accumulate {
				v += float64(before[at])
			}
			if v = activate(o.activation, v); residual != nil {
				v += float64(residual[at])
			}
			want[at] = v
		}
		most := off(len(want), 0)
		if o.activation != backend.NoActivation {
			for at, v := range want {
				most[at] = 1e-5 * (1 + math.Abs(v))
			}
		}
		if !spec.Accumulate {
			before = nil
		}
		o.dst = t.expect(&tr, "dst", backend.F32, rows, n, before, want, most)
		sums.Shape, sums.Strides = [4]int{1, parts, rows, stride}, [4]int{0, rows * stride, stride, 1}
		tr.encode = func(e *encoder) error { return encodePartSums(e, &o, &product{rows: rows, out: n}, sums) }
		t.add(tr)
	}
}
