//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// tryAttention makes the trials of attention.comp: one query more than a workgroup takes, over one chunk of
// keys and a few more; as many, over a chunk; and one less, if that is any, over a chunk less a few.
func tryAttention(t *trials, like *backend.Attention, shared int, spec shaders.AttentionSpec, way attentionWay, dispatch dispatchAttention) {
	chunk := (int(spec.Chunk) + triedStep - 1) / triedStep * triedStep
	for i, context := range []int{chunk + triedStep, chunk, chunk - triedStep} {
		time := int(spec.Queries) + 1 - i
		if time < 1 || context < time {
			continue
		}
		heads := triedHeads{size: int(spec.Size), shared: shared, groups: min(like.K.Dim(-1)/int(spec.Size), 2), queries: int(spec.Queries), texels: way.texel}
		tryAttentionOf(t, like, heads, time, context, spec.Extras, func(e *encoder, op *backend.Attention) error {
			push, groups := attentionPush(op, op, spec, 0, 0)
			if !op.Table.Absent() {
				return dispatch(e, op, spec, push, groups, backend.Tensor{})
			}
			sequences, context := op.Cache()
			keys := context
			if spec.Split {
				if keys = int(spec.Lanes); keys >= context {
					keys = (context + 1) / 2
				}
			}
			return attentionPieces(e, op, spec, push, groups, [4]int{sequences, sequences, context, keys}, dispatch)
		})
	}
}

// triedHeads are the heads of a trial: how long vectors are, how many heads share a key, and how many keys
// a position has; and how a kernel divides them. Fine: queries have more bits than a number of f16. Infinite: no query of a sequence attends to its
// first key, because the score is −∞.
type triedHeads struct {
	size, shared, groups int
	together             int  // shared is a multiple of it: heads that a workgroup takes; 0: one
	queries              int  // that a workgroup takes
	texels               bool // queries, keys and values are read as texels
	fine, infinite       bool
}

// triedSequences is how many sequences a trial has, where they fit; triedStep is how many positions a block of a table has, of
// which keys are a multiple; and triedPad is how many elements lie between rows of operands.
const triedSequences, triedStep, triedPad = 2, 4, 8

// triedAttention is how large a trial of attention is.
type triedAttention struct {
	triedHeads
	sequences, time, context int // how many queries each sequence has, and how many keys
}

// fitsQueries and fitsKeys report whether the device takes what a trial has for its queries, and for its keys.
func (h *triedAttention) fitsQueries(t *trials) bool {
	l, rows, n := &t.b.limits, h.sequences*h.time, h.shared*h.groups*h.size
	q := backend.Of(nil, backend.F32, 0, rows, n+padding(backend.F32, rows, n, triedPad))
	return h.shared*h.groups <= int(l.Groups[1]) && h.sequences <= int(l.Groups[2]) && tiles(h.time, h.queries) <= int(l.Groups[0]) &&
		fit(l, q, backend.Of(nil, backend.F32, 0, rows, t.resultStride(n))) && (!h.texels || l.fitTexels(q))
}

func (h *triedAttention) fitsKeys(t *trials, like *backend.Attention) bool {
	l, rows, n := &t.b.limits, h.sequences*h.context, h.groups*h.size
	for _, d := range []backend.DType{like.K.DType, like.V.DType} {
		if x := backend.Of(nil, d, 0, rows, n+padding(d, rows, n, triedPad)); !fit(l, x) || h.texels && !l.fitTexels(x) {
			return false
		}
	}
	return like.Probs.Absent() || fit(l, backend.Of(nil, backend.F32, 0, h.sequences*h.shared*h.groups*h.time, t.resultStride(h.context)))
}

// shrink makes a trial smaller until the device takes it: where less is bound, ops have shorter pieces, too. A trial of more
// queries than a workgroup takes keeps its keys and goes without other groups and sequences first, for these keys are more than a
// chunk or a tile. ok is false if the device does not even take the smallest one.
func (h *triedAttention) shrink(t *trials, like *backend.Attention) (ok bool) {
	together := max(h.together, 1)
	for !h.fitsQueries(t) {
		switch {
		case h.shared > together:
			h.shared = max(h.shared/2/together, 1) * together
		case h.groups > 1:
			h.groups--
		case h.time > 1:
			h.time /= 2
		case h.sequences > 1:
			h.sequences--
		default:
			return false
		}
	}
	long := h.time > h.queries
	for !h.fitsKeys(t, like) {
		switch {
		case long && h.groups > 1:
			h.groups--
		case long && h.sequences > 1:
			h.sequences--
		case h.context > triedStep:
			h.context = h.context / 2 / triedStep * triedStep
			h.time = min(h.time, h.context)
		case h.shared > together:
			h.shared = max(h.shared/2/together, 1) * together
		case h.groups > 1:
			h.groups--
		default:
			return false
		}
	}
	return true
}

// tryAttentionOf makes a trial of attention with the types and the table of another op: of two sequences, with so many queries
// at the end of each, or of as much as the device takes. extras: a window, a soft-cap and sinks.
func tryAttentionOf(t *trials, like *backend.Attention, heads triedHeads, time, context int, extras bool, encode func(e *encoder, op *backend.Attention) error) {
	shape := triedAttention{heads, triedSequences, time, context}
	if !shape.shrink(t, like) {
		return // which is found: see tryAll
	}
	tryAttentionShape(t, like, &shape, extras, encode)
}

