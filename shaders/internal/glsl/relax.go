package glsl

import (
	"encoding/binary"
	"fmt"
)

// Of SPIR-V: instructions, and bits of memory operands and of semantics.
const (
	opMemoryModel            = 14
	opConstant               = 43
	opFunction               = 54
	opLoad                   = 61
	opStore                  = 62
	opControlBarrier         = 224
	opCooperativeMatrixLoad  = 4457
	opCooperativeMatrixStore = 4458

	vulkanMemoryModel = 3

	accessAligned          = 0x2
	accessMakeAvailable    = 0x8
	accessMakeVisible      = 0x10
	semanticsMakeAvailable = 0x2000
	semanticsMakeVisible   = 0x4000
)

// relax moves from loads and stores to barriers what makes shared memory available to other invocations and visible to
// this one. With the Vulkan memory model, which cooperative matrices need, glslc has it at each load and store of shared
// memory: then drivers wait for each load before the next one. Our shaders have a barrier wherever an invocation reads what
// another one has written, so it belongs there, as without this memory model. Other code stays as it is.
func relax(code []byte) ([]byte, error) {
	if len(code) < 20 || len(code)%4 != 0 {
		return nil, fmt.Errorf("%d bytes are no SPIR-V", len(code))
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	var list [][]uint32
	constants := map[uint32][]uint32{} // by their id
	relaxed := false
	for at := 5; at < len(words); {
		n := int(words[at] >> 16)
		if n == 0 || at+n > len(words) {
			return nil, fmt.Errorf("word %d of SPIR-V begins an instruction of %d words, of %d that are left", at, n, len(words)-at)
		}
		in := words[at : at+n]
		switch op := in[0] & 0xffff; {
		case op == opMemoryModel && n > 2:
			relaxed = in[2] == vulkanMemoryModel
		case op == opConstant && n == 4:
			constants[in[2]] = in
		}
		list, at = append(list, in), at+n
	}
	if !relaxed {
		return code, nil
	}

	bound, made := words[3], map[uint32]uint32{} // constants of semantics, by the id of those that they replace
	var added [][]uint32
	for i, in := range list {
		switch in[0] & 0xffff {
		case opLoad:
			list[i] = plainAccess(in, 4)
		case opStore:
			list[i] = plainAccess(in, 3)
		case opCooperativeMatrixLoad:
			list[i] = plainAccess(in, 6)
		case opCooperativeMatrixStore:
			list[i] = plainAccess(in, 5)
		case opControlBarrier:
			old := constants[in[3]]
			if old == nil {
				return nil, fmt.Errorf("the semantics of a barrier, %%%d, are no constant", in[3])
			}
			id, ok := made[in[3]]
			if !ok {
				id, bound = bound, bound+1
				made[in[3]] = id
				added = append(added, []uint32{old[0], old[1], id, old[3] | semanticsMakeAvailable | semanticsMakeVisible})
			}
			list[i] = []uint32{in[0], in[1], in[2], id}
		}
	}
	out := append([]uint32{}, words[:5]...)
	out[3] = bound
	for _, in := range list {
		if in[0]&0xffff == opFunction {
			for _, c := range added {
				out = append(out, c...)
			}
			added = nil
		}
		out = append(out, in...)
	}
	relaxedCode := make([]byte, 0, 4*len(out))
	for _, w := range out {
		relaxedCode = binary.LittleEndian.AppendUint32(relaxedCode, w)
	}
	return relaxedCode, nil
}

// plainAccess is a load or store whose memory operands, from a word on, if it has any, make nothing available or visible.
func plainAccess(in []uint32, at int) []uint32 {
	if len(in) <= at || in[at]&(accessMakeAvailable|accessMakeVisible) == 0 {
		return in
	}
	out := append([]uint32{}, in[:at]...)
	out = append(out, in[at]&^(accessMakeAvailable|accessMakeVisible))
	if in[at]&accessAligned != 0 {
		out = append(out, in[at+1]) // scopes follow
	}
	out[0] = uint32(len(out))<<16 | in[0]&0xffff
	return out
}
