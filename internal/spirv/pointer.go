package spirv

import "fmt"

// variable lowers an OpVariable.
func (c *compiler) variable(in *inst) {
	class := in.args[0]
	p := &pointer{class: class, id: in.id, typ: c.types(in.typ).of}
	switch class {
	case classStorageBuffer, classUniformConstant:
		binding, ok := c.m.decoration(in.id, decBinding)
		if set, _ := c.m.decoration(in.id, decDescriptorSet); !ok || set != 0 || binding >= maxBindings {
			panic(fault{fmt.Sprintf("variable %%%d has binding %d of set %d, expected one below %d of set 0", in.id, binding, set, maxBindings)})
		}
		p.base = binding
	case classInput:
		p.base, _ = c.m.decoration(in.id, decBuiltIn)
	case classPushConstant:
	case classWorkgroup:
		p.base = uint32(c.shared)
		c.shared += c.numbers(p.typ)
	case classFunction, classPrivate:
		if len(in.args) > 1 {
			panic(fault{fmt.Sprintf("variable %%%d has an initial value", in.id)})
		}
		if leaf(p.typ).kind == kindMatrix {
			p.base = uint32(c.matrices)
			c.matrices += c.numbers(p.typ)
			c.matrixShape(leaf(p.typ))
			break
		}
		p.base = uint32(c.locals)
		c.locals += c.numbers(p.typ)
	default:
		panic(fault{fmt.Sprintf("storage class %d is not known", class)})
	}
	c.pointers[in.id] = p
}

func leaf(t *typ) *typ {
	for t.of != nil && t.kind != kindMatrix {
		t = t.of
	}
	return t
}

// explicit tells the storage classes whose layout decorations say.
func explicit(class uint32) bool { return class == classStorageBuffer || class == classPushConstant }

// chain lowers an OpAccessChain.
func (c *compiler) chain(in *inst) {
	base, ok := c.pointers[in.args[0]]
	if !ok {
		panic(fault{fmt.Sprintf("%%%d is no pointer", in.args[0])})
	}
	p := *base
	p.terms = append([]term(nil), base.terms...)
	for _, id := range in.args[1:] {
		i, t := c.scalar(id), p.typ
		switch t.kind {
		case kindStruct:
			n := c.number(id)
			if int(n) >= len(t.members) {
				panic(fault{fmt.Sprintf("member %d of a struct of %d", n, len(t.members))})
			}
			if explicit(p.class) {
				p.offset += c.m.members[member{t.id, n}][decOffset][0] / 4
			} else {
				from, _ := c.part(t, []uint32{n})
				p.offset += uint32(from)
			}
			if d := c.m.members[member{t.id, n}]; d != nil {
				_, noRead := d[decNonReadable]
				_, noWrite := d[decNonWritable]
				p.noRead, p.noWrite = p.noRead || noRead, p.noWrite || noWrite
			}
			p.typ = t.members[n]
			continue
		case kindVector, kindArray, kindRuntimeArray:
		default:
			panic(fault{fmt.Sprintf("an index into type %%%d", t.id)})
		}
		tm := term{index: i, stride: 1}
		if explicit(p.class) && t.kind != kindVector {
			bytes, _ := c.m.decoration(t.id, decArrayStride)
			if bytes == 0 || bytes%4 != 0 {
				panic(fault{fmt.Sprintf("array %%%d has a stride of %d bytes, expected whole words", t.id, bytes)})
			}
			tm.stride = bytes / 4
		} else {
			tm.stride = uint32(c.numbers(t.of))
		}
		switch t.kind {
		case kindVector:
			tm.limit = t.count
		case kindArray:
			tm.limit = c.number(t.count)
		}
		p.typ = t.of
		if i.known && (tm.limit == 0 || i.val < tm.limit) && uint64(i.val)*uint64(tm.stride) < 1<<30 {
			p.offset += i.val * tm.stride
			continue
		}
		p.terms = append(p.terms, tm)
	}
	c.pointers[in.id] = &p
}

// load lowers an OpLoad.
func (c *compiler) load(in *inst) {
	p, ok := c.pointers[in.args[0]]
	if !ok {
		panic(fault{fmt.Sprintf("%%%d is no pointer", in.args[0])})
	}
	if p.typ.kind == kindImage {
		c.pointers[in.id] = p
		return
	}
	if p.typ.kind == kindMatrix {
		c.matrixValue(in, p.typ)
		c.add(&micro{op: opLoad, in: in, ptr: p, mats: []int{c.matrix[in.id]}})
		return
	}
	n := c.numbers(p.typ)
	out := make([]*reg, n)
	switch p.class {
	case classInput, classPushConstant: // are there already
		if len(p.terms) > 0 {
			panic(fault{fmt.Sprintf("an index into %%%d that is not known when the pipeline is compiled", p.id)})
		}
		for i := range out {
			if p.class == classInput {
				out[i] = c.builtin(p.base, p.offset+uint32(i))
			} else {
				out[i] = c.pushed(p.offset + uint32(i))
			}
		}
	default:
		for i := range out {
			out[i] = c.newReg()
			if p.typ.kind == kindArray || p.typ.kind == kindStruct { // to copy what was not written is no fault
				c.partly++
				out[i].partly = c.partly
			}
		}
		c.add(&micro{op: opLoad, in: in, dst: out, ptr: p})
	}
	c.set(in, out)
}

// presets are registers that are set before a workgroup begins.
type preset struct {
	builtin, component uint32
}

func (c *compiler) builtin(b, component uint32) *reg {
	key := preset{b, component}
	if r, ok := c.builtins[key]; ok {
		return r
	}
	r := &reg{wide: true}
	switch b {
	case builtinLocalInvocationID, builtinGlobalInvocationID, builtinLocalInvocationIndex, builtinSubgroupLocalInvocationID:
		r.varying = true
	case builtinNumWorkgroups, builtinWorkgroupID, builtinSubgroupSize, builtinNumSubgroups, builtinSubgroupID:
	default:
		panic(fault{fmt.Sprintf("built-in variable %d is not known", b)})
	}
	c.builtins[key] = r
	return r
}

func (c *compiler) pushed(word uint32) *reg {
	if word >= maxPush/4 {
		panic(fault{fmt.Sprintf("push constants beyond byte %d", maxPush)})
	}
	if c.push[word] == nil {
		c.push[word] = &reg{wide: true}
	}
	return c.push[word]
}
