package spirv

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Memory is what buffers are made of: words of 32 bits, each with what is known of it.
type Memory struct {
	words []uint32
	cells []cell
}

// NewMemory makes a memory of a number of bytes, a multiple of 4. It holds random words, and nothing counts as written.
func NewMemory(bytes int, seed uint64) *Memory {
	m := &Memory{make([]uint32, bytes/4), make([]cell, bytes/4)}
	rng := rand.New(rand.NewPCG(seed, 0))
	var some [1021]uint32 // a prime, so that rows of a power of two differ
	for i := range some {
		some[i] = rng.Uint32() | 1<<16
	}
	for at := 0; at < len(m.words); {
		at += copy(m.words[at:], some[:])
	}
	return m
}

// Size is the number of bytes.
func (m *Memory) Size() int { return 4 * len(m.words) }

// Read copies bytes of the memory to a host.
func (m *Memory) Read(to []byte, at int) {
	for i := 0; i+4 <= len(to); i += 4 {
		binary.LittleEndian.PutUint32(to[i:], m.words[(at+i)/4])
	}
}

// Binding is what a descriptor refers to: a range of bytes of a memory, at multiples of 4.
type Binding struct {
	Memory       *Memory
	Offset, Size int
	Texels       Format // of a texel buffer; 0 for a storage buffer
}

// Format is the format of a texel buffer.
type Format uint8

// Formats.
const (
	RGBA32F Format = 1 + iota
	RGBA16F
)

// Machine dispatches pipelines. It belongs to one goroutine.
type Machine struct {
	rng     *rand.Rand
	serial  uint32 // of the last workgroup or transfer
	ordered uint64 // what has a lower serial number comes before what is next
	reports []Report
	known   map[reportKey]int

	// Counters, for those who tell what was run.
	Dispatches, Workgroups int
}

// NewMachine makes a machine. The seed chooses the order of workgroups and subgroups.
func NewMachine(seed uint64) *Machine {
	return &Machine{rng: rand.New(rand.NewPCG(seed, 1)), ordered: 1, known: map[reportKey]int{}}
}

// Barrier orders all that was dispatched and transferred before what comes next.
func (m *Machine) Barrier() { m.ordered = uint64(m.serial) + 1 }

// transfers are the instructions that races of transfers are reported with.
var transfers = [...]*inst{reads: {word: -1}, writes: {word: -2}}

// Put is a transfer into a memory: the host's write, a fill, or the second half of a copy. what names it in reports.
func (m *Machine) Put(to *Memory, at int, words []uint32, what string) {
	m.serial++
	now := stamp(m.serial, 0, 0, 0)
	for i, w := range words {
		c := &to.cells[at/4+i]
		if with := c.races(writes, now, now, m.ordered, 1); with != "" {
			m.transferRace(transfers[writes], "%s at byte %d of a buffer, and a %s before it that no pipeline barrier orders", what, at+4*i, with)
		}
		to.words[at/4+i], c.write = w, now
	}
}

// Get is the first half of a copy.
func (m *Machine) Get(from *Memory, at, words int, what string) []uint32 {
	m.serial++
	now := stamp(m.serial, 0, 0, 0)
	for i := range words {
		c := &from.cells[at/4+i]
		if with := c.races(reads, now, now, m.ordered, 1); with != "" {
			m.transferRace(transfers[reads], "%s at byte %d of a buffer, and a %s before it that no pipeline barrier orders", what, at+4*i, with)
		}
		if c.read>>stampSerial < m.ordered {
			c.read = now
		} else {
			c.read = together(c.read, now, 1)
		}
	}
	return append([]uint32(nil), from.words[at/4:at/4+words]...)
}

// Host is a write by the host, which no command may overlap. Words that are as they were count as not touched.
func (m *Machine) Host(to *Memory, at int, bytes []byte) {
	m.serial++
	for i := 0; i+4 <= len(bytes); i += 4 {
		if w := binary.LittleEndian.Uint32(bytes[i:]); w != to.words[(at+i)/4] {
			to.words[(at+i)/4] = w
			to.cells[(at+i)/4] = cell{write: stamp(m.serial, 0, 0, 0)}
		}
	}
}

// Forget makes the contents of a range count as not written: memory that is used for something else.
func (m *Machine) Forget(of *Memory, at, bytes int) {
	for i := at / 4; i < (at+bytes)/4; i++ {
		of.words[i] = m.rng.Uint32() | 1<<16
		of.cells[i].write = 0
	}
}

func (m *Machine) transferRace(in *inst, format string, args ...any) {
	key := reportKey{Race, nil, in.word}
	if i, ok := m.known[key]; ok {
		m.reports[i].Times++
		return
	}
	m.known[key] = len(m.reports)
	m.reports = append(m.reports, Report{Kind: Race, Shader: "none", Instruction: "a transfer", Text: fmt.Sprintf(format, args...), Times: 1})
}

