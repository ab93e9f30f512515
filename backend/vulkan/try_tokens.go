//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// Tokens of trials: of two sequences, one that is padding, and one whose position is in no table.
var (
	triedSeqs      = []int32{1, 0, -1, 0, 1}
	triedPositions = []int32{6, 1, 2, triedContext, 0}
)

const triedContext = 8

// places are the places of the tokens.
func (t *trials) places() backend.Tensor {
	return t.numbers(append(append([]int32{}, triedSeqs...), triedPositions...)...).Reshape(2, len(triedSeqs))
}

// missing is what a row is for a token that has no place: NaN, or 0 where it is padding. ok tells that it has one.
func missing(token int) (value float64, ok bool) {
	switch {
	case triedSeqs[token] < 0:
		return 0, false
	case triedPositions[token] >= triedContext:
		return math.NaN(), false
	}
	return 0, true
}

// tableValues are integers for a table of one of two kinds. Of each seventh column one kind has numbers that are denormal in
// f16, and the other one zeros, so that they show in the sums.
func (t *trials) tableValues(rows, width, kind int) []float32 {
	values := t.integers(rows*width, 50)
	for i, v := range values {
		switch i % width % 7 {
		case kind:
			values[i] = v / (1 << 20)
		case 1 - kind:
			values[i] = 0
		}
	}
	return values
}

// tryEmbedding makes the trials of embedding.comp, at widths where a workgroup ends; with positions, and where these are f32
// without.
func tryEmbedding(t *trials, p pipelineSpec) {
	const vocab = 9
	ids := []int32{4, 8, 0, 3, vocab} // the last one is none
	tokens, positions := dtypeOf(p.variant, "TOKENS_"), dtypeOf(p.variant, "POSITIONS_")
	for i, width := range edges(int(lanesOf(p)), tokens.BlockLen()) {
		n := len(ids)
		tr := trial{what: fmt.Sprintf("%d tokens, %d elements", n, width)}
		op := &backend.Embedding{IDs: t.numbers(ids...).Reshape(1, n)}
		var table, added []float32
		op.Tokens, table = t.operand(tokens, t.tableValues(vocab, width, 0), vocab, width, 3)
		if positions != backend.F32 || i != 1 {
			op.Positions, added = t.operand(positions, t.tableValues(triedContext, width, 1), triedContext, width, 3)
			op.At = t.places()
		}
		want := make([]float64, n*width)
		for at := range want {
			token, c := at/width, at%width
			value, ok := 0.0, true
			if added != nil {
				if value, ok = missing(token); ok {
					value = float64(added[int(triedPositions[token])*width+c])
				}
			}
			switch {
			case ok && ids[token] == vocab:
				value = math.NaN()
			case ok:
				value = float64(float32(value) + table[int(ids[token])*width+c])
			}
			want[at] = value
		}
		op.Dst = t.expect(&tr, "dst", backend.F32, n, width, nil, want, nil)
		tr.encode = func(e *encoder) error { return encodeEmbedding(e, op) }
		t.add(tr)
	}
}

// tryRotary makes the trials of rotary.comp: heads whose pairs end where a workgroup does, one unit before and one
// behind, and heads of which some elements are no pairs.
func tryRotary(t *trials, p pipelineSpec) {
	const heads = 2
	unit, n := unitOf(p), len(triedSeqs)
	half := int(lanesOf(p)) / heads * unit
	for i, c := range [][2]int{{half - unit, 2 * (half - unit)}, {half, 2 * half}, {half + unit, 2 * (half + unit)}, {2 * unit, 8 * unit}} {
		pairs, size := c[0], c[1]
		op := &backend.Rotary{Heads: heads, At: t.places(), Inverse: i == 1}
		if i%2 == 1 {
			op.Pairing = backend.Neighbours
		}
		tr := trial{what: fmt.Sprintf("%d tokens, %d heads of %d, %d pairs of %v", n, heads, size, pairs, op.Pairing)}
		var x, angles []float32
		op.X, x = t.operand(backend.F32, t.integers(n*heads*size, 50), n, heads*size, 4)
		op.Angles, angles = t.operand(backend.F32, t.integers(triedContext*2*pairs, 20), triedContext, 2*pairs, 4)
		want := make([]float64, len(x))
		for token := range n {
			value, ok := missing(token)
			for h := range heads {
				from, to := x[(token*heads+h)*size:][:size], want[(token*heads+h)*size:][:size]
				for j, v := range from {
					if to[j] = value; ok {
						to[j] = float64(v)
					}
				}
				for j := 0; ok && j < pairs; j++ {
					row := angles[int(triedPositions[token])*2*pairs:]
					cos, sin := float64(row[j]), float64(row[pairs+j])
					if op.Inverse {
						sin = -sin
					}
					first, second := j, j+pairs
					if op.Pairing == backend.Neighbours {
						first, second = 2*j, 2*j+1
					}
					a, b := float64(from[first]), float64(from[second])
					to[first], to[second] = a*cos-b*sin, b*cos+a*sin
				}
			}
		}
		op.Dst = t.expect(&tr, "dst", backend.F32, n, heads*size, nil, want, nil)
		tr.encode = func(e *encoder) error { return encodeRotary(e, op) }
		t.add(tr)
	}
}

