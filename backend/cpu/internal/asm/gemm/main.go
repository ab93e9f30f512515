// Command gemm writes the micro-kernels of package gemm for amd64:
//
//	go generate ./backend/cpu/internal/gemm
//
// It is in a module of its own, so that Caldera can be built without avo.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, dtype := range []string{"F32", "F16", "BF16"} {
		for _, columns := range []int{6, 2, 1} {
			dot512(dtype, columns)
		}
	}
	outer512(8, 3)
	outer512(8, 2)
	outer512(1, 6)
	Generate()
}

// at is the vector of a row: base + row·stride + disp, where strides holds 1, 3 and 5 times
// the stride.
type rows struct {
	base       reg.GPVirtual
	s1, s3, s5 reg.Register
}

func (r rows) at(row, disp int) Mem {
	m := Mem{Base: r.base, Disp: disp, Scale: 1}
	switch row {
	case 0:
		return Mem{Base: r.base, Disp: disp}
	case 1, 2, 4:
		m.Index, m.Scale = r.s1, uint8(row)
	case 3:
		m.Index = r.s3
	case 5:
		m.Index = r.s5
	case 6:
		m.Index, m.Scale = r.s3, 2
	}
	return m
}

// stride fills the strides for n rows.
func (r *rows) stride(n int, stride reg.GPVirtual) {
	r.s1 = stride
	if n > 3 {
		s3 := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s3)
		r.s3 = s3
	}
	if n > 5 {
		s5 := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, s5)
		r.s5 = s5
	}
}

// zero clears a register. avo's VPXORD takes it for read, and so for in use from the
// beginning of the function on.
func zero(z reg.Register) {
	Instruction(&ir.Instruction{Opcode: "VPXORD", Operands: []Op{z, z, z}, Inputs: []Op{z, z}, Outputs: []Op{z}, CancellingInputs: true})
}
