package spirv

import (
	"fmt"
)

const (
	maxBindings = 16
	maxPush     = 256 // bytes
	// MaxLanes is the largest subgroup.
	MaxLanes = 128
)

// Options say what a pipeline is made for.
type Options struct {
	Name     string   // of the shader, for reports
	Bindings []string // names of the bindings, for reports
	Spec     []uint32 // specialization constants, by their constant_id; the shader's own where they end
	Lanes    int      // of a subgroup: 1 to MaxLanes
}

// Pipeline is a compiled shader.
type Pipeline struct {
	o        Options
	m        *Module
	size     [3]uint32 // of a workgroup
	lanes    int
	subs     int // subgroups of a workgroup
	code     []step
	slots    int
	masks    int
	locals   int // words
	partly   int
	matrices int             // in variables
	splats   map[int]float32 // matrices that are constants
	shared   int             // words
	shapes   [][2]int
	known    []*reg // constants
	builtins map[preset]*reg
	push     []*reg
	group    *group       // of the last dispatch, to be reused
	passed   map[int]bool // the barriers that workgroups have passed, by their place in the module
}

// Passed reports whether a workgroup has passed the module's control barrier number n.
func (p *Pipeline) Passed(n int) bool {
	for _, in := range p.m.body {
		if in.op == opControlBarrier {
			if n == 0 {
				return p.passed[in.word]
			}
			n--
		}
	}
	return false
}

// fault is what compiling panics with where the module is not as expected.
type fault struct{ text string }

// compiler makes a pipeline.
type compiler struct {
	m         *Module
	o         Options
	values    map[uint32][]*reg
	typeOfID  map[uint32]uint32
	constants map[uint32]*reg
	pointers  map[uint32]*pointer
	builtins  map[preset]*reg
	push      [maxPush / 4]*reg
	matrix    map[uint32]int // of the value of an id
	shapes    [][2]int       // of the matrices of values and variables
	splat     map[uint32]uint32
	shared    int
	locals    int
	partly    int
	matrices  int

	blocks map[uint32]*block
	order  []uint32 // labels as they come
	stack  []*construct
	guards []*reg
	block  *node // that is being lowered
	phis   map[uint32][]*reg

	program []*node // the tree
	nodes   []*node // all nodes that hold micros or copies
	loops   []*construct

	code  []step
	masks int
	slots int

	firstVar    int // the slot of the first word of variables
	scratchSlot int // plus 1
}

// Compile makes a pipeline.
func (m *Module) Compile(o Options) (p *Pipeline, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fault:
			err = fmt.Errorf("spirv: %s: %s", o.Name, r.text)
		default:
			panic(r)
		}
	}()
	if o.Lanes < 1 || o.Lanes > MaxLanes {
		return nil, fmt.Errorf("spirv: %d lanes, expected 1 to %d", o.Lanes, MaxLanes)
	}
	c := &compiler{
		m: m, o: o, values: map[uint32][]*reg{}, typeOfID: map[uint32]uint32{}, constants: map[uint32]*reg{}, pointers: map[uint32]*pointer{},
		builtins: map[preset]*reg{}, matrix: map[uint32]int{}, splat: map[uint32]uint32{}, blocks: map[uint32]*block{}, phis: map[uint32][]*reg{},
	}
	size := m.size
	for _, in := range m.globals {
		c.global(in)
		if b, ok := m.decoration(in.id, decBuiltIn); ok && b == builtinWorkgroupSize && in.op != opVariable {
			for i := range size {
				size[i] = c.value(in.id)[i].val
			}
		}
	}
	c.split()
	c.program = c.build(c.order[0])
	c.diverge()
	c.widen()
	c.allocate()
	c.sequence(c.program)
	n := int(size[0] * size[1] * size[2])
	if n < 1 || n > 1024 {
		return nil, fmt.Errorf("spirv: %s: a workgroup of %v invocations, expected 1 to 1024", o.Name, size)
	}
	return &Pipeline{
		o: o, m: m, size: size, lanes: o.Lanes, subs: (n + o.Lanes - 1) / o.Lanes, code: c.code, slots: c.slots, masks: c.masks,
		locals: c.locals, partly: c.partly, matrices: c.matrices, splats: c.splats(), shared: c.shared, shapes: c.shapes, passed: map[int]bool{}, known: c.sortedConstants(), builtins: c.builtins, push: c.push[:],
	}, nil
}

// splats are the matrices that are constants.
func (c *compiler) splats() map[int]float32 {
	all := map[int]float32{}
	for id, v := range c.splat {
		all[c.matrix[id]] = f32(v)
	}
	return all
}

func (c *compiler) sortedConstants() (all []*reg) {
	for _, r := range c.constants {
		if r.slot >= 0 {
			all = append(all, r)
		}
	}
	return all
}

// global lowers constants and variables.
func (c *compiler) global(in *inst) {
	spec := func(otherwise uint32) uint32 {
		if id, ok := c.m.decoration(in.id, decSpecID); ok && int(id) < len(c.o.Spec) {
			return c.o.Spec[id]
		}
		return otherwise
	}
	set := func(v ...*reg) { c.set(in, v) }
	switch in.op {
	case opVariable:
		c.variable(in)
	case opUndef: // a compiler writes it for what nobody reads: whoever does gets a number that shows
		var v []*reg
		for range c.numbers(c.types(in.typ)) {
			v = append(v, c.constant(0xdeadbeef))
		}
		set(v...)
	case opConstantTrue:
		set(c.constant(1))
	case opConstantFalse:
		set(c.constant(0))
	case opConstant:
		if len(in.args) != 1 {
			panic(fault{fmt.Sprintf("constant %%%d has %d words, expected one", in.id, len(in.args))})
		}
		set(c.constant(in.args[0]))
	case opSpecConstant:
		set(c.constant(spec(in.args[0])))
	case opSpecConstantTrue:
		set(c.constant(truth(spec(1) != 0)))
	case opSpecConstantFalse:
		set(c.constant(truth(spec(0) != 0)))
	case opConstantComposite, opSpecConstantComposite:
		if t := c.types(in.typ); t.kind == kindMatrix {
			c.splat[in.id] = c.number(in.args[0])
			c.matrixValue(in, t)
			return
		}
		var v []*reg
		for _, id := range in.args {
			v = append(v, c.value(id)...)
		}
		set(v...)
	case opSpecConstantOp:
		op := uint16(in.args[0])
		if !c.expression(in, op, in.args[1:]) {
			panic(fault{fmt.Sprintf("%s with opcode %d is not known", in.name(c.m), op)})
		}
		for _, r := range c.value(in.id) {
			if !r.known {
				panic(fault{fmt.Sprintf("%s has no value", in.name(c.m))})
			}
		}
	default:
		panic(fault{in.name(c.m) + " is not known outside of a function"})
	}
}
