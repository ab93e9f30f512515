package backend

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// DType says how the elements of a tensor are stored. Arithmetic is in float32 for
// every dtype.
//
// Elements are stored in blocks. A block of a plain dtype has one element. A block
// of a quantised dtype has several elements with a common scale. A tensor of a
// quantised dtype has whole blocks along its last axis, with stride 1.
//
// Each dtype has a file of its name, with its row of the table that all other code
// reads: [Check], flags, file formats, tests. To add a dtype, add such a file, and
// its shader code in shaders/include/pairs or shaders/include/blocks; and kernels in
// backend/cpu, if it has to be fast there.
type DType uint8

// None is the dtype of the zero Tensor: an optional operand that is absent.
const None DType = 0

// Role says which tensors may have a dtype. Results of ops are f32.
type Role uint8

// The roles. A dtype may have several.
const (
	Weights     Role = 1 << iota // matrices and tables
	Caches                       // keys and values
	Activations                  // operands of products with weights of the same dtype or, if quantised, with all quantised weights
	Targets                      // matrices of a whole model, where one asks for a type of them
)

// row is the table's row of a dtype.
type row struct {
	name         string // on command lines; in capitals: in files and as the shader's macro
	block, bytes int    // number of elements in a block, and of bytes
	unit         int    // bytes of the largest number in a block; blocks are aligned to it
	roles        Role
	gguf         *gguf // nil: GGUF has no such dtype of weights
	instead      DType // for rows that are not whole blocks: see Fitting. None: F16
	mixture      mixture

	// encode appends whole blocks, and decode reads them. Both are nil for a
	// dtype that does not hold real numbers.
	encode func(p []byte, values []float32) ([]byte, error)
	decode func(dst []float32, p []byte)
}

// gguf are the numbers of a dtype in GGUF files.
type gguf struct {
	tensor uint32 // ggml_type
	file   uint32 // general.file_type, where most tensors are of this dtype
}

var (
	rows   [256]row
	dtypes []DType // those that have a row, the largest first
)

// enter adds a row to the table.
func enter(d DType, r row) {
	if d == None || rows[d].bytes != 0 {
		panic(fmt.Sprintf("backend: %s: number %d is taken", r.name, d))
	}
	rows[d] = r
	dtypes = append(dtypes, d)
	slices.SortFunc(dtypes, func(a, b DType) int {
		return cmp.Or(rows[b].bytes*rows[a].block-rows[a].bytes*rows[b].block, int(a)-int(b))
	})
}

func (d DType) String() string {
	switch {
	case d == None:
		return "none"
	case !d.Valid():
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return rows[d].name
}

// FileName returns the dtype's name in files and shaders: "Q8_0".
func (d DType) FileName() string { return strings.ToUpper(d.String()) }

// ParseDType is the inverse of String for the dtypes of a role.
func ParseDType(s string, r Role) (DType, error) {
	for _, d := range DTypes(r) {
		if d.String() == s {
			return d, nil
		}
	}
	return None, fmt.Errorf("unknown dtype %q: expected one of %s", s, JoinDTypes(DTypes(r)))
}

// DTypes lists the dtypes that have a role, the largest first.
func DTypes(r Role) (list []DType) {
	for _, d := range dtypes {
		if d.Is(r) {
			list = append(list, d)
		}
	}
	return list
}

// PlainDTypes lists the dtypes of weights that are not quantised.
func PlainDTypes() []DType { return slices.DeleteFunc(DTypes(Weights), DType.Quantized) }

// QuantizedDTypes lists the dtypes of weights that are quantised.
func QuantizedDTypes() []DType {
	return slices.DeleteFunc(DTypes(Weights), func(d DType) bool { return !d.Quantized() })
}

// JoinDTypes joins the names of dtypes for messages and flags: "f32, f16".
func JoinDTypes(ds []DType) string {
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = d.String()
	}
	return strings.Join(names, ", ")
}

// Valid reports whether d is the type of an actual tensor.
func (d DType) Valid() bool { return rows[d].bytes != 0 }

// Is reports whether tensors of that role may be of dtype d.
func (d DType) Is(r Role) bool { return rows[d].roles&r != 0 }

// Quantized reports whether d is a type of blocks that share a scale.
func (d DType) Quantized() bool { return d.BlockLen() > 1 }

// BlockLen is the number of elements in a block.
func (d DType) BlockLen() int { return max(1, rows[d].block) }

// BlockBytes is the number of bytes of a block.
func (d DType) BlockBytes() int { return rows[d].bytes }

// Unit is the alignment of blocks in bytes: the size of the largest number in one.
func (d DType) Unit() int { return rows[d].unit }

// Bytes is the number of bytes of n elements, n a multiple of BlockLen.
func (d DType) Bytes(n int) int { return n / d.BlockLen() * d.BlockBytes() }

// GGUF returns the numbers for d in GGUF files: the ggml_type of tensors, which mixtures
// do not have, and general.file_type. ok is false if GGUF has no such dtype of weights.
func (d DType) GGUF() (tensor, file uint32, ok bool) {
	if g := rows[d].gguf; g != nil {
		return g.tensor, g.file, true
	}
	return 0, 0, false
}

// OfGGUF returns the dtype for a ggml_type in GGUF files, or None if there is none.
func OfGGUF(tensor uint32) DType {
	for _, d := range dtypes {
		if n, _, ok := d.GGUF(); ok && n == tensor && d.Is(Weights) {
			return d
		}
	}
	return None
}

// OfFileName returns the dtype of weights whose FileName is name, or None if there
// is none.
func OfFileName(name string) DType {
	for _, d := range dtypes {
		if rows[d].decode != nil && rows[d].gguf != nil && d.FileName() == name {
			return d
		}
	}
	return None
}

// Encode appends values to p, rounded to dtype d. It returns an error if they are
// not whole blocks, or if d cannot hold a value, such as 70,000 in f16.
func Encode(p []byte, d DType, values []float32) ([]byte, error) {
	switch {
	case rows[d].encode == nil:
		return nil, fmt.Errorf("cannot store numbers as %v", d)
	case len(values)%d.BlockLen() != 0:
		return nil, fmt.Errorf("%d values are not whole blocks of %v, which has %d in each", len(values), d, d.BlockLen())
	}
	return rows[d].encode(p, values)
}

// Decode converts the first len(dst) elements of p, which has dtype d. It returns an
// error if they are not whole blocks or p is too short.
func Decode(dst []float32, d DType, p []byte) error {
	switch {
	case rows[d].decode == nil:
		return fmt.Errorf("%v holds no numbers to decode", d)
	case len(dst)%d.BlockLen() != 0 || len(p) < d.Bytes(len(dst)):
		return fmt.Errorf("%d bytes do not hold %d values of %v", len(p), len(dst), d)
	}
	rows[d].decode(dst, p)
	return nil
}
