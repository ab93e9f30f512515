package shaders

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
)

// surface is what a module shows to Vulkan.
type surface struct {
	Push     []field
	Bindings []Binding
}

// crossReflection reads it with spirv-cross, which does not know cooperative matrices.
func crossReflection(t *testing.T, code []byte) surface {
	t.Helper()
	type resource struct {
		Type, Name   string
		Set, Binding int
		ReadOnly     bool
	}
	var j struct {
		Types map[string]struct{ Members []field }
		SSBOs []resource `json:"ssbos"`
		Texel []resource `json:"separate_images"`
		Push  []resource `json:"push_constants"`
		Other []resource `json:"ubos"`
		More  []resource `json:"images"`
	}
	if err := json.Unmarshal(tool(t, code, "spirv-cross", "-", "--reflect"), &j); err != nil {
		t.Fatal(err)
	}
	if len(j.Push) > 1 || len(j.Other)+len(j.More) > 0 {
		t.Fatalf("%d blocks of push constants, %d uniform buffers, %d images: expected at most 1, 0, 0", len(j.Push), len(j.Other), len(j.More))
	}
	unnamed := func(name string) string {
		if strings.HasPrefix(name, "_") {
			return ""
		}
		return strings.TrimSuffix(name, "_")
	}
	s := surface{}
	if len(j.Push) == 1 {
		s.Push = slices.Clone(j.Types[j.Push[0].Type].Members)
	}
	for i := range s.Push {
		s.Push[i].Name = unnamed(s.Push[i].Name)
	}
	s.Bindings = make([]Binding, len(j.SSBOs)+len(j.Texel))
	add := func(r resource, name string, texel bool) {
		if r.Set != 0 || r.Binding < 0 || r.Binding >= len(s.Bindings) {
			t.Fatalf("%s: set %d binding %d, expected set 0 and bindings in a row", r.Name, r.Set, r.Binding)
		}
		s.Bindings[r.Binding] = Binding{unnamed(name), texel, texel || r.ReadOnly}
	}
	for _, r := range j.SSBOs {
		name := ""
		if members := j.Types[r.Type].Members; len(members) == 1 && members[0].Offset == 0 {
			name = members[0].Name
		}
		add(r, name, false)
	}
	for _, r := range j.Texel {
		if r.Type != "samplerBuffer" && r.Type != "usamplerBuffer" {
			t.Fatalf("%s is a %s, expected a texel buffer", r.Name, r.Type)
		}
		add(r, r.Name, true)
	}
	return s
}

// reflection reads it from the instructions, of any code. Names are empty in optimised code.
func reflection(t *testing.T, code []byte) surface {
	t.Helper()
	type member struct {
		name     string
		typ      uint32
		offset   int
		readOnly bool
	}
	types := map[uint32]string{}     // of push constants' fields; "image" of texel buffers
	members := map[uint32][]member{} // of structs
	points := map[uint32]uint32{}    // types of pointers, to what
	names := map[uint32]string{}     // of variables and struct members
	binding := map[uint32]int{}      // of variables
	s := surface{}
	at := func(id, i uint32) *member { // what is told of a member comes before its struct
		for len(members[id]) <= int(i) {
			members[id] = append(members[id], member{})
		}
		return &members[id][i]
	}
	bound := map[int]Binding{}
	for op, w := range instructions(code) {
		switch op {
		case 5: // OpName: target, name
			names[w[0]] = text(w[1:])
		case 6: // OpMemberName: type, member, name
			at(w[0], w[1]).name = text(w[2:])
		case 71: // OpDecorate: target, decoration, …
			switch w[1] {
			case 33:
				binding[w[0]] = int(w[2])
			case 34:
				if w[2] != 0 {
					t.Fatalf("a variable is in descriptor set %d, expected 0", w[2])
				}
			}
		case 72: // OpMemberDecorate: type, member, decoration, …
			switch w[2] {
			case 24: // NonWritable
				at(w[0], w[1]).readOnly = true
			case 35: // Offset
				at(w[0], w[1]).offset = int(w[3])
			}
		case 21: // OpTypeInt: result, width, signed
			types[w[0]] = []string{"uint", "int"}[w[2]]
		case 22: // OpTypeFloat: result, width
			types[w[0]] = "float"
		case 23: // OpTypeVector: result, component, count
			types[w[0]] = map[string]string{"uint": "uvec", "int": "ivec", "float": "vec"}[types[w[1]]] + fmt.Sprint(w[2])
		case 25: // OpTypeImage
			types[w[0]] = "image"
		case 30: // OpTypeStruct: result, members …
			for i, typ := range w[1:] {
				at(w[0], uint32(i)).typ = typ
			}
		case 32: // OpTypePointer: result, storage class, type
			points[w[0]] = w[2]
		case 59: // OpVariable: type, result, storage class
			typ := points[w[0]]
			switch w[2] {
			case 9: // PushConstant
				for _, m := range members[typ] {
					s.Push = append(s.Push, field{strings.TrimSuffix(m.name, "_"), types[m.typ], m.offset})
				}
			case 12: // StorageBuffer
				b := Binding{ReadOnly: true}
				for _, m := range members[typ] {
					b.ReadOnly = b.ReadOnly && m.readOnly
				}
				if m := members[typ]; len(m) == 1 && m[0].offset == 0 {
					b.Name = strings.TrimSuffix(m[0].name, "_")
				}
				bound[binding[w[1]]] = b
			case 0: // UniformConstant
				if types[typ] != "image" {
					t.Fatalf("%s is no texel buffer", names[w[1]])
				}
				bound[binding[w[1]]] = Binding{names[w[1]], true, true}
			case 2: // Uniform
				t.Fatal("a uniform buffer")
			}
		}
	}
	s.Bindings = make([]Binding, len(bound))
	for i, b := range bound {
		if i >= len(s.Bindings) {
			t.Fatalf("binding %d of %d: expected bindings in a row", i, len(bound))
		}
		s.Bindings[i] = b
	}
	return s
}

// constant is a specialization constant.
type constant struct {
	Name, Type string
}

// constants are those of a module by constant_id. Those of a workgroup's size
// have no name, nor has any in optimised code.
func constants(code []byte) map[int]constant {
	ids, names, types, all := map[uint32]int{}, map[uint32]string{}, map[uint32]string{}, map[int]constant{}
	add := func(id uint32, typ string) {
		if i, ok := ids[id]; ok {
			all[i] = constant{names[id], typ}
		}
	}
	for op, w := range instructions(code) {
		switch op {
		case 5: // OpName: target, name
			names[w[0]] = text(w[1:])
		case 71: // OpDecorate: target, decoration, …
			if w[1] == 1 { // SpecId
				ids[w[0]] = int(w[2])
			}
		case 21: // OpTypeInt: result, width, signed
			types[w[0]] = []string{"uint", "int"}[w[2]]
		case 48, 49: // OpSpecConstantTrue, OpSpecConstantFalse: type, result
			add(w[1], "bool")
		case 50: // OpSpecConstant: type, result, value
			add(w[1], types[w[0]])
		}
	}
	return all
}

// instructions are those of a module: opcode and operands.
func instructions(code []byte) iter.Seq2[uint32, []uint32] {
	return func(yield func(uint32, []uint32) bool) {
		words := make([]uint32, len(code)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(code[4*i:])
		}
		for words = words[5:]; len(words) > 0; words = words[words[0]>>16:] {
			if !yield(words[0]&0xffff, words[1:words[0]>>16]) {
				return
			}
		}
	}
}

// text is a string among the operands of an instruction.
func text(words []uint32) string {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
