package nn

// Activations that only Backward reads may be computed again for it rather than
// kept: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost,
// arXiv:1604.06174. Memory for them is then that of one segment, and of what
// crosses the ends of segments; time is that of about a third of a step more.

import "caldera/backend"

// Segment ends a segment of the tape, such as a block of a model.
func (t *Tape) Segment() {
	if t.training.Recompute && len(t.losses) == 0 {
		t.segments = append(t.segments, len(t.ops))
	}
}

// recompute computes a segment once more, into results of its own but for those
// that are read behind it, and walks that.
func (b *backward) recompute(from int, ops []backend.Op, crossing map[*slot]bool) {
	fresh := map[*slot]*slot{}
	clones := backend.Freeze(ops)
	start := len(b.ops)
	for _, op := range clones {
		made := false
		op.Operands(func(_ string, x *Tensor, a backend.Access) {
			s, ok := x.Buf.(*slot)
			if !ok || s.persistent || crossing[s] {
				return
			}
			if a == backend.Write || a == backend.Scratch {
				if fresh[s] == nil {
					fresh[s] = &slot{size: s.size, shape: s.shape, block: s.block}
				}
				made = made || a == backend.Write
			}
			if f := fresh[s]; f != nil {
				x.Buf = f
			}
		})
		if made {
			b.add(op)
		}
	}
	middle := len(b.ops)
	b.walk(from, clones)
	b.prune(start, middle)
}

// prune takes those ops of [from, to) away whose results nothing reads.
func (t *Tape) prune(from, to int) {
	read := map[*slot]bool{}
	for _, op := range t.ops[to:] {
		reads(op, read)
	}
	first := to // ops [first, to) stay
	for i := to - 1; i >= from; i-- {
		used := false
		t.ops[i].Operands(func(_ string, x *Tensor, a backend.Access) {
			s, ok := x.Buf.(*slot)
			used = used || ok && a == backend.Write && read[s]
		})
		if used {
			reads(t.ops[i], read)
			first--
			t.ops[first] = t.ops[i]
		}
	}
	t.ops = append(t.ops[:from], t.ops[first:]...)
}

// reads adds to slots those that op reads.
func reads(op backend.Op, slots map[*slot]bool) {
	op.Operands(func(_ string, x *Tensor, a backend.Access) {
		if s, ok := x.Buf.(*slot); ok && (a == backend.Read || a == backend.Update) {
			slots[s] = true
		}
	})
}
