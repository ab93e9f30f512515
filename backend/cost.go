package backend

import "slices"

// Coster is an Op whose cost does not follow from its operands alone: one with
// products, or one that touches only a part of an operand.
type Coster interface {
	Op

	// Cost returns the work that any backend has to do for the op.
	//
	// flops counts the floating point operations of products of vectors and
	// matrices; a multiply-add is two. Work that is done element by element is not
	// counted: reading the elements takes longer.
	//
	// bytes counts the memory that is read or written, each byte once, scratch
	// excluded. An element that is updated counts once.
	//
	// Positions and ids are in device memory, so an op does not know them. Caches
	// count as full, and ids as different ones, as far as a table has rows.
	Cost() (flops, bytes int64)
}

// Cost returns the cost of op: see [Coster]. An op that is no Coster has the
// products of the ops that it lowers to, and moves all of its operands.
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

// moved returns the bytes of all operands of op but scratch. Of those that are
// named in parts, at most so many elements count.
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

// causalPairs returns how many pairs there are of a query and a key that it
// sees, where the last of the queries is at the last key and each sees so many
// keys up to its own, or all of them where window is 0.
func causalPairs(queries, keys, window int) int64 {
	queries = min(queries, keys)
	pairs := int64(queries) * int64(2*keys-queries+1) / 2
	if window == 0 || window >= keys {
		return pairs
	}
	fewest, most := max(keys-queries+1-window, 1), keys-window // keys before the window of a query that has some
	return pairs - int64(fewest+most)*int64(most-fewest+1)/2
}
