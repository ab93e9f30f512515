package spirv

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Module is a decoded shader with one entry point and one function, as compilers leave it that inline all.
type Module struct {
	types       map[uint32]*typ
	globals     []*inst // constants and variables outside of the function, in order
	body        []*inst // of the function, from its first label on
	glsl        uint32  // id of GLSL.std.450
	bound       uint32
	size        [3]uint32 // of a workgroup, where no constant says it
	decorations map[uint32]map[uint32][]uint32
	members     map[member]map[uint32][]uint32
	barriers    int
}

type member struct{ of, index uint32 }

// inst is an instruction.
type inst struct {
	op      uint16
	typ, id uint32
	args    []uint32
	line    int // of the source, 0: not known
	word    int // where it is in the module
}

func (i *inst) name(m *Module) string {
	name := opcodes[i.op].name
	if i.op == opExtInst && len(i.args) > 1 {
		name += " " + glslNames[i.args[1]]
	}
	if i.id != 0 {
		name = fmt.Sprintf("%%%d = %s", i.id, name)
	}
	if i.line > 0 {
		return fmt.Sprintf("line %d: %s", i.line, name)
	}
	return fmt.Sprintf("%s at word %d", name, i.word)
}

type kind uint8

const (
	kindVoid kind = iota
	kindBool
	kindInt
	kindFloat
	kindVector
	kindArray
	kindRuntimeArray
	kindStruct
	kindPointer
	kindImage
	kindMatrix
	kindFunction
)

type typ struct {
	id      uint32
	kind    kind
	width   uint32 // of numbers, in bits
	signed  bool
	of      *typ      // element, or what a pointer points to
	count   uint32    // of a vector; of an array the id of the constant
	class   uint32    // of a pointer
	members []*typ    // of a struct
	shape   [3]uint32 // of a matrix: ids of rows, columns and use
}

const magic = 0x07230203

