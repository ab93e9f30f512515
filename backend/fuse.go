package backend

// A fusion is a rewrite of two ops that follow one another into one: the
// inverse of that op's Lower. It returns nil where it does not apply.
type fusion func(a, b Op) Lowerer

var fusions = []fusion{
	func(a, b Op) Lowerer {
		l, ok := a.(*Linear)
		g, ok2 := b.(*GELU)
		if !ok || !ok2 || g.X != l.Dst {
			return nil
		}
		return &LinearGELU{g.Dst, l.X, l.W, l.Bias, l.Dst}
	},
	func(a, b Op) Lowerer {
		l, ok := a.(*Linear)
		s, ok2 := b.(*Add)
		if !ok || !ok2 {
			return nil
		}
		switch l.Dst {
		case s.A:
			return &LinearAdd{s.Dst, l.X, l.W, l.Bias, s.B, l.Dst}
		case s.B:
			return &LinearAdd{s.Dst, l.X, l.W, l.Bias, s.A, l.Dst}
		}
		return nil
	},
}

// Fuse joins neighbouring ops where b supports the result and nothing else
// needs what passes between them: no later op reads it and keep, which is
// asked about the tensor, says false.
func Fuse(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := make([]Op, 0, len(ops))
	for i := 0; i < len(ops); i++ {
		if i+1 < len(ops) {
			if op := fuse(b, ops, i, keep); op != nil {
				out = append(out, op)
				i++
				continue
			}
		}
		out = append(out, ops[i])
	}
	return out
}

// fuse is what ops[i] and ops[i+1] become as one, or nil.
func fuse(b Backend, ops []Op, i int, keep func(Tensor) bool) Op {
	for _, f := range fusions {
		op := f(ops[i], ops[i+1])
		if op == nil || Check(op) != nil || !b.Supports(op) {
			continue
		}
		needed := false
		op.Operands(func(_ string, t *Tensor, a Access) {
			if a == Scratch {
				needed = needed || keep(*t) || readers(ops, *t) > 1
			}
		})
		if !needed {
			return op
		}
	}
	return nil
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
