package backend

import "slices"

// before is an op that products can compute themselves, of what they multiply: a norm, or a
// conversion to blocks of activations.
type before struct {
	dst, x Tensor
	reads  []Tensor // beside x

	// take has a product compute it, whose X is dst. It returns false for one that cannot, for
	// something else comes between.
	take func(l *Linear) bool
}

// beforeOf returns what op is to the products that read it, if they can compute it.
func beforeOf(op Op) (b before, ok bool) {
	switch o := op.(type) {
	case *LayerNorm:
		return beforeNorm(LinearNorm{Gamma: o.Gamma, Beta: o.Beta, Epsilon: o.Epsilon, Normed: o.Dst}, o.X), true
	case *RMSNorm:
		return beforeNorm(LinearNorm{Gamma: o.Gamma, Epsilon: o.Epsilon, Normed: o.Dst}, o.X), true
	case *Copy:
		return before{dst: o.Dst, x: o.X, take: func(l *Linear) bool {
			if l.Norm.present() || !l.Rounded.Absent() {
				return false
			}
			l.X, l.Rounded = o.X, o.Dst
			return true
		}}, o.Dst.DType.Quantized() && o.Dst.DType.Is(Activations)
	}
	return before{}, false
}

func beforeNorm(n LinearNorm, x Tensor) before {
	return before{dst: n.Normed, x: x, reads: []Tensor{n.Gamma, n.Beta}, take: func(l *Linear) bool {
		if l.Norm.present() {
			return false
		}
		l.X, l.Norm = x, n
		return true
	}}
}

// fuseBefore moves norms and conversions to blocks into the products that read them, where
// these are all that does, and b supports each. Ops are visited from the last to
// the first: the conversion next to the product is taken before the norm that it reads.
func fuseBefore(b Backend, ops []Op, keep func(Tensor) bool) []Op {
	out := slices.Clone(ops)
	for i := len(out) - 1; i >= 0; i-- {
		op, ok := beforeOf(out[i])
		if !ok || keep(op.dst) {
			continue
		}
		if fused, ok := op.fusedReaders(b, out, i); ok {
			for j, f := range fused {
				out[j] = f
			}
			out[i] = nil
		}
	}
	return slices.DeleteFunc(out, func(op Op) bool { return op == nil })
}

// fusedReaders returns, by index, what the ops become that read p, which is the i-th op.
// ok is false if one of them must read it as it is, or if computing it again does not pay.
func (p *before) fusedReaders(b Backend, ops []Op, i int) (fused map[int]Op, ok bool) {
	fused = map[int]Op{}
	changed := false // whether an op so far has overwritten what op reads
	for j := i + 1; j < len(ops); j++ {
		if ops[j] == nil {
			continue
		}
		reads, writes, later := 0, false, false
		ops[j].Operands(func(_ string, t *Tensor, a Access) {
			if t.Overlaps(p.dst) {
				if a == Read || a == Update {
					reads++
				}
				writes = writes || a.Writes()
			}
			later = later || a.Writes() && (t.Overlaps(p.x) || slices.ContainsFunc(p.reads, t.Overlaps))
		})
		if writes {
			return nil, false
		}
		if reads > 0 {
			l, ok := ops[j].(*Linear)
			if !ok || reads > 1 || changed || l.X != p.dst {
				return nil, false
			}
			f := *l
			if !p.take(&f) || Check(&f) != nil || !b.Supports(&f) {
				return nil, false
			}
			fused[j] = &f
		}
		changed = changed || later
	}
	earlier := slices.DeleteFunc(slices.Clone(ops[:i]), func(op Op) bool { return op == nil })
	return fused, len(fused) > 0 && readers(earlier, p.dst) == 0 && p.cheaperAgain(ops[i], len(fused))
}

// dispatchBytes is about what a dispatch of its own, and the barrier before it, cost a GPU: 2 µs,
// in which it moves a megabyte or more.
const dispatchBytes = 1 << 20

// cheaperAgain reports whether an op costs less if each of its readers computes it again than
// as an op of its own, by the bytes that are moved, with caches all of them counted.
func (p *before) cheaperAgain(op Op, readers int) bool {
	_, apart := Cost(op)
	again := p.x.Size()
	for _, t := range p.reads {
		again += t.Size()
	}
	return int64(readers*again) <= apart+int64(readers*p.dst.Size())+dispatchBytes
}
