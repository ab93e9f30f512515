package spirv

import "slices"

// sequence emits nodes. Behind it no lane is active: each has left for a construct around it, or has ended.
func (c *compiler) sequence(list []*node) {
	var ends []*int // jumps to the end
	for _, n := range list {
		switch n.kind {
		case nodeBlock:
			c.emitBlock(n)
		case nodeEdge:
			if s := c.moves(n); s != nil {
				c.emit(s)
			}
		case nodeBarrier:
			c.barrier(n)
		case nodeBranch:
			c.emitBranch(n)
		case nodeScope:
			k := n.of
			k.left = c.newMask()
			left := k.left
			c.emit(func(s *sub) { s.masks[left] = mask{} })
			c.sequence(n.body)
			ends = append(ends, c.resume(left))
		case nodeLoop:
			ends = append(ends, c.emitLoop(n))
		case nodeLeave:
			to := n.of.left
			c.emit(func(s *sub) { s.masks[to] = s.masks[to].or(s.m); s.m = mask{} })
		case nodeContinue:
			to := n.of.again
			c.emit(func(s *sub) { s.masks[to] = s.masks[to].or(s.m); s.m = mask{} })
		case nodeBack:
			to := n.of.back
			c.emit(func(s *sub) { s.masks[to] = s.masks[to].or(s.m); s.m = mask{} })
		case nodeReturn:
			c.emit(func(s *sub) { s.m = mask{} })
		}
	}
	for _, e := range ends {
		*e = len(c.code)
	}
}

func (c *compiler) emit(s step) { c.code = append(c.code, s) }

func (c *compiler) newMask() int { c.masks++; return c.masks - 1 }

// resume makes the lanes active that have left a construct, or jumps to the end of the sequence where there are none.
func (c *compiler) resume(left int) *int {
	end := new(int)
	c.emit(func(s *sub) {
		if s.m = s.masks[left]; s.m.none() {
			s.pc = *end
		}
	})
	return end
}

func (c *compiler) emitLoop(n *node) *int {
	k := n.of
	k.left, k.again, k.back = c.newMask(), c.newMask(), c.newMask()
	left, again, back := k.left, k.again, k.back
	c.emit(func(s *sub) { s.masks[left], s.masks[again], s.masks[back] = mask{}, mask{}, mask{} })
	head, out := len(c.code), new(int)
	c.sequence(n.body)
	if n.cont != nil {
		next := new(int)
		c.emit(func(s *sub) {
			s.m, s.masks[again] = s.masks[again], mask{}
			if s.m.none() {
				s.pc = *next
			}
		})
		c.sequence(n.cont)
		*next = len(c.code)
	}
	c.emit(func(s *sub) {
		s.m, s.masks[back] = s.masks[back], mask{}
		if !s.m.none() {
			s.pc = head
		}
	})
	*out = len(c.code)
	return c.resume(left)
}

func (c *compiler) emitBranch(n *node) {
	at, w, cases := n.cond.slot*c.o.Lanes, c.o.Lanes, n.cases
	is := func(v uint32) bool { return v != 0 }
	if cases != nil {
		is = func(v uint32) bool {
			for _, x := range cases {
				if v == x {
					return true
				}
			}
			return false
		}
	}
	els, end := new(int), new(int)
	if !n.cond.varying {
		c.emit(func(s *sub) {
			if !is(s.r[at]) {
				s.pc = *els
			}
		})
		c.sequence(n.then)
		c.emit(func(s *sub) { s.pc = *end })
		*els = len(c.code)
		c.sequence(n.els)
		*end = len(c.code)
		return
	}
	other := c.newMask()
	c.emit(func(s *sub) {
		var yes mask
		for i, v := range s.r[at : at+w] {
			if is(v) {
				if i < 64 {
					yes.low |= 1 << i
				} else {
					yes.high |= 1 << (i - 64)
				}
			}
		}
		s.masks[other] = s.m.not(yes)
		if s.m = s.m.and(yes); s.m.none() {
			s.pc = *els
		}
	})
	c.sequence(n.then)
	*els = len(c.code)
	c.emit(func(s *sub) {
		if s.m = s.masks[other]; s.m.none() {
			s.pc = *end
		}
	})
	c.sequence(n.els)
	*end = len(c.code)
}

