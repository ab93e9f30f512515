package gguf

import (
	"fmt"
	"slices"
	"strings"
)

// Type is how the elements of a tensor are stored, by ggml's number for it.
type Type uint32

// The types whose tensors are read and written.
const (
	F32  Type = 0  // IEEE 754 binary32
	F16  Type = 1  // IEEE 754 binary16
	Q4_0 Type = 2  // blocks of 32: an f16 scale, then 32 numbers of 4 bits
	Q8_0 Type = 8  // blocks of 32: an f16 scale, then 32 signed bytes
	BF16 Type = 30 // the upper half of an F32
)

// layouts tells how many elements share a block, how many bytes it has, and the
// size of the largest number in it.
var layouts = map[Type]struct{ block, bytes, unit int }{
	F32:  {1, 4, 4},
	F16:  {1, 2, 2},
	BF16: {1, 2, 2},
	Q8_0: {32, 34, 2},
	Q4_0: {32, 18, 2},
}

// typeNames are ggml's names, of types that are not read too, for messages.
var typeNames = map[Type]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
	10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// BlockLen is the number of elements in a block, or 0 if tensors of type t are
// not read.
func (t Type) BlockLen() int { return layouts[t].block }

// BlockBytes is the number of bytes of a block.
func (t Type) BlockBytes() int { return layouts[t].bytes }

func (t Type) unit() int { return max(1, layouts[t].unit) }

// known lists the types that are read, for messages.
func known() string {
	var names []string
	for t := range layouts {
		names = append(names, t.String())
	}
	slices.Sort(names)
	return "one of " + strings.Join(names, ", ")
}
