package backend

// fuse returns the op that replaces a and b, or nil: the inverse of [Linear.Lower].
func fuse(a, b Op) Op {
	l, ok := a.(*Linear)
	if !ok || !l.Residual.Absent() {
		return nil
	}
	fused := *l
	fused.Sum = l.Dst
	switch b := b.(type) {
	case *Activate:
		if b.X != l.Dst || l.Activation != NoActivation {
			return nil
		}
		fused.Dst, fused.Activation = b.Dst, b.Func
	case *Add:
		switch l.Dst {
		case b.A:
			fused.Residual = b.B
		case b.B:
			fused.Residual = b.A
		default:
			return nil
		}
		fused.Dst = b.Dst
	default:
		return nil
	}
	return &fused
}

// Fuse replaces consecutive ops by fused ones, if b supports these and nothing else
// needs the intermediate result: no other op reads it, and keep returns false for it. A
// Linear takes an activation, a residual, or first the one and then the other.
func Fuse(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := make([]Op, 0, len(ops))
	for i := 0; i < len(ops); i++ {
		op := ops[i]
		for i+1 < len(ops) {
			fused := fuse(op, ops[i+1])
			if fused == nil || Check(fused) != nil || !b.Supports(fused) || scratchNeeded(fused, ops, keep) {
				break
			}
			op = fused
			i++
		}
		out = append(out, op)
	}
	return out
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
