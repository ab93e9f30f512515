package backend

import "slices"

// Coster is an Op that computes its cost itself: one with products, or one that
// accesses only a part of an operand.
type Coster interface {
	Op

	// Cost returns the work that every backend has to do for the op.
	//
	// flops is the number of floating point operations in products of vectors and
	// matrices; a multiply-add counts as two. Elementwise work is not counted,
	// because reading the elements takes longer.
	//
	// bytes is the number of bytes that are read or written. Each byte counts once,
	// also if it is updated. Scratch operands do not count.
	//
	// Positions and ids are in device memory, so the op does not know them. It
	// assumes that caches are full and that all ids are different, as far as the
	// table has enough rows.
	Cost() (flops, bytes int64)
}

// Cost returns the cost of op: see [Coster]. For an op that is no Coster, flops is
// that of the ops that it lowers to, and bytes counts all operands.
func Cost(op Op) (flops, bytes int64) {
	if c, ok := op.(Coster); ok {
		return c.Cost()
	}
	if l, ok := op.(Lowerer); ok {
		for _, simpler := range l.Lower() {
			n, _ := Cost(simpler)
			flops += n
		}
	}
	return flops, moved(op, 0)
}

// moved returns the bytes of all operands of op except scratch. Of the operands
// named in parts at most so many elements count.
func moved(op Op, elements int, parts ...string) (bytes int64) {
	op.Operands(func(name string, t *Tensor, a Access) {
		n := t.Len()
		if slices.Contains(parts, name) {
			n = min(n, elements)
		}
		if a != Scratch {
			bytes += int64(t.DType.Bytes(n))
		}
	})
	return bytes
}

// product returns the floating point operations of a product of a matrix
// [out, in] with so many vectors.
func product(vectors, in, out int) int64 { return 2 * int64(vectors) * int64(in) * int64(out) }

// causalPairs returns the number of pairs of a query and a key that it sees, if the
// last query has the position of the last key. Each query sees at most window keys, up
// to its own; window 0 is no limit.
func causalPairs(queries, keys, window int) int64 {
	queries = min(queries, keys)
	pairs := int64(queries) * int64(2*keys-queries+1) / 2
	if window == 0 || window >= keys {
		return pairs
	}
	fewest, most := max(keys-queries+1-window, 1), keys-window // keys before the window of a query that has some
	return pairs - int64(fewest+most)*int64(most-fewest+1)/2
}
