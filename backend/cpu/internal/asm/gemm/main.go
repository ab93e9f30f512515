// Command gemm writes the micro-kernels of package gemm for amd64:
//
//	go generate ./backend/cpu/internal/gemm
//
// It is in a module of its own, so that nobody needs avo to build Caldera.
package main

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var (
	avx512 = isa{name: "AVX512", lanes: 16, rows: 4, columns: []int{6, 2, 1}, widths: []int{3, 2, 1}, outerRows: 8}
	avx2   = isa{name: "AVX2", lanes: 8, rows: 3, columns: []int{4, 2, 1}, widths: []int{3, 2, 1}, outerRows: 4}
)

func main() {
	ConstraintExpr("amd64")
	for _, m := range []isa{avx512, avx2} {
		for _, t := range []dtype{f32, f16, bf16} {
			for _, columns := range m.columns {
				m.dot(t, columns)
			}
			for _, width := range m.widths {
				m.outer(t, m.outerRows, width)
			}
			m.outer(t, 1, 12)
		}
		for _, t := range []dtype{q8, q4} {
			for _, columns := range []int{4, 2, 1} {
				m.dot(t, columns)
			}
		}
	}
	fetchMemory()
	dotSSE(4)
	dotSSE(1)
	outerSSE(4, 2)
	outerSSE(4, 1)
	outerSSE(1, 8)
	Generate()
}

// isa is an instruction set, with the sizes of tiles that its registers hold.
type isa struct {
	name      string
	lanes     int
	rows      int   // of a dot tile
	columns   []int // of dot tiles
	outerRows int   // of an outer tile
	widths    []int // of outer tiles, in registers
}

// wide reports whether registers are those of AVX-512.
func (m isa) wide() bool { return m.lanes == 16 }

func (m isa) vector() reg.VecVirtual {
	if m.wide() {
		return ZMM()
	}
	return YMM()
}

// zero clears a register. avo's own instruction reads the register first, so that it would
// be taken for in use from the beginning of the function on.
func (m isa) zero(z reg.Register) {
	opcode := "VXORPS"
	if m.wide() {
		opcode = "VPXORD"
	}
	Instruction(&ir.Instruction{Opcode: opcode, Operands: []Op{z, z, z}, Inputs: []Op{z, z}, Outputs: []Op{z}, CancellingInputs: true})
}

// dtype is what the numbers of a matrix are.
type dtype struct {
	name  string
	bytes int // of a number, or of a block of 32
	block bool
}

var (
	f32  = dtype{name: "F32", bytes: 4}
	f16  = dtype{name: "F16", bytes: 2}
	bf16 = dtype{name: "BF16", bytes: 2}
	q8   = dtype{name: "Q8", bytes: 34, block: true}
	q4   = dtype{name: "Q4", bytes: 18, block: true}
)

// load loads a register of numbers and converts them to float32.
func (m isa) load(t dtype, from Mem, z reg.VecVirtual) {
	switch t {
	case f32:
		VMOVUPS(from, z)
	case f16:
		VCVTPH2PS(from, z)
	case bf16:
		VPMOVZXWD(from, z)
		VPSLLD(Imm(16), z, z)
	}
}

// loadMasked is load for some of the lanes, with AVX-512. Memory of the others is not read.
func (m isa) loadMasked(t dtype, from Mem, k reg.OpmaskVirtual, z reg.VecVirtual) {
	switch t {
	case f32:
		VMOVUPS_Z(from, k, z)
	case f16:
		VCVTPH2PS_Z(from, k, z)
	case bf16:
		VPMOVZXWD_Z(from, k, z)
		VPSLLD(Imm(16), z, z)
	}
}

// mask puts a one into k for each of n lanes. It changes n.
func mask(n reg.GPVirtual, k reg.OpmaskVirtual) {
	ones := GP64()
	MOVQ(I32(1), ones)
	SHLXQ(n, ones, ones)
	DECQ(ones)
	KMOVW(ones.As32(), k)
}

// vectors are the addresses of rows that lie at one distance from each other.
type vectors struct {
	base       reg.GPVirtual
	s1, s3, s5 reg.Register // the distance, 3 and 5 times
}

// stride sets the distance of n rows.
func (v *vectors) stride(n int, stride reg.GPVirtual) {
	v.s1 = stride
	if n > 3 {
		s3 := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s3)
		v.s3 = s3
	}
	if n > 5 {
		s5 := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, s5)
		v.s5 = s5
	}
}

// at is a number of bytes behind where a row begins.
func (v vectors) at(row, bytes int) Mem {
	m := Mem{Base: v.base, Disp: bytes}
	switch row {
	case 1, 2, 4:
		m.Index, m.Scale = v.s1, uint8(row)
	case 3:
		m.Index, m.Scale = v.s3, 1
	case 5:
		m.Index, m.Scale = v.s5, 1
	}
	return m
}

func param(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// fetchMemory writes what asks for memory that will be read.
func fetchMemory() {
	TEXT("fetchSSE", NOSPLIT, "func(address uintptr, n int)")
	Pragma("noescape")
	Doc("fetchSSE asks for n bytes of memory, which need not be there. n is above 0.")
	address, left := param("address"), param("n")
	Label("line")
	PREFETCHT0(Mem{Base: address})
	ADDQ(Imm(64), address)
	SUBQ(Imm(64), left)
	JG(LabelRef("line"))
	RET()
}

// tables are the constants in memory.
var tables = map[string]Mem{}

// table is words in memory, which are written at the first call.
func table(name string, words ...Constant) Mem {
	m, ok := tables[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		for i, w := range words {
			DATA(4*i, w)
		}
		tables[name] = m
	}
	return m
}

// masks is 8 words of ones and 8 of zeros.
func masks() Mem {
	words := slices.Repeat([]Constant{U32(0xffffffff)}, 8)
	return table("masks", append(words, slices.Repeat([]Constant{U32(0)}, 8)...)...)
}

// float is a float32. avo writes one that is whole like an integer, and so it would be assembled.
func float(v int) Constant { return U32(math.Float32bits(float32(v))) }

// fours is what the 16 values of a number of q4_0 stand for.
func fours() Mem {
	var words []Constant
	for i := range 16 {
		words = append(words, float(i-8))
	}
	return table("fours", words...)
}

func minusEight() Mem { return table("minusEight", slices.Repeat([]Constant{float(-8)}, 8)...) }
