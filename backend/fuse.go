package backend

import "slices"

// fuse returns the op that replaces a and b, or nil: the inverse of [Linear.Lower].
func fuse(a, b Op) Op {
	l, ok := a.(*Linear)
	if !ok || l.Store.present() {
		return nil
	}
	fused := *l
	switch b := b.(type) {
	case *Activate:
		if b.X != l.Dst || l.HasEpilogue() {
			return nil
		}
		fused.Sum, fused.Dst, fused.Activation = l.Dst, b.Dst, b.Func
	case *Add:
		if !l.Residual.Absent() || l.Rotation.present() {
			return nil
		}
		switch l.Dst {
		case b.A:
			fused.Residual = b.B
		case b.B:
			fused.Residual = b.A
		default:
			return nil
		}
		fused.Sum, fused.Dst = l.Dst, b.Dst
	case *Rotary:
		if b.X != l.Dst || l.HasEpilogue() || b.Inverse {
			return nil
		}
		fused.Sum, fused.Dst = l.Dst, b.Dst
		fused.Rotation = LinearRotation{Angles: b.Angles, At: b.At, Heads: b.Heads, Pairing: b.Pairing}
	case *Store:
		from := b.X.Offset - l.Dst.Offset
		if from < 0 || from+b.X.Dim(-1) > l.Dst.Dim(-1) || b.X != l.Dst.Slice(-1, from, from+b.X.Dim(-1)) {
			return nil
		}
		fused.Store = LinearStore{Cache: b.Dst, At: b.At, Table: b.Table, From: from}
	default:
		return nil
	}
	return &fused
}

// Fuse replaces ops by fused ones, if b supports these and nothing else needs an
// intermediate result that is written no more: no other op reads it, and keep returns false
// for it. A Linear takes an activation, a residual, or first the one and then the other; or a
// rotation, a store, or first the one and then the other. These are the ops that follow it,
// but others may stand before a store. At last a Linear takes the norm before it.
func Fuse(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := make([]Op, 0, len(ops))
	taken := make([]bool, len(ops))
	for i, op := range ops {
		if taken[i] {
			continue
		}
		for {
			fused, j := fuseNext(b, op, i, ops, taken, keep)
			if fused == nil {
				break
			}
			op, taken[j] = fused, true
		}
		out = append(out, op)
	}
	return fuseNorms(b, out, keep)
}

// fuseNext returns op, the i-th, fused with one behind it, the j-th, or nil.
func fuseNext(b Backend, op Op, i int, ops []Op, taken []bool, keep func(Tensor) bool) (fused Op, j int) {
	if _, ok := op.(*Linear); !ok {
		return nil, 0
	}
	var between []Op
	for j := i + 1; j < len(ops) && len(between) <= storeAfter; j++ {
		if taken[j] {
			continue
		}
		_, store := ops[j].(*Store)
		if len(between) == 0 || store && movable(ops[j], between) {
			if fused := fuse(op, ops[j]); fused != nil && Check(fused) == nil && b.Supports(fused) && !scratchNeeded(fused, ops, keep) {
				return fused, j
			}
		}
		between = append(between, ops[j])
	}
	return nil, 0
}

// storeAfter is how many ops may stand between a product and the store of its result: keys
// are rotated and values computed before both are stored.
const storeAfter = 4

// movable reports whether op gives the same before the ops others as behind them: none
// of these writes what it accesses, or accesses what it writes.
func movable(op Op, others []Op) bool {
	return !slices.ContainsFunc(others, func(o Op) bool { return conflict(o, op) })
}

// conflict reports whether one of two ops writes what the other accesses.
func conflict(a, b Op) bool {
	found := false
	a.Operands(func(_ string, t *Tensor, access Access) {
		b.Operands(func(_ string, u *Tensor, other Access) {
			found = found || (access.Writes() || other.Writes()) && t.Overlaps(*u)
		})
	})
	return found
}

// scratchNeeded reports whether an op other than the fused one needs an intermediate
// result that the fused op does not write: one of its scratch operands.
func scratchNeeded(fused Op, ops []Op, keep func(Tensor) bool) bool {
	needed := false
	fused.Operands(func(_ string, t *Tensor, a Access) {
		if a == Scratch {
			needed = needed || keep(*t) || readers(ops, *t) > 1
		}
	})
	return needed
}

// readers counts the operands of ops that read memory of t.
func readers(ops []Op, t Tensor) int {
	n := 0
	for _, op := range ops {
		op.Operands(func(_ string, o *Tensor, a Access) {
			if (a == Read || a == Update) && o.Overlaps(t) {
				n++
			}
		})
	}
	return n
}

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
