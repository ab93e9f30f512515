package spirv

import "slices"

// address computes where a pointer points to, in words of its memory, for some lanes: into s.at. It reports an index
// outside of an array, and then gives nowhere.
type address func(s *sub, lanes []int)

const nowhere = -1

func (c *compiler) address(m *micro) address {
	p, w := m.ptr, c.o.Lanes
	constant := int(p.offset)
	if p.class == classWorkgroup || p.class == classFunction || p.class == classPrivate {
		constant += int(p.base)
	}
	if len(p.terms) == 0 {
		return func(s *sub, lanes []int) {
			for _, i := range lanes {
				s.at[i] = constant
			}
		}
	}
	first, stride, limit := p.terms[0].index.slot*w, int(p.terms[0].stride), p.terms[0].limit
	if len(p.terms) == 1 && limit == 0 {
		return func(s *sub, lanes []int) {
			index := s.r[first : first+w]
			for _, i := range lanes {
				s.at[i] = constant + int(index[i])*stride
			}
		}
	}
	type place struct {
		from, stride int
		limit        uint32
	}
	var places []place
	for _, t := range p.terms {
		places = append(places, place{t.index.slot * w, int(t.stride), t.limit})
	}
	return func(s *sub, lanes []int) {
		for n, t := range places {
			index := s.r[t.from : t.from+w]
			for _, i := range lanes {
				at := constant
				if n > 0 {
					at = s.at[i]
				}
				switch k := index[i]; {
				case at == nowhere:
				case t.limit != 0 && k >= t.limit:
					s.g.report(OutOfBounds, m.in, "%s has index %d in an array of %d, %s", s.invocation(i), int32(k), t.limit, s.place(p, constant))
					at = nowhere
				default:
					at += int(k) * t.stride
				}
				s.at[i] = at
			}
		}
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
	inRange := func(s *sub, lane, at, k, n int) bool {
		switch {
		case at == nowhere:
			return false
		case at+k <= n:
			return true
		}
		s.g.report(OutOfBounds, in, "%s accesses %s, of which %d bytes are there", s.invocation(lane), s.place(p, at), 4*n)
		return false
	}
	switch m.op {
	case opLoad:
		once := m.once()
		return func(s *sub) {
			words, cells := memory(s)
			lanes, flag := s.active(), uint64(0)
			if once {
				if len(lanes) > 1 {
					flag = stampLanes
				}
				lanes = lanes[:1]
			}
			where(s, lanes)
			for _, lane := range lanes {
				at := s.at[lane]
				if !inRange(s, lane, at, len(dst), len(words)) {
					for _, d := range dst {
						s.r[d+lane] = 0
					}
					continue
				}
				for j, d := range dst {
					s.reads(&cells[at+j], shared, flag, lane, m, at+j)
					s.r[d+lane] = words[at+j]
				}
			}
			if once {
				s.spreadFrom(lanes[0], dst)
			}
		}
	case opStore:
		return func(s *sub) {
			words, cells := memory(s)
			lanes := s.active()
			where(s, lanes)
			for _, lane := range lanes {
				at := s.at[lane]
				if !inRange(s, lane, at, len(src), len(words)) {
					continue
				}
				for j, x := range src {
					s.writes(&cells[at+j], shared, lane, m, at+j)
					words[at+j] = s.r[x+lane]
				}
			}
		}
	}
	return func(s *sub) {
		words, cells := memory(s)
		lanes := slices.Clone(s.active())
		s.g.machine.rng.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
		where(s, lanes)
		for _, lane := range lanes {
			at := s.at[lane]
			if !inRange(s, lane, at, 1, len(words)) {
				continue
			}
			s.atomic(&cells[at], shared, lane, m, at)
			was, x := words[at], s.r[src[0]+lane]
			switch m.op {
			case opAtomicIAdd:
				words[at] = was + x
			case opAtomicUMin:
				words[at] = min(was, x)
			case opAtomicUMax:
				words[at] = max(was, x)
			case opAtomicAnd:
				words[at] = was & x
			default:
				words[at] = was | x
			}
			s.r[dst[0]+lane] = was
		}
	}
}

// spreadFrom gives all lanes what one of them has.
func (s *sub) spreadFrom(lane int, slots []int) {
	for _, d := range slots {
		r := s.r[d : d+s.width]
		v := r[lane]
		for i := range r {
			r[i] = v
		}
	}
}

// reads notes a read of a word. Mostly an earlier command has written it, and what is known of its readers is enough
// for a later write to be a race.
func (s *sub) reads(c *cell, shared bool, flag uint64, lane int, m *micro, at int) {
	ordered, now := s.g.machine.ordered, s.stamps.read+uint64(lane)|flag
	if shared {
		ordered, now = uint64(s.g.serial), s.stamps.shared+uint64(lane)|flag
	}
	if w := c.write >> stampSerial; w >= ordered || w == 0 || shared {
		s.seen(c, shared, ordered, now, flag, lane, m, at)
	}
	switch r := c.read; {
	case r>>stampSerial < ordered:
		c.read = now
	case r == now, r&stampGroups != 0, r&stampMany != 0 && (r^now)>>stampPhase == 0:
	default:
		c.read = together(r, now, s.width)
	}
}

// seen checks that a word that is read was written, and that a barrier stands between.
func (s *sub) seen(c *cell, shared bool, ordered, now, flag uint64, lane int, m *micro, at int) {
	if w := c.write >> stampSerial; w == 0 || shared && w < ordered {
		s.unwritten(m, lane, at)
		return
	}
	if !shared {
		now = s.stamps.write + uint64(lane) | flag
	}
	if c.write == now {
		return
	}
	if with := c.races(reads, now, now, ordered, s.width); with != "" {
		s.race(m, reads, with, c, lane, at)
	}
}

func (s *sub) unwritten(m *micro, lane int, at int) {
	s.g.report(Uninitialised, m.in, "%s reads %s, which nothing has written", s.invocation(lane), s.place(m.ptr, at))
}

// writes notes a write of a word.
func (s *sub) writes(c *cell, shared bool, lane int, m *micro, at int) {
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
func (s *sub) atomic(c *cell, shared bool, lane int, m *micro, at int) {
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

func (s *sub) race(m *micro, kind access, with string, c *cell, lane int, at int) {
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
	same := !slices.ContainsFunc(p.terms, func(t term) bool { return t.index.varying }) // all lanes access one place
	if m.op == opLoad {
		one := func(s *sub, lane, word int, r place) {
			switch written := s.filled[word].has(lane); {
			case r.partly == 0 && !written:
				s.g.report(Uninitialised, m.in, "%s reads %s, which it has not written", s.invocation(lane), s.place(p, word))
			case written && r.partly != 0:
				set(&s.partly[r.partly], lane)
			}
			s.r[r.at+lane] = s.r[base+word*w+lane]
		}
		if !same {
			return func(s *sub) {
				lanes := s.active()
				where(s, lanes)
				for j, r := range regs {
					for _, lane := range lanes {
						if at := s.at[lane]; at != nowhere {
							one(s, lane, at+j, r)
						}
					}
				}
			}
		}
		return func(s *sub) {
			lanes := s.active()
			where(s, lanes[:1])
			at := s.at[lanes[0]]
			if at == nowhere {
				return
			}
			for j, r := range regs {
				word := at + j
				if s.filled[word].and(s.m) != s.m {
					for _, lane := range lanes {
						one(s, lane, word, r)
					}
					continue
				}
				s.move(r.at, base+word*w)
				s.partly[r.partly] = s.partly[r.partly].or(s.m)
			}
		}
	}
	one := func(s *sub, lane, word int, r place) {
		s.r[base+word*w+lane] = s.r[r.at+lane]
		if r.partly == 0 || s.partly[r.partly].has(lane) {
			set(&s.filled[word], lane)
		}
	}
	if !same {
		return func(s *sub) {
			lanes := s.active()
			where(s, lanes)
			for j, r := range regs {
				for _, lane := range lanes {
					if at := s.at[lane]; at != nowhere {
						one(s, lane, at+j, r)
					}
				}
			}
		}
	}
	return func(s *sub) {
		lanes := s.active()
		where(s, lanes[:1])
		at := s.at[lanes[0]]
		if at == nowhere {
			return
		}
		for j, r := range regs {
			word := at + j
			if r.partly != 0 && s.partly[r.partly].and(s.m) != s.m {
				for _, lane := range lanes {
					one(s, lane, word, r)
				}
				continue
			}
			s.move(base+word*w, r.at)
			s.filled[word] = s.filled[word].or(s.m)
		}
	}
}

// move copies a number of each active lane.
func (s *sub) move(to, from int) {
	if s.m == s.all {
		copy(s.r[to:to+s.width], s.r[from:from+s.width])
		return
	}
	for _, lane := range s.active() {
		s.r[to+lane] = s.r[from+lane]
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
		k := 4
		if b.format == RGBA16F || b.format == RGBA16U {
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
			at := int(s.r[from+lane]) * k
			if at+k > len(b.words) || b.format == 0 {
				s.g.report(OutOfBounds, m.in, "%s fetches texel %d of %d of binding %d", s.invocation(lane), int32(s.r[from+lane]), len(b.words)/k, m.ptr.base)
				for _, d := range dst {
					s.r[d+lane] = 0
				}
				continue
			}
			// Blocks need not fill the last texel of 16 bytes in which they lie. What is behind them may be
			// read, but is a number that spoils every result that it comes into.
			filled := k
			for b.format == RGBA32U && filled > 1 && b.cells[at+filled-1].write>>stampSerial == 0 {
				filled--
			}
			for j := range filled {
				s.reads(&b.cells[at+j], false, flag, lane, m, at+j)
			}
			for j, d := range dst {
				switch bits := b.words[at+j*k/4]; b.format {
				case RGBA16F:
					s.r[d+lane] = half(bits >> (16 * (j & 1)) & 0xffff)
				case RGBA16U:
					s.r[d+lane] = bits >> (16 * (j & 1)) & 0xffff
				default:
					s.r[d+lane] = bits
				}
				if j >= filled && k == 4 {
					s.r[d+lane] = 0x7fff7fff // NaN, as f16 too
				}
			}
		}
		if once {
			s.spreadFrom(lanes[0], dst[:])
		}
	}
}
