package spirv

import (
	"fmt"
	"slices"
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

// block is a basic block.
type block struct {
	label      uint32
	phis, code []*inst
	merge      *inst
	end        *inst
}

// split divides the function into blocks.
func (c *compiler) split() {
	var b *block
	for _, in := range c.m.body {
		switch in.op {
		case opLabel:
			b = &block{label: in.id}
			c.blocks[in.id] = b
			c.order = append(c.order, in.id)
		case opPhi:
			b.phis = append(b.phis, in)
		case opLoopMerge, opSelectionMerge:
			b.merge = in
		case opBranch, opBranchConditional, opSwitch, opReturn:
			b.end = in
		default:
			b.code = append(b.code, in)
		}
	}
	for _, b := range c.blocks {
		if b.end == nil {
			panic(fault{fmt.Sprintf("block %%%d has no end", b.label)})
		}
	}
}

// construct is a selection or a loop, which lanes leave for its merge block.
type construct struct {
	merge        uint32
	loop         bool
	header, next uint32 // of a loop; next is its continue block
	outer        *construct
	guards       int // how many conditions there were when it began
	used         bool
	exits        [][]*reg // guards of each edge that leaves a loop
	parent       *construct

	left, again, back int // masks: lanes that left, lanes that continue, lanes for another round
}

type nodeKind uint8

const (
	nodeBlock nodeKind = iota // micros
	nodeEdge                  // copies
	nodeBranch
	nodeScope
	nodeLoop
	nodeLeave // to the merge block of a construct
	nodeContinue
	nodeBack // to the header of a loop
	nodeReturn
	nodeBarrier
)

// node is a part of the program: a structured one.
type node struct {
	kind       nodeKind
	micros     []*micro
	copies     []move
	cond       *reg
	cases      []uint32 // of a switch: the values that take the first way
	then, els  []*node
	body, cont []*node
	of         *construct
	in         *inst
	loop       *construct // the innermost one
	position   int        // of the first micro, for the allocation of registers
	end        int
}

// move is the value of a phi on an edge.
type move struct{ to, from *reg }

func (c *compiler) innermost() *construct {
	for i := len(c.stack) - 1; i >= 0; i-- {
		if c.stack[i].loop {
			return c.stack[i]
		}
	}
	return nil
}

func (c *compiler) node(n *node) *node {
	n.loop = c.innermost()
	c.nodes = append(c.nodes, n)
	return n
}

// build makes the program from a block on, to where all ways leave a construct around it.
func (c *compiler) build(label uint32) []*node {
	b, ok := c.blocks[label]
	if !ok {
		panic(fault{fmt.Sprintf("a branch to %%%d, which is no block", label)})
	}
	if b.merge == nil {
		return append(c.lower(b), c.terminator(b)...)
	}
	k := &construct{merge: b.merge.args[0], guards: len(c.guards), outer: c.top(), parent: c.innermost()}
	if b.merge.op == opLoopMerge {
		k.loop, k.header, k.next = true, label, b.merge.args[1]
		c.loops = append(c.loops, k)
		c.stack = append(c.stack, k)
		n := &node{kind: nodeLoop, of: k}
		n.body = append(c.lower(b), c.terminator(b)...)
		if k.next != label {
			n.cont = c.build(k.next)
		}
		c.stack = c.stack[:len(c.stack)-1]
		return c.then([]*node{n}, k)
	}
	nodes := c.lower(b)
	c.stack = append(c.stack, k)
	n := &node{kind: nodeScope, of: k, body: c.terminator(b)}
	c.stack = c.stack[:len(c.stack)-1]
	return c.then(append(nodes, n), k)
}

// then goes on behind a construct.
func (c *compiler) then(nodes []*node, k *construct) []*node {
	if k.used {
		nodes = append(nodes, c.build(k.merge)...)
	}
	return nodes
}

func (c *compiler) top() *construct {
	if len(c.stack) == 0 {
		return nil
	}
	return c.stack[len(c.stack)-1]
}

// terminator makes the ways out of a block.
func (c *compiler) terminator(b *block) []*node {
	a := b.end.args
	switch b.end.op {
	case opBranch:
		return c.way(b, a[0])
	case opReturn:
		c.leaves(nil)
		return []*node{{kind: nodeReturn}}
	case opBranchConditional:
		cond := c.scalar(a[0])
		if cond.known {
			return c.way(b, a[2-min(cond.val, 1)])
		}
		return []*node{c.branch(b, cond, nil, func() []*node { return c.way(b, a[1]) }, func() []*node { return c.way(b, a[2]) })}
	}
	// A switch: one way after the other.
	selector, targets := c.scalar(a[0]), []uint32{}
	values := map[uint32][]uint32{}
	for i := 2; i+1 < len(a); i += 2 {
		if !slices.Contains(targets, a[i+1]) {
			targets = append(targets, a[i+1])
		}
		values[a[i+1]] = append(values[a[i+1]], a[i])
	}
	if selector.known {
		for t, v := range values {
			if slices.Contains(v, selector.val) {
				return c.way(b, t)
			}
		}
		return c.way(b, a[1])
	}
	var from func(i int) []*node
	from = func(i int) []*node {
		if i == len(targets) {
			return c.way(b, a[1])
		}
		return []*node{c.branch(b, selector, values[targets[i]], func() []*node { return c.way(b, targets[i]) }, func() []*node { return from(i + 1) })}
	}
	return from(0)
}

func (c *compiler) branch(b *block, cond *reg, cases []uint32, then, els func() []*node) *node {
	n := c.node(&node{kind: nodeBranch, cond: cond, cases: cases, in: b.end})
	c.guards = append(c.guards, cond)
	n.then, n.els = then(), els()
	c.guards = c.guards[:len(c.guards)-1]
	return n
}

// leaves notes that lanes leave the loops inside of k (all, if it is nil).
func (c *compiler) leaves(k *construct) {
	for i := len(c.stack) - 1; i >= 0 && c.stack[i] != k; i-- {
		if l := c.stack[i]; l.loop {
			l.exits = append(l.exits, slices.Clone(c.guards[l.guards:]))
		}
	}
}

// way makes the edge from a block to another.
func (c *compiler) way(b *block, to uint32) []*node {
	for i := len(c.stack) - 1; i >= 0; i-- {
		k := c.stack[i]
		end := func(kind nodeKind) []*node {
			n := &node{kind: kind, of: k}
			if e := c.edge(b, to, c.guards[k.guards:], false); e != nil {
				return []*node{e, n}
			}
			return []*node{n}
		}
		switch {
		case k.merge == to:
			k.used = true
			c.leaves(k)
			if k.loop {
				k.exits = append(k.exits, slices.Clone(c.guards[k.guards:]))
			}
			return end(nodeLeave)
		case k.loop && k.next == to && k.next != k.header:
			c.leaves(k)
			return end(nodeContinue)
		case k.loop && k.header == to:
			c.leaves(k)
			n := &node{kind: nodeBack, of: k}
			if e := c.edge(b, to, nil, true); e != nil {
				return []*node{e, n}
			}
			return []*node{n}
		}
	}
	var nodes []*node
	target := c.blocks[to]
	header := target != nil && target.merge != nil && target.merge.op == opLoopMerge
	if e := c.edge(b, to, nil, header); e != nil {
		nodes = []*node{e}
	}
	return append(nodes, c.build(to)...)
}

// edge makes the moves to the phis of a block.
func (c *compiler) edge(b *block, to uint32, guards []*reg, header bool) *node {
	target := c.blocks[to]
	if target == nil || len(target.phis) == 0 {
		return nil
	}
	n := c.node(&node{kind: nodeEdge})
	for _, phi := range target.phis {
		for i := 0; i+1 < len(phi.args); i += 2 {
			if phi.args[i+1] != b.label {
				continue
			}
			from := c.value(phi.args[i])
			for j, r := range c.phiRegs(phi, len(from)) {
				n.copies = append(n.copies, move{r, from[j]})
				r.phi = append(r.phi, edge{from[j], slices.Clone(guards)})
				r.header = r.header || header
			}
		}
	}
	return n
}

func (c *compiler) phiRegs(phi *inst, n int) []*reg {
	if c.phis[phi.id] == nil {
		if c.types(phi.typ).kind == kindMatrix {
			panic(fault{"a phi of matrices is not known"})
		}
		for range n {
			c.phis[phi.id] = append(c.phis[phi.id], &reg{})
		}
		c.typeOfID[phi.id] = phi.typ
	}
	return c.phis[phi.id]
}

// lower lowers the instructions of a block.
func (c *compiler) lower(b *block) []*node {
	nodes := []*node{c.node(&node{kind: nodeBlock})}
	c.block = nodes[0]
	for _, phi := range b.phis {
		c.values[phi.id] = c.phis[phi.id]
		for _, r := range c.phis[phi.id] {
			r.loop = c.innermost()
		}
	}
	for _, in := range b.code {
		if in.op == opControlBarrier {
			execution, semantics := c.number(in.args[0]), c.number(in.args[2])
			if execution != scopeWorkgroup && execution != scopeSubgroup {
				panic(fault{fmt.Sprintf("%s has scope %d, expected a workgroup or a subgroup", in.name(c.m), execution)})
			}
			n := &node{kind: nodeBarrier, in: in, cases: []uint32{execution, semantics}}
			c.block = c.node(&node{kind: nodeBlock})
			nodes = append(nodes, n, c.block)
			continue
		}
		c.instruction(in)
	}
	return nodes
}

// instruction lowers one that is neither a phi nor an end.
func (c *compiler) instruction(in *inst) {
	switch in.op {
	case opVariable:
		c.variable(in)
	case opAccessChain:
		c.chain(in)
	case opLoad:
		c.load(in)
	case opStore:
		p, ok := c.pointers[in.args[0]]
		if !ok {
			panic(fault{fmt.Sprintf("%%%d is no pointer", in.args[0])})
		}
		if p.typ.kind == kindMatrix {
			c.add(&micro{op: opStore, in: in, ptr: p, mats: []int{c.matrix[in.args[1]]}})
			return
		}
		c.add(&micro{op: opStore, in: in, ptr: p, src: c.value(in.args[1])})
	case opImageFetch:
		if len(in.args) > 2 {
			panic(fault{in.name(c.m) + " with image operands is not known"})
		}
		out := []*reg{c.newReg(), c.newReg(), c.newReg(), c.newReg()}
		c.add(&micro{op: in.op, in: in, dst: out, src: c.value(in.args[1]), ptr: c.pointers[in.args[0]]})
		c.set(in, out)
	case opAtomicIAdd, opAtomicAnd, opAtomicOr:
		out := c.newReg()
		c.add(&micro{op: in.op, in: in, dst: []*reg{out}, src: c.value(in.args[3]), ptr: c.pointers[in.args[0]]})
		c.set(in, []*reg{out})
	case opGroupNonUniformElect, opGroupNonUniformBroadcast, opGroupNonUniformShuffle, opGroupNonUniformXor, opGroupNonUniformBallot,
		opGroupNonUniformIAdd, opGroupNonUniformFAdd, opGroupNonUniformUMax, opGroupNonUniformFMax:
		c.subgroup(in)
	case opCooperativeMatrixLoad, opCooperativeMatrixStore, opCooperativeMatrixMulAdd:
		c.cooperative(in)
	default:
		if in.op == opCompositeConstruct && c.types(in.typ).kind == kindMatrix {
			panic(fault{in.name(c.m) + " of a matrix is not known"})
		}
		if !c.expression(in, in.op, in.args) {
			panic(fault{in.name(c.m) + " is not known"})
		}
	}
}

// subgroup lowers a subgroup operation.
func (c *compiler) subgroup(in *inst) {
	if c.number(in.args[0]) != scopeSubgroup {
		panic(fault{in.name(c.m) + " is not of a subgroup"})
	}
	args := in.args[1:]
	switch in.op {
	case opGroupNonUniformIAdd, opGroupNonUniformFAdd, opGroupNonUniformUMax, opGroupNonUniformFMax:
		const reduce = 0
		if args[0] != reduce {
			panic(fault{in.name(c.m) + " is known as a reduction alone"})
		}
		args = args[1:]
	}
	if in.op == opGroupNonUniformElect {
		r := c.newReg()
		c.add(&micro{op: in.op, in: in, dst: []*reg{r}})
		c.set(in, []*reg{r})
		return
	}
	n := len(c.value(args[0]))
	if in.op == opGroupNonUniformBallot {
		out := []*reg{c.newReg(), c.newReg(), c.newReg(), c.newReg()}
		c.add(&micro{op: in.op, in: in, dst: out, src: c.value(args[0])})
		c.set(in, out)
		return
	}
	var out []*reg
	for i := range n {
		src := []*reg{c.value(args[0])[i]}
		if len(args) > 1 {
			src = append(src, c.scalar(args[1]))
		}
		r := c.newReg()
		c.add(&micro{op: in.op, in: in, dst: []*reg{r}, src: src})
		out = append(out, r)
	}
	c.set(in, out)
}
