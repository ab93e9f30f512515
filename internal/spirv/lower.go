package spirv

import (
	"fmt"
	"slices"
)

// reg is a number of each lane that an instruction computes, or a constant.
type reg struct {
	known   bool   // a constant
	val     uint32 // of a constant
	varying bool   // lanes may differ; else one number serves all
	wide    bool   // it is uniform, and stored for each lane
	masked  bool   // lanes that are not active must keep it
	phi     []edge // of a phi: where it comes from
	header  bool   // of a loop
	loop    *construct
	slot    int // where it is in a subgroup's registers
	partly  int // of a number of an array that was loaded as a whole: where it is in a subgroup's partly, from 1 on
}

// edge is one of the ways into a block that has phis.
type edge struct {
	from   *reg
	guards []*reg // conditions that decided, since the block's construct began
}

// pointer is a place in memory: a variable, a constant offset and indices that are known when it runs. Offsets are in
// words of 32 bits, or in matrices.
type pointer struct {
	class  uint32
	base   uint32 // the number of a binding, or where the variable begins
	id     uint32 // of the variable
	offset uint32
	terms  []term
	typ    *typ // what it points to

	noRead, noWrite bool
}

type term struct {
	index  *reg
	stride uint32
	limit  uint32 // the length of the array; 0: as long as the descriptor's range
}

// micro is an instruction on numbers: one that computes dst from src, or one on memory.
type micro struct {
	op    uint16
	in    *inst
	dst   []*reg
	src   []*reg
	ptr   *pointer
	mats  []int // matrices: of these the first is the result
	extra []uint32
	loop  *construct
}

// pure adds an operation on numbers, or computes it now.
func (c *compiler) pure(in *inst, op uint16, src ...*reg) *reg {
	known := [3]uint32{}
	all := true
	for i, r := range src {
		known[i] = r.val
		all = all && r.known
	}
	if all && undefined(op, known[0], known[1], known[2]) == "" {
		switch len(src) {
		case 1:
			return c.constant(unary[op](known[0]))
		case 2:
			return c.constant(binary2[op](known[0], known[1]))
		default:
			return c.constant(ternary[op](known[0], known[1], known[2]))
		}
	}
	if op == opSelect && src[0].known { // not both need be computed
		if src[0].val != 0 {
			return src[1]
		}
		return src[2]
	}
	d := c.newReg()
	c.add(&micro{op: op, in: in, dst: []*reg{d}, src: src})
	return d
}

func (c *compiler) newReg() *reg { return &reg{loop: c.innermost()} }

func (c *compiler) constant(v uint32) *reg {
	r, ok := c.constants[v]
	if !ok {
		r = &reg{known: true, val: v}
		c.constants[v] = r
	}
	return r
}

func (c *compiler) add(m *micro) {
	m.loop = c.innermost()
	c.block.micros = append(c.block.micros, m)
}

// value returns the numbers of an id.
func (c *compiler) value(id uint32) []*reg {
	v, ok := c.values[id]
	if !ok {
		panic(fault{fmt.Sprintf("%%%d is used, and has no value", id)})
	}
	return v
}

func (c *compiler) scalar(id uint32) *reg { return c.value(id)[0] }

// number returns a constant.
func (c *compiler) number(id uint32) uint32 {
	r := c.scalar(id)
	if !r.known {
		panic(fault{fmt.Sprintf("%%%d is not known when the pipeline is compiled", id)})
	}
	return r.val
}

// componentwise are the opcodes that do the same with each number of vectors.
func componentwise(op uint16) bool {
	if _, ok := unary[op]; ok {
		return true
	}
	if _, ok := binary2[op]; ok {
		return true
	}
	_, ok := ternary[op]
	return ok
}