func (c *compiler) emitBlock(n *node) {
	var list []step
	for _, m := range n.micros {
		list = append(list, c.micro(m))
	}
	switch len(list) {
	case 0:
	case 1:
		c.emit(list[0])
	default:
		c.emit(func(s *sub) {
			for _, f := range list {
				f(s)
			}
		})
	}
}

// barrier emits a control barrier.
func (c *compiler) barrier(n *node) {
	if n.cases[0] == scopeSubgroup {
		orders := n.cases[1]&semanticsWorkgroup != 0
		c.emit(func(s *sub) {
			if s.m != s.all {
				s.g.report(Divergent, n.in, "%s is not here, %s is", s.invocation(s.absent()), s.invocation(s.active()[0]))
			}
			s.g.p.passed[n.in.word] = true
			if orders {
				s.passed++
				s.restamp()
			}
		})
		return
	}
	c.emit(func(s *sub) {
		if s.m != s.all {
			s.g.report(BarrierMissed, n.in, "%s is not here, %s is", s.invocation(s.absent()), s.invocation(s.active()[0]))
		}
		s.waits = n
	})
}

// absent is the first lane that is not active.
func (s *sub) absent() int {
	for lane := range s.lanes {
		if !s.m.has(lane) {
			return lane
		}
	}
	return 0
}

// moves emits the moves on an edge. They happen at once: a phi may read another one of the same block.
func (c *compiler) moves(n *node) step {
	w := c.o.Lanes
	var pairs []pair
	overlap := false
	for _, mv := range n.copies {
		if mv.to == mv.from {
			continue
		}
		pairs = append(pairs, pair{mv.to.slot * w, mv.from.slot * w, mv.to.varying, mv.to.wide})
	}
	for i, p := range pairs {
		for _, q := range pairs[:i] {
			overlap = overlap || q.to == p.from
		}
	}
	if len(n.matrices) > 0 {
		numbers := c.numberMoves(pairs, overlap)
		return func(s *sub) {
			if numbers != nil {
				numbers(s)
			}
			saved := make([][]float32, len(n.matrices))
			for i, mv := range n.matrices {
				saved[i] = slices.Clone(s.mats[mv[1]])
			}
			for i, mv := range n.matrices {
				copy(s.mats[mv[0]], saved[i])
			}
		}
	}
	return c.numberMoves(pairs, overlap)
}

// pair is a number that is moved on an edge, by the places of registers.
type pair struct {
	to, from int
	varying  bool // one of each lane, else one for all
	spread   bool // … which is stored for each lane
}

// numberMoves emits the moves of numbers. overlap tells that one reads what another writes.
func (c *compiler) numberMoves(pairs []pair, overlap bool) step {
	if len(pairs) == 0 {
		return nil
	}
	w := c.o.Lanes
	one := func(s *sub, p pair, from []uint32) {
		to := s.r[p.to : p.to+w]
		switch {
		case !p.varying && !p.spread:
			to[0] = from[0]
		case !p.varying:
			for i := range to {
				to[i] = from[0]
			}
		case s.m == s.all:
			copy(to, from)
		default:
			for _, i := range s.active() {
				to[i] = from[i]
			}
		}
	}
	if !overlap {
		return func(s *sub) {
			for _, p := range pairs {
				one(s, p, s.r[p.from:p.from+w])
			}
		}
	}
	return func(s *sub) {
		saved := make([]uint32, 0, 8*w)
		for _, p := range pairs {
			saved = append(saved, s.r[p.from:p.from+w]...)
		}
		for i, p := range pairs {
			one(s, p, saved[i*w:(i+1)*w])
		}
	}
}
