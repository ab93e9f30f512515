package spirv

import "math/bits"

// mask is a set of lanes.
type mask struct{ low, high uint64 }

func (a mask) and(b mask) mask { return mask{a.low & b.low, a.high & b.high} }
func (a mask) not(b mask) mask { return mask{a.low &^ b.low, a.high &^ b.high} }
func (a mask) or(b mask) mask  { return mask{a.low | b.low, a.high | b.high} }
func (a mask) none() bool      { return a.low|a.high == 0 }

func (a mask) has(lane int) bool {
	if lane < 64 {
		return a.low>>lane&1 != 0
	}
	return a.high>>(lane-64)&1 != 0
}

func firstLanes(n int) mask {
	m := mask{low: ^uint64(0)}
	if n < 64 {
		return mask{low: 1<<n - 1}
	}
	m.high = 1<<(n-64) - 1
	return m
}

// sub is a subgroup that runs. What an instruction computes is in r, a number for each lane from its slot on.
type sub struct {
	g      *group
	index  int // of the subgroup
	first  int // invocation
	lanes  int // that exist
	width  int // of a subgroup
	r      []uint32
	m      mask // active lanes
	all    mask // lanes that exist
	masks  []mask
	pc     int
	waits  *node       // the barrier where it waits; nil: it has ended
	passed int         // subgroup barriers since the last one of the workgroup
	filled []mask      // of variables: which lanes have written a word
	partly []mask      // the same of numbers that were loaded with an array
	mats   [][]float32 // matrices of values
	vars   [][]float32 // … and of variables; nil: not written

	at     []int // addresses, by lane
	list   []int // lanes of listed
	listed mask

	stamps struct {
		shared, write, read uint64 // of lane 0; write: for what a write must be ordered with to be seen
	}
	same []uint32 // scratch
}

// step is an instruction, or a block of them, on all lanes of a subgroup.
type step func(s *sub)

func newSub(g *group, index, lanes int) *sub {
	p := g.p
	s := &sub{
		g: g, index: index, first: index * p.lanes, lanes: lanes, width: p.lanes, r: make([]uint32, p.slots*p.lanes), all: firstLanes(lanes),
		masks: make([]mask, p.masks), filled: make([]mask, p.locals), partly: make([]mask, p.partly+1), list: make([]int, 0, p.lanes), at: make([]int, p.lanes), same: make([]uint32, p.lanes),
	}
	for _, shape := range p.shapes {
		s.mats = append(s.mats, make([]float32, shape[0]*shape[1]))
	}
	for k, v := range p.splats {
		for i := range s.mats[k] {
			s.mats[k][i] = v
		}
	}
	s.vars = make([][]float32, p.matrices)
	for _, r := range p.known {
		s.fill(r, r.val)
	}
	for key, r := range p.builtins {
		for lane := range s.width {
			i := uint32(s.first + lane)
			x, y, z := i%p.size[0], i/p.size[0]%p.size[1], i/p.size[0]/p.size[1]
			v := uint32(0)
			switch key.builtin {
			case builtinLocalInvocationID:
				v = [3]uint32{x, y, z}[key.component]
			case builtinLocalInvocationIndex:
				v = i
			case builtinSubgroupLocalInvocationID:
				v = uint32(lane)
			case builtinSubgroupSize:
				v = uint32(p.lanes)
			case builtinNumSubgroups:
				v = uint32(p.subs)
			case builtinSubgroupID:
				v = uint32(index)
			}
			s.r[r.slot*s.width+lane] = v
		}
	}
	return s
}

// fill sets a register in all lanes.
func (s *sub) fill(r *reg, v uint32) {
	to := s.r[r.slot*s.width:][:s.width]
	for i := range to {
		to[i] = v
	}
}

// begin prepares for a workgroup.
func (s *sub) begin() {
	s.pc, s.m, s.waits, s.passed = 0, s.all, nil, 0
	clear(s.filled)
	clear(s.vars)
	for key, r := range s.g.p.builtins {
		switch key.builtin {
		case builtinWorkgroupID:
			s.fill(r, s.g.id[key.component])
		case builtinGlobalInvocationID:
			base := s.g.id[key.component] * s.g.p.size[key.component]
			local := [3]uint32{s.g.p.size[0], s.g.p.size[1], s.g.p.size[2]}
			to := s.r[r.slot*s.width:][:s.width]
			for lane := range to {
				i := uint32(s.first + lane)
				to[lane] = base + [3]uint32{i % local[0], i / local[0] % local[1], i / local[0] / local[1]}[key.component]
			}
		}
	}
	s.restamp()
}

// restamp is called after each barrier.
func (s *sub) restamp() {
	g := s.g
	s.stamps.shared = stamp(g.serial, g.phase, s.passed, s.first)
	s.stamps.read = s.stamps.shared
	s.stamps.write = stamp(g.serial, g.seen, 0, s.first)
}

// run runs up to the next barrier of the workgroup, or to the end.
func (s *sub) run() {
	s.waits = nil
	code := s.g.p.code
	for s.pc < len(code) && s.waits == nil {
		i := s.pc
		s.pc++
		code[i](s)
	}
}

// active lists the active lanes.
func (s *sub) active() []int {
	if s.m != s.listed || len(s.list) == 0 {
		s.listed, s.list = s.m, s.list[:0]
		for w := s.m.low; w != 0; w &= w - 1 {
			s.list = append(s.list, bits.TrailingZeros64(w))
		}
		for w := s.m.high; w != 0; w &= w - 1 {
			s.list = append(s.list, 64+bits.TrailingZeros64(w))
		}
	}
	return s.list
}
