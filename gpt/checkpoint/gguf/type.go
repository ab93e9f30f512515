package gguf

import (
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
)

// Type is how the elements of a tensor are stored, by ggml's number for it.
type Type uint32

// TypeOf is the type of tensors of dtype d, which is one that GGUF has.
func TypeOf(d backend.DType) Type {
	n, _, _ := d.GGUF()
	return Type(n)
}

// DType is the dtype of tensors of type t, or None if they are not read.
func (t Type) DType() backend.DType { return backend.OfGGUF(uint32(t)) }

// typeNames are ggml's names, of types that are not read too, for messages.
var typeNames = map[Type]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
	10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func (t Type) String() string {
	if d := t.DType(); d != backend.None {
		return d.FileName()
	}
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// known lists the types that are read, for messages.
func known() string {
	var names []string
	for t := range typeNames {
		if t.DType() != backend.None {
			names = append(names, t.String())
		}
	}
	slices.Sort(names)
	return "one of " + strings.Join(names, ", ")
}
