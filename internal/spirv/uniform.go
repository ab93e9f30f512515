package spirv

// inside reports whether loop l is k, or in it.
func inside(l, k *construct) bool {
	for ; l != nil; l = l.parent {
		if l == k {
			return true
		}
	}
	return k == nil
}

// diverge finds out which numbers may differ between the lanes that compute them together.
//
// What follows from equal numbers is equal. A phi differs where its operands do, and where a condition that differs
// has decided which way a lane came. What a loop computed last differs outside of it, if lanes leave it in different
// rounds; then lanes that have left must also keep what they had (masked).
func (c *compiler) diverge() {
	for changed := true; changed; {
		changed = false
		set := func(r *reg) {
			if !r.varying && !r.known {
				r.varying, changed = true, true
			}
		}
		for _, n := range c.nodes {
			for _, m := range n.micros {
				if m.varies() {
					for _, d := range m.dst {
						set(d)
					}
				}
				m.uses(func(r *reg) { c.escape(r, m.loop, set) })
			}
			for _, mv := range n.copies {
				if phiVaries(mv.to) {
					set(mv.to)
				}
				c.escape(mv.from, n.loop, set)
			}
			if n.cond != nil {
				c.escape(n.cond, n.loop, set)
			}
		}
	}
}

// escape handles a use of r in loop l, which may be outside of the loop that computes it.
func (c *compiler) escape(r *reg, l *construct, set func(*reg)) {
	for k := r.loop; k != nil && !inside(l, k); k = k.parent {
		if k.divergent() {
			r.masked = r.phi == nil
			set(r)
		}
	}
}

// divergent reports whether lanes may leave the loop in different rounds.
func (k *construct) divergent() bool {
	for _, guards := range k.exits {
		for _, g := range guards {
			if g.varying {
				return true
			}
		}
	}
	return false
}

func phiVaries(r *reg) bool {
	for _, e := range r.phi {
		if e.from.varying {
			return true
		}
		for _, g := range e.guards {
			if g.varying && !r.header {
				return true
			}
		}
	}
	return false
}

// uses calls f with each register that m reads.
func (m *micro) uses(f func(*reg)) {
	for _, r := range m.src {
		f(r)
	}
	if m.ptr != nil {
		for _, t := range m.ptr.terms {
			f(t.index)
		}
	}
}

// varies reports whether m's results may differ between lanes.
func (m *micro) varies() bool {
	switch m.op {
	case opLoad:
		if m.ptr.class == classFunction || m.ptr.class == classPrivate {
			return true
		}
	case opAtomicIAdd, opAtomicUMin, opAtomicUMax, opAtomicAnd, opAtomicOr, opGroupNonUniformElect, opGroupNonUniformShuffle, opGroupNonUniformXor:
		return true
	case opGroupNonUniformBroadcast, opGroupNonUniformBallot, opGroupNonUniformIAdd, opGroupNonUniformFAdd, opGroupNonUniformUMax, opGroupNonUniformFMax:
		return false
	}
	varies := false
	m.uses(func(r *reg) { varies = varies || r.varying })
	return varies
}

// once reports whether m computes one number for all lanes, from such numbers.
func (m *micro) once() bool {
	if len(m.dst) == 0 || m.varies() {
		return false
	}
	for _, d := range m.dst {
		if d.varying {
			return false
		}
	}
	return componentwise(m.op) || m.op == opVectorExtractDynamic || m.op == opLoad || m.op == opImageFetch
}

// widen marks uniform numbers that are stored for each lane, because instructions on all lanes read them. A load reads
// its indices in an active lane, which need not be the first one, also if it loads one number for all.
func (c *compiler) widen() {
	for _, n := range c.nodes {
		for _, m := range n.micros {
			if !m.once() || m.op == opLoad || m.op == opImageFetch {
				m.uses(func(r *reg) { r.wide = true })
			}
		}
		for _, mv := range n.copies {
			if mv.to.varying {
				mv.from.wide = true
			}
		}
	}
	// What is moved to a number that is stored for each lane need not be: a move spreads it.
}

