package spirv

import "fmt"

// Kind is what a report is about.
type Kind uint8

// Kinds of reports.
const (
	Race          Kind = iota // two accesses of one place without a barrier between them
	Uninitialised             // a read of what nothing has written
	OutOfBounds
	BarrierMissed // a barrier that not all invocations reach
	Divergent     // a subgroup operation that not all lanes reach
	Undefined     // a shift, a conversion or a division
	kinds
)

var kindNames = [kinds]string{"race", "uninitialised", "out of bounds", "barrier missed", "divergent", "undefined"}

func (k Kind) String() string { return kindNames[k] }

// Report is something that a driver may do with as it likes.
type Report struct {
	Kind        Kind
	Shader      string
	Instruction string // and the line of the source, if the module has lines
	Text        string // what happened first, to whom
	Times       int
}

func (r Report) String() string {
	s := fmt.Sprintf("%v: shader %s, %s: %s", r.Kind, r.Shader, r.Instruction, r.Text)
	if r.Times > 1 {
		s += fmt.Sprintf(" (%d times)", r.Times)
	}
	return s
}

type reportKey struct {
	kind   Kind
	module *Module
	word   int
}

// report notes something once for each instruction and kind, and counts it.
func (g *group) report(k Kind, in *inst, format string, args ...any) {
	m := g.machine
	key := reportKey{k, g.p.m, in.word}
	if i, ok := m.known[key]; ok {
		m.reports[i].Times++
		return
	}
	m.known[key] = len(m.reports)
	m.reports = append(m.reports, Report{k, g.p.o.Name, in.name(g.p.m), fmt.Sprintf(format, args...), 1})
}

// Reports returns what was found since the last call, and forgets it.
func (m *Machine) Reports() []Report {
	all := m.reports
	m.reports, m.known = nil, map[reportKey]int{}
	return all
}

// invocation names a lane of a subgroup.
func (s *sub) invocation(lane int) string {
	return fmt.Sprintf("invocation %d of workgroup %d,%d,%d", s.first+lane, s.g.id[0], s.g.id[1], s.g.id[2])
}

// place names a place of a pointer.
func (s *sub) place(p *pointer, at int) string {
	switch p.class {
	case classStorageBuffer, classUniformConstant:
		name := fmt.Sprint(p.base)
		if int(p.base) < len(s.g.p.o.Bindings) {
			name += " (" + s.g.p.o.Bindings[p.base] + ")"
		}
		return fmt.Sprintf("byte %d of binding %s", 4*at, name)
	case classWorkgroup:
		return fmt.Sprintf("word %d of shared variable %%%d", at-int(p.base), p.id)
	}
	return fmt.Sprintf("word %d of variable %%%d", at, p.id)
}
