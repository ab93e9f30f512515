package backend

import "slices"

// fuse returns the op that replaces a and b, or nil: the inverse of [Linear.Lower].
func fuse(a, b Op) Op {
	l, ok := a.(*Linear)
	if !ok || l.Store.present() || l.Gate.On {
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
		if fused.Residual.Overlaps(l.Dst) {
			return nil
		}
		fused.Sum, fused.Dst = l.Dst, b.Dst
	case *Rotary:
		if b.X != l.Dst || l.HasEpilogue() || b.Inverse {
			return nil
		}
		fused.Sum, fused.Dst = l.Dst, b.Dst
		fused.Rotation = LinearRotation{Angles: b.Angles, At: b.At, Heads: b.Heads, Pairing: b.Pairing}
	case *GatedActivation:
		gate := LinearGate{On: true, Func: b.Func, Limit: b.Limit, Shift: b.Shift}
		if l.HasEpilogue() || *gate.op(b.Dst, l.Dst) != *b {
			return nil
		}
		fused.Sum, fused.Dst, fused.Gate = l.Dst, b.Dst, gate
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

// Fuse replaces ops by a fused one if b computes that as one op, or as one behind another that rounds x, and if
// nothing else needs the intermediate results, which are then no longer written: no other op reads
// them, and keep returns false for them. A Linear takes an activation, a residual, or first the one and then the other; or a
// rotation, a store, or first the one and then the other. These are the ops that follow it,
// but others may stand before a rotation or a store. Then ops that do the same with
// neighbouring slices become one, and a Linear may take what follows both, such as a gated
// activation. At last a Linear takes what stands before it: the conversion of
// its inputs to blocks, and the norm before that.
func Fuse(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := fuseBeside(b, fuseFollowing(b, ops, keep))
	return fuseBefore(b, fuseFollowing(b, out, keep), keep)
}

// fuseFollowing has each Linear take what follows it.
func fuseFollowing(b Backend, ops []Op, keep func(Tensor) bool) []Op {
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
	return out
}

// fuseNext returns op, the i-th, fused with one behind it, the j-th, or nil.
func fuseNext(b Backend, op Op, i int, ops []Op, taken []bool, keep func(Tensor) bool) (fused Op, j int) {
	if _, ok := op.(*Linear); !ok {
		return nil, 0
	}
	var between []Op
	for j := i + 1; j < len(ops) && len(between) <= mostBetween; j++ {
		if taken[j] {
			continue
		}
		moves := false
		switch ops[j].(type) {
		case *Rotary, *Store:
			moves = true
		}
		if len(between) == 0 || moves && movable(ops[j], between) {
			if fused := fuse(op, ops[j]); fused != nil && Check(fused) == nil && takes(b, fused) && !scratchNeeded(fused, ops, keep) {
				return fused, j
			}
		}
		between = append(between, ops[j])
	}
	return nil, 0
}

// takes reports whether b computes op as one op, or as one behind another that rounds what it reads.
func takes(b Backend, op Op) bool {
	if b.Supports(op) {
		return true
	}
	l, ok := op.(*Linear)
	if !ok || l.Rounded.Absent() || l.InBlocks() || l.Norm.present() || l.Store.present() {
		return false
	}
	parts := l.Lower()
	return !slices.ContainsFunc(parts, func(op Op) bool { return !b.Supports(op) })
}

// mostBetween is how many ops may stand between two that become one: queries, keys and values
// are computed, and the first two of them rotated, before the last two are stored.
const mostBetween = 5

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

// readers counts the ops that read memory of t.
func readers(ops []Op, t Tensor) int {
	n := 0
	for _, op := range ops {
		reads := false
		op.Operands(func(_ string, o *Tensor, a Access) {
			reads = reads || (a == Read || a == Update) && o.Overlaps(t)
		})
		if reads {
			n++
		}
	}
	return n
}
