package spirv

import "math"

// micro makes the step of a micro-instruction.
func (c *compiler) micro(m *micro) step {
	switch m.op {
	case opLoad, opStore, opAtomicIAdd, opAtomicUMin, opAtomicUMax, opAtomicAnd, opAtomicOr:
		return c.memory(m)
	case opImageFetch:
		return c.fetch(m)
	case opGroupNonUniformElect, opGroupNonUniformBroadcast, opGroupNonUniformShuffle, opGroupNonUniformXor, opGroupNonUniformBallot,
		opGroupNonUniformIAdd, opGroupNonUniformFAdd, opGroupNonUniformUMax, opGroupNonUniformFMax:
		return c.subgroupStep(m)
	case opCooperativeMatrixLoad, opCooperativeMatrixStore, opCooperativeMatrixMulAdd, opMatrixAdd, opMatrixSub, opMatrixMul:
		return c.matrixStep(m)
	}
	w, n := c.o.Lanes, c.o.Lanes
	if m.once() {
		n = 1
	}
	var at [5]int
	for i, r := range m.src {
		at[i] = r.slot * w
	}
	d := m.dst[0]
	to := d.slot * w
	if d.masked {
		to = c.scratch() * w
	}
	var s step
	if m.op == opVectorExtractDynamic {
		s = c.extract(m, to, at, n)
	} else if s = fast(m.op, to, at, n); s == nil {
		s = slow(m.op, to, at, n)
	}
	if checked(m.op) && !m.harmless() {
		s = c.check(m, s, at, n)
	}
	switch {
	case d.masked:
		return then(s, keep(d.slot*w, to, w))
	case n == 1 && d.wide:
		return then(s, spread(to, w))
	}
	return s
}

// harmless reports whether the operation is defined for every first operand, since the others are constants.
func (m *micro) harmless() bool {
	var x [3]uint32
	for i, r := range m.src[1:] {
		if !r.known {
			return false
		}
		x[i+1] = r.val
	}
	return len(m.src) > 1 && undefined(m.op, 1<<31, x[1], x[2]) == ""
}

func then(a, b step) step { return func(s *sub) { a(s); b(s) } }

// keep moves what was computed to the lanes that are active.
func keep(to, from, w int) step {
	return func(s *sub) {
		d, x := s.r[to:to+w], s.r[from:from+w]
		for _, i := range s.active() {
			d[i] = x[i]
		}
	}
}

// spread stores a uniform number for each lane.
func spread(at, w int) step {
	return func(s *sub) {
		d := s.r[at : at+w]
		v := d[0]
		for i := range d {
			d[i] = v
		}
	}
}

// scratch is a slot for what is moved at once.
func (c *compiler) scratch() int {
	if c.scratchSlot == 0 {
		c.slots++
		c.scratchSlot = c.slots
	}
	return c.scratchSlot - 1
}

// check reports operands for which the operation is undefined, in active lanes.
func (c *compiler) check(m *micro, do step, at [5]int, n int) step {
	op, k := m.op, len(m.src)
	return func(s *sub) {
		one := func(i int) string {
			var x [3]uint32
			for j := range k {
				x[j] = s.r[at[j]+i]
			}
			what := undefined(op, x[0], x[1], x[2])
			if what != "" {
				s.g.report(Undefined, m.in, "%s %s (%#x, %#x)", s.invocation(i), what, x[0], x[1])
			}
			return what
		}
		if n == 1 {
			one(0)
		} else {
			for _, i := range s.active() {
				one(i)
			}
		}
		do(s)
	}
}

func (c *compiler) extract(m *micro, to int, at [5]int, n int) step {
	k := uint32(len(m.src) - 1)
	return func(s *sub) {
		for i := range n {
			which := s.r[at[0]+i]
			if which >= k {
				if s.m.has(i) {
					s.g.report(OutOfBounds, m.in, "%s takes component %d of %d", s.invocation(i), which, k)
				}
				which = 0
			}
			s.r[to+i] = s.r[at[1+which]+i]
		}
	}
}

// slow is any operation on numbers.
func slow(op uint16, to int, at [5]int, n int) step {
	if f, ok := unary[op]; ok {
		return func(s *sub) {
			d, a := s.r[to:to+n], s.r[at[0]:at[0]+n]
			for i := range d {
				d[i] = f(a[i])
			}
		}
	}
	if f, ok := binary2[op]; ok {
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[at[0]:at[0]+n], s.r[at[1]:at[1]+n]
			for i := range d {
				d[i] = f(a[i], b[i])
			}
		}
	}
	f := ternary[op]
	return func(s *sub) {
		d, a, b, c := s.r[to:to+n], s.r[at[0]:at[0]+n], s.r[at[1]:at[1]+n], s.r[at[2]:at[2]+n]
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

// fast has the operations that shaders use most, without a call for each number. It returns nil for others.
func fast(op uint16, to int, at [5]int, n int) step {
	x, y, z := at[0], at[1], at[2]
	switch op {
	case opIAdd:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] + b[i]
			}
		}
	case opISub:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] - b[i]
			}
		}
	case opIMul:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] * b[i]
			}
		}
	case opBitwiseAnd:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] & b[i]
			}
		}
	case opShiftLeftLogical:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] << (b[i] & 31)
			}
		}
	case opShiftRightLogical:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = a[i] >> (b[i] & 31)
			}
		}
	case opFAdd:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = math.Float32bits(math.Float32frombits(a[i]) + math.Float32frombits(b[i]))
			}
		}
	case opFSub:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = math.Float32bits(math.Float32frombits(a[i]) - math.Float32frombits(b[i]))
			}
		}
	case opFMul:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = math.Float32bits(math.Float32frombits(a[i]) * math.Float32frombits(b[i]))
			}
		}
	case extended + glslFma:
		return func(s *sub) {
			d, a, b, c := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n], s.r[z:z+n]
			for i := range d {
				p := float64(math.Float32frombits(a[i])) * float64(math.Float32frombits(b[i]))
				e := float64(math.Float32frombits(c[i]))
				sum := p + e
				v := float32(sum)
				if bits := math.Float64bits(sum); bits&0x1fffffff == 0x10000000 || bits>>52&0x7ff < 1023-126 {
					v = roundOdd(p, e, sum)
				}
				d[i] = math.Float32bits(v)
			}
		}
	case opULessThan:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = truth(a[i] < b[i])
			}
		}
	case opUGreaterThan:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = truth(a[i] > b[i])
			}
		}
	case extended + glslUMin:
		return func(s *sub) {
			d, a, b := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n]
			for i := range d {
				d[i] = min(a[i], b[i])
			}
		}
	case opSelect:
		return func(s *sub) {
			d, a, b, c := s.r[to:to+n], s.r[x:x+n], s.r[y:y+n], s.r[z:z+n]
			for i := range d {
				v := c[i]
				if a[i] != 0 {
					v = b[i]
				}
				d[i] = v
			}
		}
	}
	return nil
}
