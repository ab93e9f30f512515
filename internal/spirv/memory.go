package spirv

import "slices"

// address computes where a pointer points to, in words of its memory, for a lane. It reports an index outside of an
// array, and then gives ok false.
type address func(s *sub, lane int) (at uint64, ok bool)

func (c *compiler) address(m *micro) address {
	p, w := m.ptr, c.o.Lanes
	constant := uint64(p.offset)
	if p.class == classWorkgroup || p.class == classFunction || p.class == classPrivate {
		constant += uint64(p.base)
	}
	switch {
	case len(p.terms) == 0:
		return func(*sub, int) (uint64, bool) { return constant, true }
	case len(p.terms) == 1 && p.terms[0].limit == 0:
		from, stride := p.terms[0].index.slot*w, uint64(p.terms[0].stride)
		return func(s *sub, lane int) (uint64, bool) { return constant + uint64(s.r[from+lane])*stride, true }
	}
	type place struct {
		from   int
		stride uint64
		limit  uint32
	}
	var places []place
	for _, t := range p.terms {
		places = append(places, place{t.index.slot * w, uint64(t.stride), t.limit})
	}
	return func(s *sub, lane int) (uint64, bool) {
		at := constant
		for _, t := range places {
			i := s.r[t.from+lane]
			if t.limit != 0 && i >= t.limit {
				s.g.report(OutOfBounds, m.in, "%s has index %d in an array of %d, %s", s.invocation(lane), int32(i), t.limit, s.place(p, constant))
				return 0, false
			}
			at += uint64(i) * t.stride
		}
		return at, true
	}
}

// memory makes the step of a load, a store or an atomic operation.
func (c *compiler) memory(m *micro) step {
	p := m.ptr
	if p == nil {
		panic(fault{m.in.name(c.m) + " through what is no pointer"})
	}
	if p.typ.kind == kindMatrix {
		return c.moveMatrix(m)
	}
	switch p.class {
	case classFunction, classPrivate:
		return c.local(m)
	case classStorageBuffer:
		if m.op == opStore && p.noWrite || m.op == opLoad && p.noRead {
			panic(fault{m.in.name(c.m) + " contradicts the decoration of its buffer"})
		}
	case classWorkgroup:
	default:
		panic(fault{m.in.name(c.m) + " in a storage class that cannot be accessed so"})
	}
	where, w := c.address(m), c.o.Lanes
	var dst, src []int
	masked := false
	for _, r := range m.dst {
		dst = append(dst, r.slot*w)
		masked = masked || r.masked
	}
	for _, r := range m.src {
		src = append(src, r.slot*w)
	}
	shared, base, in := p.class == classWorkgroup, p.base, m.in
	memory := func(s *sub) ([]uint32, []cell) {
		if shared {
			return s.g.shared, s.g.cells
		}
		b := &s.g.bind[base]
		return b.words, b.cells
	}
	inRange := func(s *sub, lane int, at uint64, k, n int) bool {
		if at+uint64(k) <= uint64(n) {
			return true
		}
		s.g.report(OutOfBounds, in, "%s accesses %s, of which %d bytes are there", s.invocation(lane), s.place(p, at), 4*n)
		return false
	}
	switch m.op {
	case opLoad:
		once, wide := m.once(), m.dst[0].wide
		return func(s *sub) {
			words, cells := memory(s)
			lanes, flag := s.active(), uint64(0)
			if once {
				if len(lanes) > 1 {
					flag = stampLanes
				}
				lanes = lanes[:1]
			}
			for _, lane := range lanes {
				at, ok := where(s, lane)
				if !ok || !inRange(s, lane, at, len(dst), len(words)) {
					for _, d := range dst {
						s.r[d+lane] = 0
					}
					continue
				}
				for j, d := range dst {
					s.reads(&cells[at+uint64(j)], shared, flag, lane, m, at+uint64(j))
					s.r[d+lane] = words[at+uint64(j)]
				}
			}
			if once {
				first := lanes[0]
				for j, d := range dst {
					v := s.r[d+first]
					s.r[d] = v
					if wide || m.dst[j].wide {
						r := s.r[d : d+w]
						for i := range r {
							r[i] = v
						}
					}
				}
			}
		}
	case opStore:
		return func(s *sub) {
			words, cells := memory(s)
			for _, lane := range s.active() {
				at, ok := where(s, lane)
				if !ok || !inRange(s, lane, at, len(src), len(words)) {
					continue
				}
				for j, x := range src {
					s.writes(&cells[at+uint64(j)], shared, lane, m, at+uint64(j))
					words[at+uint64(j)] = s.r[x+lane]
				}
			}
		}
	}
	return func(s *sub) {
		words, cells := memory(s)
		lanes := slices.Clone(s.active())
		s.g.machine.rng.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
		for _, lane := range lanes {
			at, ok := where(s, lane)
			if !ok || !inRange(s, lane, at, 1, len(words)) {
				continue
			}
			s.atomic(&cells[at], shared, lane, m, at)
			was, x := words[at], s.r[src[0]+lane]
			switch m.op {
			case opAtomicIAdd:
				words[at] = was + x
			case opAtomicAnd:
				words[at] = was & x
			default:
				words[at] = was | x
			}
			s.r[dst[0]+lane] = was
		}
	}
}

// reads notes a read of a word.
func (s *sub) reads(c *cell, shared bool, flag uint64, lane int, m *micro, at uint64) {
	ordered, now := s.g.machine.ordered, s.stamps.read+uint64(lane)|flag
	if shared {
		ordered, now = uint64(s.g.serial), s.stamps.shared+uint64(lane)|flag
		if c.write>>stampSerial < ordered {
			s.unwritten(m, lane, at)
		}
	}
	if w := c.write >> stampSerial; w >= ordered || w == 0 {
		if w == 0 {
			s.unwritten(m, lane, at)
		}
		seen := s.stamps.write + uint64(lane) | flag
		if shared {
			seen = now
		}
		if with := c.races(reads, seen, seen, ordered, s.width); with != "" {
			s.race(m, reads, with, c, lane, at)
		}
	}
	switch {
	case c.read == now:
	case c.read>>stampSerial < ordered:
		c.read = now
	default:
		c.read = together(c.read, now, s.width)
	}
}

