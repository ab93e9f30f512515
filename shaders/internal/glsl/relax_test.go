package glsl

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// module is SPIR-V of these instructions, with room for ids below 20.
func module(list ...[]uint32) (code []byte) {
	words := []uint32{0x07230203, 0x10300, 0, 20, 0}
	for _, in := range list {
		words = append(words, uint32(len(in))<<16|in[0])
		words = append(words, in[1:]...)
	}
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return code
}

// TestRelax: what accesses make available and visible, barriers do instead; what else memory operands say stays.
func TestRelax(t *testing.T) {
	with := func(model, bound uint32, load, store, matrixLoad, matrixStore, semantics []uint32, constants ...[]uint32) []byte {
		list := [][]uint32{{opMemoryModel, 0, model}, {opConstant, 1, 2, 264}}
		list = append(list, constants...)
		list = append(list, [][]uint32{
			{opFunction, 1, 3, 0, 4}, append([]uint32{opLoad, 1, 5, 6}, load...), append([]uint32{opStore, 6, 5}, store...),
			append([]uint32{opCooperativeMatrixLoad, 1, 7, 6, 8, 9}, matrixLoad...), append([]uint32{opCooperativeMatrixStore, 6, 7, 8, 9}, matrixStore...),
			append([]uint32{opControlBarrier, 2, 2}, semantics...), append([]uint32{opControlBarrier, 2, 2}, semantics...),
		}...)
		code := module(list...)
		binary.LittleEndian.PutUint32(code[12:], bound)
		return code
	}
	before := func(model uint32) []byte {
		return with(model, 20, []uint32{0x32, 16, 2}, []uint32{0x28, 2}, []uint32{0x30, 2}, []uint32{0x2a, 4, 2}, []uint32{2})
	}
	got, err := relax(before(vulkanMemoryModel))
	want := with(vulkanMemoryModel, 21, []uint32{0x22, 16}, []uint32{0x20}, []uint32{0x20}, []uint32{0x22, 4}, []uint32{20}, []uint32{opConstant, 1, 20, 264 | 0x6000})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, error %v, expected %v", got, err, want)
	}
	if got, err := relax(before(1)); err != nil || !bytes.Equal(got, before(1)) {
		t.Errorf("code with the memory model of GLSL has changed, error %v", err)
	}
	for what, code := range map[string][]byte{
		"half a word":    before(vulkanMemoryModel)[:30],
		"a cut module":   before(vulkanMemoryModel)[:36],
		"an empty word":  append(before(vulkanMemoryModel), 0, 0, 0, 0),
		"no constant":    module([]uint32{opMemoryModel, 0, vulkanMemoryModel}, []uint32{opFunction, 1, 3, 0, 4}, []uint32{opControlBarrier, 2, 2, 9}),
		"less than that": {3, 2, 35, 7},
	} {
		if _, err := relax(code); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
