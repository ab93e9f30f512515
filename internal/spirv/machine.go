package spirv

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
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

// Read copies bytes of the memory to the host.
func (m *Memory) Read(to []byte, at int) { m.bytes(to, at) }

func (m *Memory) bytes(to []byte, at int) {
	i := 0
	if at%4 == 0 {
		for ; i+4 <= len(to); i += 4 {
			binary.LittleEndian.PutUint32(to[i:], m.words[(at+i)/4])
		}
	}
	for ; i < len(to); i++ {
		to[i] = byte(m.words[(at+i)/4] >> (8 * ((at + i) % 4)))
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
	RGBA32U
	RGBA16U
)

// Machine dispatches pipelines. It belongs to one goroutine.
type Machine struct {
	rng     *rand.Rand
	serial  uint32 // of the last workgroup or transfer
	ordered uint64 // what has a lower serial number comes before what is next
	since   Kinds  // of commands since the last barrier
	reports []Report
	known   map[reportKey]int

	// Counters, for those who tell what was run.
	Dispatches, Workgroups int
}

// NewMachine makes a machine. The seed chooses the order of workgroups and subgroups.
func NewMachine(seed uint64) *Machine {
	return &Machine{rng: rand.New(rand.NewPCG(seed, 1)), serial: 1, ordered: 2, known: map[reportKey]int{}}
}

// Part is a copy of a range, as memory of its own. What was written there counts as written by the host.
func (m *Memory) Part(at, size int) *Memory {
	p := &Memory{append([]uint32(nil), m.words[at/4:(at+size)/4]...), make([]cell, size/4)}
	for i := range p.cells {
		if m.cells[at/4+i].write != 0 {
			p.cells[i].write = stamp(1, 0, 0, 0)
		}
	}
	return p
}

// Equal reports whether two memories hold the same words.
func (m *Memory) Equal(o *Memory) bool { return slices.Equal(m.words, o.words) }

// Kinds are kinds of commands that a pipeline barrier waits for.
type Kinds uint8

// Kinds of commands.
const (
	Shaders Kinds = 1 << iota
	Transfers
)

// Serial numbers workgroups and transfers, in the order in which they ran.
type Serial uint32

// Serial is the number of the last one.
func (m *Machine) Serial() Serial { return Serial(m.serial) }

// Barrier orders all commands of these kinds before what comes next. Commands of the other kind must be none since
// the last barrier, or nothing is ordered: a pipeline barrier that misses one has no other use.
func (m *Machine) Barrier(of Kinds) {
	if m.since&^of == 0 {
		m.ordered, m.since = uint64(m.serial)+1, 0
	}
}

// transfer is the instruction that races of transfers are reported with.
var transfer = &inst{word: -1}

// Put is a transfer into a memory: an update, a fill, or the second half of a copy. what names it in reports. Offset
// and length are multiples of 4.
func (m *Machine) Put(to *Memory, at int, data []byte, what string) error {
	if at < 0 || at%4 != 0 || len(data)%4 != 0 || at+len(data) > to.Size() {
		return fmt.Errorf("spirv: %s of %d bytes at %d of a memory of %d", what, len(data), at, to.Size())
	}
	m.serial++
	m.since |= Transfers
	now := stamp(m.serial, 0, 0, 0)
	for i := 0; i < len(data); i += 4 {
		c := &to.cells[(at+i)/4]
		if with := c.overwritten(now, m.ordered); with != "" {
			m.transferRace("%s writes byte %d of a buffer: no pipeline barrier orders it after a %s", what, at+i, with)
		}
		to.words[(at+i)/4], c.write = binary.LittleEndian.Uint32(data[i:]), now
	}
	return nil
}

// Copy copies bytes. What was not written before counts as not written behind it.
func (m *Machine) Copy(to *Memory, at int, from *Memory, start, size int) error {
	if start < 0 || size < 0 || start+size > from.Size() || at < 0 || at+size > to.Size() {
		return fmt.Errorf("spirv: a copy of %d bytes from %d of %d to %d of %d", size, start, from.Size(), at, to.Size())
	}
	data := make([]byte, size)
	m.serial++
	m.since |= Transfers
	now := stamp(m.serial, 0, 0, 0)
	for i := (start + 3) / 4; i < (start+size)/4; i++ { // of a word that is copied in part, others may copy the rest
		c := &from.cells[i]
		if with := c.races(reads, now, now, m.ordered, 1); with != "" {
			m.transferRace("a copy reads byte %d of a buffer: no pipeline barrier orders it after a %s", 4*i, with)
		}
		if c.read>>stampSerial < m.ordered {
			c.read = now
		} else {
			c.read = together(c.read, now, 1)
		}
	}
	from.bytes(data, start)
	now = stamp(m.serial, 0, 0, 0)
	for i := at / 4; i < (at+size+3)/4; i++ {
		c := &to.cells[i]
		whole := 4*i >= at && 4*i+4 <= at+size
		if with := c.overwritten(now, m.ordered); with != "" && whole {
			m.transferRace("a copy writes byte %d of a buffer: no pipeline barrier orders it after a %s", 4*i, with)
		}
		first := max(4*i, at)
		if whole {
			to.words[i] = binary.LittleEndian.Uint32(data[first-at:])
		} else {
			for b := first; b < min(4*i+4, at+size); b++ {
				shift := 8 * (b % 4)
				to.words[i] = to.words[i]&^(0xff<<shift) | uint32(data[b-at])<<shift
			}
		}
		c.write = now
		if whole && from.cells[(start+first-at)/4].write == 0 {
			c.write = 0
		}
	}
	return nil
}

// Host is a write by the host, which no command may overlap. Words that are as they were count as not touched. Offset
// and length are multiples of 4.
func (m *Machine) Host(to *Memory, at int, data []byte) {
	m.serial++
	for i := 0; i+4 <= len(data); i += 4 {
		if w := binary.LittleEndian.Uint32(data[i:]); w != to.words[(at+i)/4] {
			to.words[(at+i)/4] = w
			to.cells[(at+i)/4] = cell{write: stamp(1, 0, 0, 0)}
		}
	}
}

// Forget makes the contents of a range, at multiples of 4, count as not written: memory that is freed.
func (m *Memory) Forget(at, size int) {
	for i := at / 4; i < (at+size)/4; i++ {
		m.words[i] = uint32(i)*0x9e3779b1 | 1<<16
		m.cells[i].write = 0
	}
}

// Since gives a byte that was written after a serial number, in a range.
func (m *Memory) Since(s Serial, at, size int) (byte int, ok bool) {
	for i := at / 4; i < (at+size)/4; i++ {
		if m.cells[i].write>>stampSerial > uint64(s) {
			return 4 * i, true
		}
	}
	return 0, false
}

func (m *Machine) transferRace(format string, args ...any) {
	key := reportKey{Race, nil, transfer.word}
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
	if g.machine != m { // another one has the same serial numbers
		clear(g.cells)
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
	m.since |= Shaders
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
			case s.waits == nil:
				ended = true
			case at != nil && at.in != s.waits.in:
				g.report(BarrierMissed, s.waits.in, "%s waits here, and another subgroup at %s", s.invocation(0), at.in.name(g.p.m))
				return
			default:
				at = s.waits
			}
		}
		if at == nil {
			return
		}
		if ended {
			g.report(BarrierMissed, at.in, "other subgroups of workgroup %d,%d,%d have ended", id[0], id[1], id[2])
			return
		}
		g.p.passed[at.in.word] = true
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