func (s *sub) unwritten(m *micro, lane int, at uint64) {
	s.g.report(Uninitialised, m.in, "%s reads %s, which nothing has written", s.invocation(lane), s.place(m.ptr, at))
}

// writes notes a write of a word.
func (s *sub) writes(c *cell, shared bool, lane int, m *micro, at uint64) {
	ordered, seen, first := s.g.machine.ordered, s.stamps.write+uint64(lane), s.stamps.read+uint64(lane)
	if shared {
		ordered = uint64(s.g.serial)
		seen = s.stamps.shared + uint64(lane)
		first = seen
	}
	if c.write>>stampSerial >= ordered && c.write != seen || c.read>>stampSerial >= ordered {
		if with := c.races(writes, seen, first, ordered, s.width); with != "" {
			s.race(m, writes, with, c, lane, at)
		}
	}
	c.write = seen
}

// atomic notes an atomic operation on a word.
func (s *sub) atomic(c *cell, shared bool, lane int, m *micro, at uint64) {
	ordered, now := s.g.machine.ordered, s.stamps.write+uint64(lane)|stampAtomic
	if shared {
		ordered, now = uint64(s.g.serial), s.stamps.shared+uint64(lane)|stampAtomic
	}
	if c.write == 0 || shared && c.write>>stampSerial < ordered {
		s.unwritten(m, lane, at)
	}
	if with := c.races(atomics, now, now, ordered, s.width); with != "" {
		s.race(m, atomics, with, c, lane, at)
	}
	c.write = now
}

func (s *sub) race(m *micro, kind access, with string, c *cell, lane int, at uint64) {
	other := c.write
	if with == accessNames[reads] {
		other = c.read
	}
	who := "another workgroup or command"
	if other>>stampSerial == uint64(s.g.serial) && other&stampGroups == 0 {
		who = s.invocation(int(other&stampWho) - s.first)
	}
	s.g.report(Race, m.in, "%s: %s by %s, and a %s by %s that no barrier orders", s.place(m.ptr, at), accessNames[kind], s.invocation(lane), with, who)
}

// local makes the step of a load or store of a variable of each invocation.
func (c *compiler) local(m *micro) step {
	p, w, base := m.ptr, c.o.Lanes, c.firstVar*c.o.Lanes
	where := c.address(m)
	type place struct{ at, partly int }
	var regs []place
	for _, r := range slices.Concat(m.dst, m.src) {
		regs = append(regs, place{r.slot * w, r.partly})
	}
	set := func(to *mask, lane int) {
		if lane < 64 {
			to.low |= 1 << lane
		} else {
			to.high |= 1 << (lane - 64)
		}
	}
	if m.op == opLoad {
		return func(s *sub) {
			for _, lane := range s.active() {
				at, ok := where(s, lane)
				if !ok {
					continue
				}
				for j, r := range regs {
					word := int(at) + j
					switch written := s.filled[word].has(lane); {
					case r.partly == 0 && !written:
						s.g.report(Uninitialised, m.in, "%s reads %s, which it has not written", s.invocation(lane), s.place(p, uint64(word)))
					case written:
						set(&s.partly[r.partly], lane)
					}
					s.r[r.at+lane] = s.r[base+word*w+lane]
				}
			}
		}
	}
	return func(s *sub) {
		for _, lane := range s.active() {
			at, ok := where(s, lane)
			if !ok {
				continue
			}
			for j, r := range regs {
				word := int(at) + j
				s.r[base+word*w+lane] = s.r[r.at+lane]
				if r.partly == 0 || s.partly[r.partly].has(lane) {
					set(&s.filled[word], lane)
				}
			}
		}
	}
}

// fetch makes the step of a read through the texture unit.
func (c *compiler) fetch(m *micro) step {
	w, once := c.o.Lanes, m.once()
	from := m.src[0].slot * w
	var dst [4]int
	for i, r := range m.dst {
		dst[i] = r.slot * w
	}
	return func(s *sub) {
		b := &s.g.bind[m.ptr.base]
		k := uint64(4)
		if b.format == RGBA16F {
			k = 2
		}
		lanes, flag := s.active(), uint64(0)
		if once {
			if len(lanes) > 1 {
				flag = stampLanes
			}
			lanes = lanes[:1]
		}
		for _, lane := range lanes {
			at := uint64(s.r[from+lane]) * k
			if at+k > uint64(len(b.words)) || b.format == 0 {
				s.g.report(OutOfBounds, m.in, "%s fetches texel %d of %d of binding %d", s.invocation(lane), int32(s.r[from+lane]), len(b.words)/int(k), m.ptr.base)
				for _, d := range dst {
					s.r[d+lane] = 0
				}
				continue
			}
			for j := range k {
				s.reads(&b.cells[at+j], false, flag, lane, m, at+j)
			}
			for j, d := range dst {
				if b.format == RGBA16F {
					s.r[d+lane] = half(b.words[at+uint64(j)/2] >> (16 * (j & 1)) & 0xffff)
				} else {
					s.r[d+lane] = b.words[at+uint64(j)]
				}
			}
		}
		if once {
			first := lanes[0]
			for _, d := range dst {
				v := s.r[d+first]
				r := s.r[d : d+w]
				for i := range r {
					r[i] = v
				}
			}
		}
	}
}
