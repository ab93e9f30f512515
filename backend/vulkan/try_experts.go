//go:build cgo

package vulkan

import (
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/shaders"
)

// tryRoute makes the trials of route.comp: numbers of experts where a workgroup ends, with scores of which many are equal.
func tryRoute(t *trials, p pipelineSpec) {
	for i, n := range rowSizes(p) {
		n = min(n, backend.MaxExperts)
		rows, chosen := 1+i%3, min(1+i, n, backend.MaxChosen)
		tr := trial{what: fmt.Sprintf("%d rows, %d of %d", rows, chosen, n)}
		x, numbers := t.operand(backend.F32, t.integers(rows*n, 3+n/4), rows, n, 3)
		var ids, weights []float64
		for r := range rows {
			scores, order := numbers[r*n:(r+1)*n], make([]int, n)
			for j := range order {
				order[j] = j
			}
			slices.SortStableFunc(order, func(a, b int) int { return int(scores[b] - scores[a]) })
			var best []float32
			for _, id := range order[:chosen] {
				ids, best = append(ids, float64(id)), append(best, scores[id])
			}
			probs, _ := softmaxOf(best)
			weights = append(weights, probs...)
		}
		op := &backend.Route{X: x}
		op.IDs = t.expectInts(&tr, "the ids", rows, chosen, ids)
		op.Weights = t.expect(&tr, "the weights", backend.F32, rows, chosen, nil, weights, off(len(weights), 1e-5))
		tr.encode = func(e *encoder) error { return encodeRoute(e, op) }
		t.add(tr)
	}
}

// expectInts is expect for a contiguous matrix of i32.
func (t *trials) expectInts(tr *trial, name string, rows, n int, want []float64) backend.Tensor {
	r := result{name: name, dtype: backend.I32, stride: n, want: want, most: off(len(want), 0), at: t.place(make([]byte, 4*len(want)))}
	tr.results = append(tr.results, r)
	return t.tensor(backend.I32, r.at, rows, n)
}

// tryExpertSum makes the trials of expert_sum.comp, at widths where a workgroup ends.
func tryExpertSum(t *trials, p pipelineSpec) {
	for i, width := range edges(int(lanesOf(p)), 1) {
		tokens, chosen := 2+i, 1+2*i
		tr := trial{what: fmt.Sprintf("%d tokens, %d experts, %d elements", tokens, chosen, width)}
		x, numbers := t.operand(backend.F32, t.integers(tokens*chosen*width, 50), tokens*chosen, width, 3)
		x.Shape, x.Strides = [4]int{1, tokens, chosen, width}, [4]int{0, chosen * x.Stride(-2), x.Stride(-2), 1}
		weights, factors := t.operand(backend.F32, t.integers(tokens*chosen, 9), tokens, chosen, 1)
		want := make([]float64, tokens*width)
		for at, v := range numbers {
			want[at/width/chosen*width+at%width] += float64(factors[at/width]) * float64(v)
		}
		op := &backend.ExpertSum{X: x, Weights: weights}
		op.Dst = t.expect(&tr, "dst", backend.F32, tokens, width, nil, want, nil)
		tr.encode = func(e *encoder) error { return encodeExpertSum(e, op) }
		t.add(tr)
	}
}

// tryExpertOrder makes the trials of expert_order.comp: rows where a workgroup ends, experts where it does, of which some have no rows
// and some more than a tile, and ids that are no expert's.
func tryExpertOrder(t *trials, p pipelineSpec) {
	lanes := int(lanesOf(p))
	for i, rows := range edges(2*lanes, 1) {
		experts, tile := lanes-2+i, 3+i
		tr := trial{what: fmt.Sprintf("%d rows of %d experts, %d a tile", rows, experts, tile)}
		ids, whose := make([]int32, rows), make([][]float64, experts+1)
		for r := range ids {
			id := t.rng.IntN(experts + 1)
			if id%3 == 0 { // several of one, and none of others
				id = 1
			}
			ids[r] = int32(id)
			if id == experts {
				ids[r] = []int32{-1, int32(experts), math.MaxInt32, math.MinInt32}[r%4]
			}
			whose[id] = append(whose[id], float64(r))
		}
		n := mostTiles(rows, experts, tile)
		want, list := make([]float64, 0, 3*n+rows), []float64(nil)
		for id, mine := range whose {
			for at := 0; at < len(mine); at += tile {
				want = append(want, float64(id), float64(len(list)+at), float64(min(tile, len(mine)-at)))
			}
			list = append(list, mine...)
		}
		want = append(want[:3*n:3*n], list...) // the rest of the tiles have no rows
		order := t.expectInts(&tr, "the list", 1, len(want), want)
		from := t.numbers(ids...).Reshape(1, rows)
		tr.encode = func(e *encoder) error {
			return e.dispatchOrder(order.Reshape(len(want)), from, n, experts, uint32(tile))
		}
		t.add(tr)
	}
}