// span is where a register is in use: from the first to the last position of the program.
type span struct{ from, to int }

// allocate gives registers their slots. Those that are never in use at the same time may share one: what a subgroup
// works on should fit in a processor's cache.
func (c *compiler) allocate() {
	loops, position := map[*construct]span{}, 0
	c.positions(c.program, loops, &position)
	spans, order := map[*reg]span{}, []*reg{}
	touch := func(r *reg, at int) {
		s, ok := spans[r]
		if !ok {
			s = span{at, at}
			order = append(order, r)
		}
		spans[r] = span{min(s.from, at), max(s.to, at)}
	}
	extend := func(r *reg, l, home *construct) { // over loops that r comes into, or out of
		for ; l != nil && !inside(home, l); l = l.parent {
			touch(r, loops[l].from)
			touch(r, loops[l].to)
		}
	}
	for _, n := range c.nodes {
		at := n.position
		for _, m := range n.micros {
			m.uses(func(r *reg) { touch(r, at); extend(r, m.loop, r.loop) })
			for _, d := range m.dst {
				touch(d, at)
			}
			at++
		}
		for _, mv := range n.copies {
			touch(mv.from, at)
			extend(mv.from, n.loop, mv.from.loop)
			touch(mv.to, at)
			extend(mv.to, n.loop, mv.to.loop)
			if mv.to.header {
				touch(mv.to, loops[mv.to.loop].from)
				touch(mv.to, loops[mv.to.loop].to)
			}
		}
		if n.cond != nil {
			touch(n.cond, at)
			extend(n.cond, n.loop, n.cond.loop)
		}
	}
	for _, r := range order { // what outlives a loop keeps its place in all rounds
		for k := r.loop; k != nil; k = k.parent {
			if s := loops[k]; spans[r].to > s.to {
				touch(r, s.from)
			}
		}
	}
	c.assign(order, spans)
}

// positions gives the nodes positions in the order in which they run.
func (c *compiler) positions(list []*node, loops map[*construct]span, at *int) {
	for _, n := range list {
		*at++
		n.position = *at
		*at += len(n.micros) + 1
		from := *at
		for _, part := range [][]*node{n.then, n.els, n.body, n.cont} {
			c.positions(part, loops, at)
		}
		if n.kind == nodeLoop {
			loops[n.of] = span{from, *at + 1}
			*at += 2
		}
	}
}

// assign gives slots by a linear scan (Poletto and Sarkar 1999). Constants and presets have their own.
func (c *compiler) assign(order []*reg, spans map[*reg]span) {
	fixed := func(r *reg) { r.slot = c.slots; c.slots++ }
	for _, r := range c.constants {
		r.slot = -1
		if _, ok := spans[r]; ok {
			fixed(r)
		}
	}
	for _, r := range c.builtins {
		fixed(r)
	}
	for _, r := range c.push {
		if r != nil {
			fixed(r)
		}
	}
	starts, ends := map[int][]*reg{}, map[int][]*reg{}
	last := 0
	for _, r := range order {
		if !r.known && !c.isPreset(r) {
			s := spans[r]
			starts[s.from], ends[s.to] = append(starts[s.from], r), append(ends[s.to], r)
			last = max(last, s.to)
		}
	}
	var free []int
	for at := 0; at <= last; at++ {
		for _, r := range starts[at] {
			if n := len(free); n > 0 {
				r.slot, free = free[n-1], free[:n-1]
			} else {
				fixed(r)
			}
		}
		for _, r := range ends[at] {
			free = append(free, r.slot)
		}
	}
	c.firstVar = c.slots
	c.slots += c.locals
}

func (c *compiler) isPreset(r *reg) bool {
	for _, p := range c.push {
		if p == r {
			return true
		}
	}
	for _, b := range c.builtins {
		if b == r {
			return true
		}
	}
	return false
}