// tryAttentionShape is tryAttentionOf for a device that takes all of it.
func tryAttentionShape(t *trials, like *backend.Attention, h *triedAttention, extras bool, encode func(e *encoder, op *backend.Attention) error) {
	const block = triedStep
	size, shared, groups, sequences, time, context := h.size, h.shared, h.groups, h.sequences, h.time, h.context
	heads := shared * groups
	op := &backend.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(size)) / 4)}
	tr := trial{what: fmt.Sprintf("%d queries of %d heads of %d, %d keys", time, heads, size, context)}

	rows := func(d backend.DType, n, width, most int) (backend.Tensor, []float32) {
		return t.operand(d, t.integers(n*width, most), n, width, triedPad)
	}
	// as [1, a, b, n], of rows that lie at one distance
	shaped := func(x backend.Tensor, a, b int) backend.Tensor {
		x.Shape, x.Strides = [4]int{1, a, b, x.Dim(-1)}, [4]int{0, b * x.Stride(-2), x.Stride(-2), 1}
		return x
	}
	var q, k, v, sinks []float32
	most := 3
	if h.fine {
		const finer = 1 << 14
		most *= finer
		op.Scale /= finer
	}
	numbers, keys := t.integers(sequences*time*heads*size, most), t.integers(sequences*context*groups*size, 3)
	if h.infinite {
		for i := 0; i < len(numbers); i += size {
			numbers[i] = 1
		}
		for i := 0; i < len(keys); i += size {
			if position := i / (groups * size) % context; position == 0 {
				keys[i] = float32(math.Inf(-1))
			}
		}
	}
	op.Q, q = t.operand(backend.F32, numbers, sequences*time, heads*size, triedPad)
	op.K, k = t.operand(like.K.DType, keys, sequences*context, groups*size, triedPad)
	op.V, v = rows(like.V.DType, sequences*context, groups*size, 30)
	op.Q = shaped(op.Q, sequences, time)
	all, each := sequences, context                              // of the caches
	place := func(seq, pos int) int { return seq*context + pos } // the row of the cache
	if !like.Table.Absent() {
		n := sequences * context / block
		numbers := make([]int32, n)
		for i := range numbers {
			numbers[i] = int32(n - 1 - i)
		}
		op.Table = t.numbers(numbers...).Reshape(sequences, context/block)
		place = func(seq, pos int) int { return int(numbers[seq*context/block+pos/block])*block + pos%block }
		all, each = n, block
	}
	op.K, op.V = shaped(op.K, all, each), shaped(op.V, all, each)
	if extras {
		op.Window, op.SoftCap = max(context/2, 1), 5
		var s backend.Tensor
		s, sinks = t.operand(backend.F32, t.integers(heads, 2), 1, heads, 0)
		op.Sinks = s.Reshape(heads)
	}
	at := make([]int32, 2*sequences*time)
	want := make([]float64, sequences*time*heads*size)
	probs := make([]float64, sequences*heads*time*context)
	for seq := range sequences {
		for i := range time {
			row, pos := seq*time+i, context-time+i
			at[row], at[sequences*time+row] = int32(seq), int32(pos)
			for h := range heads {
				from := 0
				if op.Window > 0 {
					from = max(0, pos+1-op.Window)
				}
				g := h / shared
				p := probs[((seq*heads+h)*time+i)*context:][:context]
				vector := q[row*heads*size+h*size:][:size]
				sum := 0.0
				if sinks != nil {
					sum = math.Exp(float64(sinks[h]))
				}
				for j := from; j <= pos; j++ {
					key := k[place(seq, j)*groups*size+g*size:][:size]
					score := 0.0
					for x := range vector {
						score += float64(vector[x]) * float64(key[x])
					}
					score *= float64(op.Scale)
					if op.SoftCap > 0 {
						score = float64(op.SoftCap) * math.Tanh(score/float64(op.SoftCap))
					}
					p[j] = math.Exp(score)
					sum += p[j]
				}
				to := want[row*heads*size+h*size:][:size]
				for j := from; j <= pos; j++ {
					p[j] /= sum
					value := v[place(seq, j)*groups*size+g*size:][:size]
					for x := range to {
						to[x] += p[j] * float64(value[x])
					}
				}
			}
		}
	}
	op.At = t.numbers(at...).Reshape(2, sequences*time)
	dst := t.expect(&tr, "dst", backend.F32, sequences*time, heads*size, nil, want, off(len(want), 1e-3))
	op.Dst = dst
	op.Dst.Shape, op.Dst.Strides = [4]int{1, sequences, time, heads * size}, [4]int{0, time * dst.Stride(-2), dst.Stride(-2), 1}
	if !like.Probs.Absent() {
		p := t.expect(&tr, "probs", backend.F32, sequences*heads*time, context, nil, probs, off(len(probs), 1e-5))
		op.Probs = p
		op.Probs.Shape = [4]int{sequences, heads, time, context}
		op.Probs.Strides = [4]int{heads * time * p.Stride(-2), time * p.Stride(-2), p.Stride(-2), 1}
	}
	tr.encode = func(e *encoder) error { return encode(e, op) }
	t.add(tr)
}

// off is n times how far off a number may be.
func off(n int, most float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = most
	}
	return list
}
