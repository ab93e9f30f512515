package spirv

import (
	"fmt"
	"slices"
)

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
	parted       []*reg   // guards of lanes that wait already: behind a selection, or for the loop's next round
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
	matrices   [][2]int // copies of matrices: of each the places of the new one and of the old one
	cond       *reg
	cases      []uint32 // of a switch: the values that take the first way
	then, els  []*node
	body, cont []*node
	of         *construct
	in         *inst
	loop       *construct // the innermost one
	position   int        // of the first micro, for the allocation of registers
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
			l.exits = append(l.exits, c.since(i))
		}
	}
}

// since returns the conditions that have decided, since construct number i of the stack began, which lanes are here.
func (c *compiler) since(i int) []*reg {
	guards := slices.Clone(c.guards[c.stack[i].guards:])
	for _, k := range c.stack[i:] {
		guards = append(guards, k.parted...)
	}
	return guards
}

// way makes the edge from a block to another.
func (c *compiler) way(b *block, to uint32) []*node {
	for i := len(c.stack) - 1; i >= 0; i-- {
		k := c.stack[i]
		end := func(kind nodeKind) []*node {
			n := &node{kind: kind, of: k}
			guards := c.since(i)
			if kind == nodeContinue || !k.loop {
				k.parted = append(k.parted, c.guards[k.guards:]...)
			}
			if e := c.edge(b, to, guards, false); e != nil {
				return []*node{e, n}
			}
			return []*node{n}
		}
		switch {
		case k.merge == to:
			k.used = true
			c.leaves(k)
			if k.loop {
				k.exits = append(k.exits, c.since(i))
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
			if c.types(phi.typ).kind == kindMatrix {
				n.matrices = append(n.matrices, c.matrixMove(phi, phi.args[i]))
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
		if c.types(phi.typ).kind == kindMatrix {
			continue
		}
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