// tryExpertLinear makes the trials of expert_linear.comp: inputs where a round of a workgroup ends, outputs where it does, more
// rows of an expert than it computes at once, and ids that are no expert's. Numbers of quantised types are of all magnitudes.
func tryExpertLinear(t *trials, p pipelineSpec) {
	const experts, chosen = 3, 2
	spec := p.spec.(shaders.ExpertLinearSpec)
	w, xType := dtypeOf(p.variant, ""), dtypeOf(p.variant, "X_")
	unit, most := max(w.BlockLen(), unitOf(p)), 7
	if w.Quantized() {
		most = 15
	}
	ids := []int32{2, 0, 2, -1, 2, 2, 1, 2, experts, 2, 0, 2}
	if spec.Rows > 4 {
		ids = append(ids, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2)
	}
	round := int(spec.Lanes) * unitOf(p)
	if w == backend.MXFP4 && p.variant.Has("X4") { // which takes whole blocks
		round = int(spec.Lanes) * w.BlockLen()
	}
	for i, in := range edges(round, unit) {
		tokens, out, shared := len(ids)/chosen, int(spec.LanesY*spec.Outs)*2-1+i, i == 1 // a token's vector serves all of its experts
		if spec.Rows == 1 {
			tokens = 1 + i
		}
		rows := tokens * chosen
		vectors := rows
		if shared {
			vectors = tokens
		}
		tr := trial{what: fmt.Sprintf("%d tokens, %d inputs, %d outputs", tokens, in, out)}
		x, numbers := t.operand(xType, t.integers(vectors*in, 7), vectors, in, 4)
		if shared {
			x.Shape, x.Strides = [4]int{1, tokens, 1, in}, [4]int{0, x.Stride(-2), in, 1}
		} else {
			x.Shape, x.Strides = [4]int{1, tokens, chosen, in}, [4]int{0, chosen * x.Stride(-2), x.Stride(-2), 1}
		}
		matrix, weights := t.operand(w, t.integers(experts*out*in, most), experts*out, in, 4)
		matrix.Shape, matrix.Strides = [4]int{1, experts, out, in}, [4]int{0, out * matrix.Stride(-2), matrix.Stride(-2), 1}
		op := &backend.ExpertLinear{X: x, W: matrix, IDs: t.numbers(ids[:rows]...).Reshape(tokens, chosen)}
		var bias []float32
		if i != 2 {
			op.Bias, bias = t.operand(backend.F32, t.integers(experts*out, 50), experts, out, 3)
		}
		want, bound := make([]float64, rows*out), make([]float64, rows*out)
		for at := range want {
			r, o := at/out, at%out
			id := int(ids[r])
			if id < 0 || id >= experts {
				want[at] = math.NaN()
				continue
			}
			from := r
			if shared {
				from = r / chosen
			}
			size := 0.0
			for k := range in {
				v := float64(numbers[from*in+k]) * float64(weights[(id*out+o)*in+k])
				want[at], size = want[at]+v, size+math.Abs(v)
			}
			if bias != nil {
				want[at] += float64(bias[id*out+o])
			}
			if w.Quantized() || xType.Quantized() { // whose numbers are no integers
				bound[at] = 1e-5 * size
			}
		}
		dst := t.expect(&tr, "dst", backend.F32, rows, out, nil, want, bound)
		op.Dst = dst
		op.Dst.Shape, op.Dst.Strides = [4]int{1, tokens, chosen, out}, [4]int{0, chosen * dst.Stride(-2), dst.Stride(-2), 1}
		tr.encode = func(e *encoder) error { return encodeExpertLinear(e, op) }
		t.add(tr)
	}
}
