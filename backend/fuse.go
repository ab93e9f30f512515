package backend

// fuse is a and b as one op, or nil: the inverse of [Linear.Lower].
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

// Fuse joins neighbouring ops where b supports the result and nothing else
// needs what passes between them: no later op reads it and keep, which is
// asked about the tensor, says false. A product takes an activation, a
// residual, or first the one and then the other.
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

// scratchNeeded reports whether what a fused op no longer writes, and takes for
// scratch, is needed by others than the op that it was fused of.
func scratchNeeded(fused Op, ops []Op, keep func(Tensor) bool) bool {
	needed := false
	fused.Operands(func(_ string, t *Tensor, a Access) {
		if a == Scratch {
			needed = needed || keep(*t) || readers(ops, *t) > 1
		}
	})
	return needed
}

// readers is the number of operands of ops that read memory of t.
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