// expression lowers an instruction that computes numbers from numbers, also in constants. It reports whether it is one.
func (c *compiler) expression(in *inst, op uint16, args []uint32) bool {
	var out []*reg
	switch {
	case op == opExtInst && args[1] == glslUnpackHalf2x16:
		x := c.scalar(args[2])
		out = []*reg{c.pure(in, opLowHalf, x), c.pure(in, opTopHalf, x)}
	case op == opExtInst && args[1] == glslPackHalf2x16:
		v := c.value(args[2])
		out = []*reg{c.pure(in, opPackHalf, v[0], v[1])}
	case op == opExtInst:
		if args[0] != c.m.glsl || !componentwise(extended+uint16(args[1])) {
			panic(fault{fmt.Sprintf("instruction %d of GLSL.std.450 is not known", args[1])})
		}
		return c.expression(in, extended+uint16(args[1]), args[2:])
	case op == opBitcast:
		out = c.value(args[0])
	case op == opVectorTimesScalar:
		by := c.scalar(args[1])
		for _, x := range c.value(args[0]) {
			out = append(out, c.pure(in, opFMul, x, by))
		}
	case op == opDot:
		a, b := c.value(args[0]), c.value(args[1])
		sum := c.pure(in, opFMul, a[0], b[0])
		for i := range a[1:] {
			sum = c.pure(in, opFAdd, sum, c.pure(in, opFMul, a[i+1], b[i+1]))
		}
		out = []*reg{sum}
	case op == opIAddCarry:
		a, b := c.value(args[0]), c.value(args[1])
		for i := range a {
			out = append(out, c.pure(in, opIAdd, a[i], b[i]))
		}
		for i, sum := range out {
			out = append(out, c.pure(in, opULessThan, sum, a[i]))
		}
	case op == opAny, op == opAll:
		a, join := c.value(args[0]), uint16(opLogicalOr)
		if op == opAll {
			join = opLogicalAnd
		}
		joined := a[0]
		for _, x := range a[1:] {
			joined = c.pure(in, join, joined, x)
		}
		out = []*reg{joined}
	case op >= opSDot && op <= opSUDotAccSat:
		out = []*reg{c.dotOfBytes(in, op, args)}
	case op == opUMulExtended:
		a, b := c.value(args[0]), c.value(args[1])
		for i := range a {
			out = append(out, c.pure(in, opIMul, a[i], b[i]))
		}
		for i := range a {
			out = append(out, c.pure(in, opUMulHi, a[i], b[i]))
		}
	case op == opCompositeConstruct:
		for _, id := range args {
			out = append(out, c.value(id)...)
		}
	case op == opCompositeExtract:
		from, n := c.part(c.typeOf(args[0]), args[1:])
		out = c.value(args[0])[from : from+n]
	case op == opCompositeInsert:
		from, n := c.part(c.types(in.typ), args[2:])
		out = slices.Clone(c.value(args[1]))
		copy(out[from:from+n], c.value(args[0]))
	case op == opVectorShuffle:
		both := slices.Concat(c.value(args[0]), c.value(args[1]))
		for _, i := range args[2:] {
			if int(i) >= len(both) {
				panic(fault{"a shuffle of a component that is not there"})
			}
			out = append(out, both[i])
		}
	case op == opVectorExtractDynamic:
		v, i := c.value(args[0]), c.scalar(args[1])
		if i.known && int(i.val) < len(v) {
			out = []*reg{v[i.val]}
			break
		}
		d := c.newReg()
		c.add(&micro{op: op, in: in, dst: []*reg{d}, src: append([]*reg{i}, v...)})
		out = []*reg{d}
	case componentwise(op):
		var operands [][]*reg
		n := 1
		for _, id := range args {
			operands = append(operands, c.value(id))
			n = max(n, len(operands[len(operands)-1]))
		}
		for i := range n {
			var src []*reg
			for _, o := range operands {
				src = append(src, o[min(i, len(o)-1)]) // the condition of a select may be one for all
			}
			out = append(out, c.pure(in, op, src...))
		}
	default:
		return false
	}
	c.set(in, out)
	return true
}

func (c *compiler) set(in *inst, v []*reg) {
	c.values[in.id] = v
	c.typeOfID[in.id] = in.typ
}

func (c *compiler) typeOf(id uint32) *typ { return c.types(c.typeOfID[id]) }

func (c *compiler) types(id uint32) *typ {
	t := c.m.types[id]
	if t == nil {
		panic(fault{fmt.Sprintf("%%%d is no type", id)})
	}
	return t
}

// part is which numbers of a value of type t the indices name.
func (c *compiler) part(t *typ, indices []uint32) (from, n int) {
	for _, i := range indices {
		switch t.kind {
		case kindVector, kindArray:
			from += int(i) * c.numbers(t.of)
			t = t.of
		case kindStruct:
			for _, m := range t.members[:i] {
				from += c.numbers(m)
			}
			t = t.members[i]
		default:
			panic(fault{"an index into what has no parts"})
		}
	}
	return from, c.numbers(t)
}

// numbers is how many numbers a value of type t has: words in shared memory and variables.
func (c *compiler) numbers(t *typ) int {
	switch t.kind {
	case kindBool, kindInt, kindFloat, kindMatrix:
		return 1
	case kindVector:
		return int(t.count) * c.numbers(t.of)
	case kindArray:
		return int(c.number(t.count)) * c.numbers(t.of)
	case kindStruct:
		n := 0
		for _, m := range t.members {
			n += c.numbers(m)
		}
		return n
	}
	panic(fault{fmt.Sprintf("a value of type %%%d has no size", t.id)})
}
