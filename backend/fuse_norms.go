package backend

import "slices"

// fuseNorms moves norms into the products that read them, where these are all that does,
// and b supports each.
func fuseNorms(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := slices.Clone(ops)
	for i, op := range ops {
		norm, x, ok := normOf(op)
		if !ok || keep(norm.Normed) {
			continue
		}
		if fused, ok := normReaders(b, out, i, norm, x); ok {
			for j, f := range fused {
				out[j] = f
			}
			out[i] = nil
		}
	}
	return slices.DeleteFunc(out, func(op Op) bool { return op == nil })
}

// normReaders returns, by index, what the ops become that read norm, which is the i-th op.
// ok is false if one of them must read it as it is, or if computing it again does not pay.
func normReaders(b Backend, ops []Op, i int, norm LinearNorm, x Tensor) (fused map[int]Op, ok bool) {
	fused = map[int]Op{}
	changed := false // whether the norm would be another now
	for j := i + 1; j < len(ops); j++ {
		if ops[j] == nil {
			continue
		}
		reads, writes, later := 0, false, false
		ops[j].Operands(func(_ string, t *Tensor, a Access) {
			if t.Overlaps(norm.Normed) {
				if a == Read || a == Update {
					reads++
				}
				writes = writes || a.Writes()
			}
			later = later || a.Writes() && (t.Overlaps(x) || t.Overlaps(norm.Gamma) || t.Overlaps(norm.Beta))
		})
		if writes {
			return nil, false
		}
		if reads > 0 {
			l, ok := ops[j].(*Linear)
			if !ok || reads > 1 || changed || l.X != norm.Normed || l.Norm.present() {
				return nil, false
			}
			f := *l
			f.X, f.Norm = x, norm
			if Check(&f) != nil || !b.Supports(&f) {
				return nil, false
			}
			fused[j] = &f
		}
		changed = changed || later
	}
	before := slices.DeleteFunc(slices.Clone(ops[:i]), func(op Op) bool { return op == nil })
	return fused, len(fused) > 0 && readers(before, norm.Normed) == 0 && cheaperAgain(ops[i], len(fused))
}

// dispatch is about what a dispatch of its own, and the barrier before it, cost a GPU: 2 µs,
// in which it moves a megabyte or more.
const dispatch = 1 << 20

// cheaperAgain reports whether a norm costs less if each of its readers computes it again
// than as an op of its own, by the bytes that are moved, with caches all of them counted.
func cheaperAgain(norm Op, readers int) bool {
	_, apart := Cost(norm)
	n, x, _ := normOf(norm)
	again := int64(readers) * int64(x.Size()+n.Gamma.Size()+n.Beta.Size())
	return again <= apart+int64(readers*x.Size())+dispatch
}