// tryStore makes the trials of store.comp, at widths where a workgroup ends. A row that is longer than the others of
// the cache is left as it was.
func tryStore(t *trials, p pipelineSpec) {
	const sequences, block = 2, 4
	cache, n := dtypeOf(p.variant, ""), len(triedSeqs)
	for _, width := range edges(int(lanesOf(p)), 1) {
		tr := trial{what: fmt.Sprintf("%d tokens, %d elements", n, width)}
		op := &backend.Store{At: t.places()}
		var x []float32
		op.X, x = t.operand(backend.F32, small16(3000)(t, n*width), n, width, 3)
		rowOf := func(seq, pos int) int { return seq*triedContext + pos }
		all, each := sequences, triedContext
		if p.spec.(shaders.StoreSpec).Table {
			numbers := []int32{2, 0, 3, 1}
			op.Table = t.numbers(numbers...).Reshape(sequences, triedContext/block)
			rowOf = func(seq, pos int) int {
				return int(numbers[seq*triedContext/block+pos/block])*block + pos%block
			}
			all, each = sequences*triedContext/block, block
		}
		before := t.integers(sequences*triedContext*width, 50)
		want := float64s(before)
		_, rounded := stored(cache, x)
		for token := range n {
			if _, ok := missing(token); ok {
				copy(want[rowOf(int(triedSeqs[token]), int(triedPositions[token]))*width:][:width], rounded[token*width:])
			}
		}
		dst := t.expect(&tr, "the cache", cache, sequences*triedContext, width, before, want, nil)
		stride := dst.Stride(-2)
		dst.Shape, dst.Strides = [4]int{1, all, each, width}, [4]int{0, each * stride, stride, 1}
		op.Dst = dst
		tr.encode = func(e *encoder) error { return encodeStore(e, op) }
		t.add(tr)
	}
}

// triedRows are which row of a table each of many tokens has, of so many rows and one that is in no table.
func triedRows(t *trials, n, rows int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(t.rng.IntN(rows + 1))
	}
	return list
}

// chainOf is what embedding_chain.comp makes of the rows of tokens.
func chainOf(rows []int32) []int32 {
	const follows = math.MinInt32 // the highest bit
	chain := make([]int32, 2*len(rows))
	for i, row := range rows {
		next := i + 1
		for next < len(rows) && rows[next] != row {
			next++
		}
		chain[2*i], chain[2*i+1] = row, int32(next)
		for _, other := range rows[:i] {
			if other == row {
				chain[2*i+1] |= follows
			}
		}
	}
	return chain
}

// tryChain makes the trials of embedding_chain.comp: of a token less than a workgroup takes, as many and one more, in two
// sequences, and with padding.
func tryChain(t *trials, p pipelineSpec) {
	for i, n := range edges(int(lanesOf(p)), 1) {
		rows, seqs := triedRows(t, n, 20), make([]int32, n)
		index := t.numbers(rows...).Reshape(1, n)
		var seq backend.Tensor
		if i != 1 {
			for j := range seqs {
				seqs[j] = int32(j%7) - 1
				if seqs[j] < 0 {
					rows[j] = -1
				}
			}
			seq = t.numbers(seqs...).Reshape(1, n)
		}
		chain := chainOf(rows)
		r := result{name: "the chain", dtype: backend.I32, stride: 2, most: make([]float64, len(chain)+2)}
		image := make([]int32, len(chain)+2)
		for j := range image {
			image[j] = untouched
			r.want = append(r.want, untouched)
		}
		for j, v := range chain {
			r.want[j] = float64(v)
		}
		dst := t.numbers(image...)
		r.at = dst.Offset * 4
		t.add(trial{
			what: fmt.Sprintf("%d tokens", n), results: []result{r},
			encode: func(e *encoder) error { return encodeChain(e, dst.Slice(-1, 0, len(chain)), index, seq) },
		})
	}
}

// tryEmbeddingBackward makes the trials of embedding_backward.comp: of vectors that end where a workgroup does, one
// unit before and one behind.
func tryEmbeddingBackward(t *trials, p pipelineSpec) {
	const n, rows = 11, 4
	for _, width := range edges(int(lanesOf(p))*unitOf(p), unitOf(p)) {
		tr := trial{what: fmt.Sprintf("%d tokens, %d elements", n, width)}
		of := triedRows(t, n, rows)
		chain := t.numbers(chainOf(of)...)
		dy, values := t.operand(backend.F32, t.integers(n*width, 50), n, width, 4)
		before := t.integers(rows*width, 50)
		want := float64s(before)
		for at, v := range values {
			if row := int(of[at/width]); row < rows {
				want[row*width+at%width] += float64(v)
			}
		}
		table := t.expect(&tr, "the gradient of the table", backend.F32, rows, width, before, want, nil)
		tr.encode = func(e *encoder) error { return encodeChainSums(e, table, dy, chain) }
		t.add(tr)
	}
}
