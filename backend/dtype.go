package backend

import (
	"fmt"
	"strings"
)

// DType is how the elements of a tensor are stored. Arithmetic is done in
// float32 whatever the storage.
//
// Elements come in blocks: one element for plain types, more for types that
// share a scale between neighbours. A tensor of such a type holds whole
// blocks along its last axis, whose elements are neighbours in memory.
type DType uint8

const (
	None DType = iota // of the zero Tensor: an optional operand that is absent
	F32               // IEEE 754 binary32
	F16               // IEEE 754 binary16
	I32               // two's complement; token ids and positions
	Q8_0              // blocks of 32: an f16 scale, then 32 signed bytes; see quantize.go
	Q4_0              // blocks of 32: an f16 scale, then 32 numbers of 4 bits
)

var dtypes = [...]struct {
	name         string
	block, bytes int
}{
	None: {"none", 1, 0},
	F32:  {"f32", 1, 4},
	F16:  {"f16", 1, 2},
	I32:  {"i32", 1, 4},
	Q8_0: {"q8_0", 32, 34},
	Q4_0: {"q4_0", 32, 18},
}

func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType is the inverse of String.
func ParseDType(s string) (DType, error) {
	var names []string
	for d := F32; int(d) < len(dtypes); d++ {
		if dtypes[d].name == s {
			return d, nil
		}
		names = append(names, dtypes[d].name)
	}
	return None, fmt.Errorf("unknown dtype %q: expected one of %s", s, strings.Join(names, ", "))
}

// Valid reports whether d is the type of an actual tensor.
func (d DType) Valid() bool { return d > None && int(d) < len(dtypes) }

// Quantized reports whether d is a type of blocks that share a scale.
func (d DType) Quantized() bool { return d.BlockLen() > 1 }

// BlockLen is the number of elements in a block.
func (d DType) BlockLen() int { return dtypes[d].block }

// BlockBytes is the number of bytes of a block.
func (d DType) BlockBytes() int { return dtypes[d].bytes }

// Bytes is the number of bytes of n elements, n a multiple of BlockLen.
func (d DType) Bytes(n int) int { return n / dtypes[d].block * dtypes[d].bytes }
