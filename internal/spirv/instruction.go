package spirv

import "fmt"

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
	case opAtomicIAdd, opAtomicUMin, opAtomicUMax, opAtomicAnd, opAtomicOr:
		out := c.newReg()
		c.add(&micro{op: in.op, in: in, dst: []*reg{out}, src: c.value(in.args[3]), ptr: c.pointers[in.args[0]]})
		c.set(in, []*reg{out})
	case opGroupNonUniformElect, opGroupNonUniformBroadcast, opGroupNonUniformShuffle, opGroupNonUniformXor, opGroupNonUniformBallot,
		opGroupNonUniformIAdd, opGroupNonUniformFAdd, opGroupNonUniformUMax, opGroupNonUniformFMax:
		c.subgroup(in)
	case opCooperativeMatrixLoad, opCooperativeMatrixStore, opCooperativeMatrixMulAdd:
		c.cooperative(in)
	default:
		if (in.op == opFAdd || in.op == opFSub || in.op == opFMul) && c.types(in.typ).kind == kindMatrix {
			c.cooperative(in)
			return
		}
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