// buffer is a binding while a workgroup runs.
type buffer struct {
	words  []uint32
	cells  []cell
	format Format
}

// group is a workgroup that runs.
type group struct {
	machine *Machine
	p       *Pipeline
	count   [3]uint32 // workgroups of the dispatch
	id      [3]uint32
	serial  uint32
	phase   int // barriers that were passed
	seen    int // … that order buffers
	bind    [maxBindings]buffer
	shared  []uint32
	cells   []cell
	subs    []*sub
	order   []int
}

// Dispatch runs groups workgroups. bindings are those of descriptor set 0.
func (m *Machine) Dispatch(p *Pipeline, bindings []Binding, push []byte, groups [3]uint32) error {
	if len(bindings) > maxBindings || len(push) > maxPush || len(push)%4 != 0 {
		return fmt.Errorf("spirv: %s: %d bindings and %d bytes of push constants, expected at most %d and %d", p.o.Name, len(bindings), len(push), maxBindings, maxPush)
	}
	g := p.group
	if g == nil {
		g = newGroup(p)
		p.group = g
	}
	g.machine, g.count = m, groups
	clear(g.bind[:])
	for i, b := range bindings {
		if b.Memory == nil {
			continue
		}
		if b.Offset%4 != 0 || b.Size%4 != 0 || b.Offset < 0 || b.Size < 0 || b.Offset+b.Size > b.Memory.Size() {
			return fmt.Errorf("spirv: %s: binding %d has %d bytes from %d of a memory of %d", p.o.Name, i, b.Size, b.Offset, b.Memory.Size())
		}
		g.bind[i] = buffer{b.Memory.words[b.Offset/4:][:b.Size/4], b.Memory.cells[b.Offset/4:][:b.Size/4], b.Texels}
	}
	if err := g.prepare(push); err != nil {
		return err
	}
	n := int(groups[0]) * int(groups[1]) * int(groups[2])
	m.Dispatches, m.Workgroups = m.Dispatches+1, m.Workgroups+n
	if uint64(m.serial)+uint64(n) >= 1<<32-1 {
		return fmt.Errorf("spirv: too many workgroups for one machine")
	}
	for _, i := range m.rng.Perm(n) {
		x, y := uint32(i)%groups[0], uint32(i)/groups[0]
		g.run([3]uint32{x, y % groups[1], y / groups[1]})
	}
	return nil
}

func newGroup(p *Pipeline) *group {
	g := &group{p: p, shared: make([]uint32, p.shared), cells: make([]cell, p.shared)}
	n := int(p.size[0] * p.size[1] * p.size[2])
	for i := range p.subs {
		g.subs = append(g.subs, newSub(g, i, min(p.lanes, n-i*p.lanes)))
		g.order = append(g.order, i)
	}
	return g
}

// prepare sets what is the same in all workgroups of a dispatch.
func (g *group) prepare(push []byte) error {
	for word, r := range g.p.push {
		if r == nil {
			continue
		}
		if 4*word+4 > len(push) {
			return fmt.Errorf("spirv: %s: %d bytes of push constants, the shader reads byte %d", g.p.o.Name, len(push), 4*word)
		}
		for _, s := range g.subs {
			s.fill(r, binary.LittleEndian.Uint32(push[4*word:]))
		}
	}
	for key, r := range g.p.builtins {
		if key.builtin == builtinNumWorkgroups {
			for _, s := range g.subs {
				s.fill(r, g.count[key.component])
			}
		}
	}
	return nil
}

// run runs one workgroup.
func (g *group) run(id [3]uint32) {
	g.machine.serial++
	g.id, g.serial, g.phase, g.seen = id, g.machine.serial, 0, 0
	for _, s := range g.subs {
		s.begin()
	}
	for {
		g.machine.rng.Shuffle(len(g.order), func(i, j int) { g.order[i], g.order[j] = g.order[j], g.order[i] })
		var at *node // the barrier
		ended := false
		for _, i := range g.order {
			s := g.subs[i]
			s.run()
			switch {
			case s.at == nil:
				ended = true
			case at != nil && at.in != s.at.in:
				g.report(BarrierMissed, s.at.in, "%s waits here, and another subgroup at %s", s.invocation(0), at.in.name(g.p.m))
				return
			default:
				at = s.at
			}
		}
		if at == nil {
			return
		}
		if ended {
			g.report(BarrierMissed, at.in, "other subgroups of workgroup %d,%d,%d have ended", id[0], id[1], id[2])
			return
		}
		g.phase++
		if at.cases[1]&semanticsUniform != 0 {
			g.seen++
		}
		for _, s := range g.subs {
			s.passed = 0
			s.restamp()
		}
	}
}
