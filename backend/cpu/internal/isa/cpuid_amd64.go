package isa

// cpuid is the instruction, of leaf 0: package cpu of golang.org/x/sys keeps the maker's name to itself.
func cpuid() (b, d, c uint32)

// amd reports whether AMD made the processor.
func amd() bool {
	b, d, c := cpuid()
	return b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163 // AuthenticAMD
}