// Parse decodes a module.
func Parse(code []byte) (*Module, error) {
	if len(code) < 20 || len(code)%4 != 0 || binary.LittleEndian.Uint32(code) != magic {
		return nil, fmt.Errorf("spirv: %d bytes that do not begin as SPIR-V, expected whole words and %#08x at first", len(code), magic)
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	m := &Module{
		types: map[uint32]*typ{}, decorations: map[uint32]map[uint32][]uint32{}, members: map[member]map[uint32][]uint32{},
		bound: words[3], size: [3]uint32{1, 1, 1},
	}
	inside, line, functions := false, 0, 0
	for at := 5; at < len(words); {
		n, op := int(words[at]>>16), uint16(words[at])
		if n == 0 || at+n > len(words) {
			return nil, fmt.Errorf("spirv: an instruction of %d words at word %d of %d", n, at, len(words))
		}
		in := &inst{op: op, args: words[at+1 : at+n], line: line, word: at}
		at += n
		if debugging[op] {
			switch op {
			case 8:
				line = int(in.args[1])
			case 317:
				line = 0
			}
			continue
		}
		known, ok := opcodes[op]
		if !ok {
			return nil, fmt.Errorf("spirv: opcode %d at word %d is not known", op, in.word)
		}
		need := int(known.form)
		if len(in.args) < need {
			return nil, fmt.Errorf("spirv: %s at word %d has %d operands, expected %d or more", known.name, in.word, len(in.args), need)
		}
		if known.form == typed {
			in.typ, in.args = in.args[0], in.args[1:]
		}
		if known.form != plain {
			in.id, in.args = in.args[0], in.args[1:]
			if in.id >= m.bound {
				return nil, fmt.Errorf("spirv: %s at word %d has id %d, expected one below %d", known.name, in.word, in.id, m.bound)
			}
		}
		switch {
		case op == opFunction:
			inside = true
			if functions++; functions > 1 {
				return nil, fmt.Errorf("spirv: a second function at word %d: all must be inlined", in.word)
			}
		case op == opFunctionEnd:
			inside = false
		case inside:
			if op == opControlBarrier {
				m.barriers++
			}
			m.body = append(m.body, in)
		default:
			if err := m.global(in); err != nil {
				return nil, err
			}
		}
	}
	if len(m.body) == 0 || m.body[0].op != opLabel || inside {
		return nil, fmt.Errorf("spirv: no function with a block and an end")
	}
	return m, nil
}

func (m *Module) global(in *inst) error {
	a := in.args
	t := &typ{id: in.id}
	switch in.op {
	case opCapability:
		if capabilities[a[0]] == "" {
			return fmt.Errorf("spirv: capability %d is not known", a[0])
		}
		return nil
	case opExtInstImport:
		if name := text(a); name != "GLSL.std.450" {
			return fmt.Errorf("spirv: the instructions %q are not known", name)
		}
		m.glsl = in.id
		return nil
	case opExecutionMode:
		const localSize = 17
		if a[1] != localSize {
			return fmt.Errorf("spirv: execution mode %d is not known", a[1])
		}
		copy(m.size[:], a[2:])
		return nil
	case opDecorate:
		return decorate(m.decorations, a[0], a[1:], in)
	case opMemberDecorate:
		return decorate(m.members, member{a[0], a[1]}, a[2:], in)
	case opExtension, opMemoryModel, opEntryPoint:
		return nil
	case opTypeVoid:
	case opTypeFunction:
		t.kind = kindFunction
	case opTypeBool:
		t.kind = kindBool
	case opTypeInt:
		t.kind, t.width, t.signed = kindInt, a[0], a[1] == 1
	case opTypeFloat:
		t.kind, t.width = kindFloat, a[0]
	case opTypeVector:
		t.kind, t.of, t.count = kindVector, m.types[a[0]], a[1]
	case opTypeArray:
		t.kind, t.of, t.count = kindArray, m.types[a[0]], a[1]
	case opTypeRuntimeArray:
		t.kind, t.of = kindRuntimeArray, m.types[a[0]]
	case opTypeStruct:
		t.kind = kindStruct
		for _, id := range a {
			t.members = append(t.members, m.types[id])
		}
	case opTypePointer:
		t.kind, t.class, t.of = kindPointer, a[0], m.types[a[1]]
	case opTypeImage:
		const buffer = 5
		t.kind, t.of = kindImage, m.types[a[0]]
		if a[1] != buffer {
			return fmt.Errorf("spirv: an image of dimension %d, expected texel buffers (%d)", a[1], buffer)
		}
	case opTypeCooperativeMatrix:
		t.kind, t.of, t.shape = kindMatrix, m.types[a[0]], [3]uint32(a[2:5])
	default:
		m.globals = append(m.globals, in)
		return nil
	}
	if t.kind == kindInt && t.width != 32 || t.kind == kindFloat && t.width != 32 && t.width != 16 {
		return fmt.Errorf("spirv: numbers of %d bits are not known", t.width)
	}
	m.types[in.id] = t
	return nil
}

func decorate[K comparable](to map[K]map[uint32][]uint32, of K, args []uint32, in *inst) error {
	switch d := args[0]; d {
	case decSpecID, decArrayStride, decBuiltIn, decNonWritable, decNonReadable, decBinding, decDescriptorSet, decOffset:
		if to[of] == nil {
			to[of] = map[uint32][]uint32{}
		}
		to[of][d] = args[1:]
	default:
		if !harmless[d] {
			return fmt.Errorf("spirv: decoration %d at word %d is not known", d, in.word)
		}
	}
	return nil
}

// decoration returns the number of a decoration that has one.
func (m *Module) decoration(id, d uint32) (uint32, bool) {
	args, ok := m.decorations[id][d]
	if !ok || len(args) == 0 {
		return 0, ok
	}
	return args[0], true
}

// Barriers is the number of the module's control barriers.
func (m *Module) Barriers() int { return m.barriers }

// WithoutBarrier is the module without its control barrier number n, counted from 0: for tests that hold barriers to
// being needed.
func (m *Module) WithoutBarrier(n int) *Module {
	without := *m
	without.body = slices.Clone(m.body)
	without.body = slices.DeleteFunc(without.body, func(in *inst) bool {
		if in.op != opControlBarrier {
			return false
		}
		n--
		return n == -1
	})
	without.barriers--
	return &without
}

// text is a string of SPIR-V.
func text(words []uint32) string {
	var b strings.Builder
	for _, w := range words {
		for ; w != 0; w >>= 8 {
			b.WriteByte(byte(w))
		}
	}
	return b.String()
}
