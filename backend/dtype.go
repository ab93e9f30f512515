package backend

import "fmt"

// DType is how the elements of a tensor are stored. Arithmetic is done in
// float32 whatever the storage.
//
// Elements come in blocks: one element for plain types, more for types that
// share a scale between neighbours. A tensor of such a type holds whole
// blocks along its last axis.
type DType uint8

const (
	None DType = iota // of the zero Tensor: an optional operand that is absent
	F32               // IEEE 754 binary32
	F16               // IEEE 754 binary16
	I32               // two's complement; token ids and positions
)

var dtypes = [...]struct {
	name         string
	block, bytes int
}{
	None: {"none", 1, 0},
	F32:  {"f32", 1, 4},
	F16:  {"f16", 1, 2},
	I32:  {"i32", 1, 4},
}

func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType is the inverse of String.
func ParseDType(s string) (DType, error) {
	for d := F32; int(d) < len(dtypes); d++ {
		if dtypes[d].name == s {
			return d, nil
		}
	}
	return None, fmt.Errorf("unknown dtype %q: expected f32, f16 or i32", s)
}

// Valid reports whether d is the type of an actual tensor.
func (d DType) Valid() bool { return d > None && int(d) < len(dtypes) }

// BlockLen is the number of elements in a block.
func (d DType) BlockLen() int { return dtypes[d].block }

// BlockBytes is the number of bytes of a block.
func (d DType) BlockBytes() int { return dtypes[d].bytes }

// Bytes is the number of bytes of n elements, n a multiple of BlockLen.
func (d DType) Bytes(n int) int { return n / dtypes[d].block * dtypes[d].bytes }
