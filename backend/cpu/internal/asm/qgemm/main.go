// This program writes the amd64 assembly of package qgemm, and the Go declarations of its
// functions. Run go generate in that package.
//
// Registers are physical ones, for each kernel is laid out by hand. The operands of
// instructions are in the order of Go's assembler: what is written comes last.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	for _, s := range sets {
		for _, k := range s.kernels {
			for _, rows := range []int{1, 2, 4} {
				s.tile(k, rows)
			}
		}
	}
	tables()
	constants()
	for _, s := range []set{vnni512, vnni512few, vnni} {
		s.packQ8()
		s.packQ4()
		s.packQ41()
		s.packQ50()
		s.packQ51()
		s.packQ4K()
		s.packQ5K()
		s.packQ6K()
		s.packIQ4NL()
		s.packIQ4XS()
		s.packMXFP4()
	}
	vnni256.oneQ8()
	vnni512few.oneQ4()
	vnni.oneQ8()
	vnni.oneQ4()

	for _, s := range []set{vnni512few, vnni, avx2} {
		for _, b := range []superBlock{q4k, q5k, q6k} {
			s.oneK(b)
		}
		for _, b := range []smallBlock{q41, q50, q51, mxfp4} {
			s.oneSmall(b)
		}
		if s.vnni { // two products of bytes above 128 do not fit a word
			s.oneSmall(iq4nl)
		} else {
			s.oneSmall(q40)
			s.oneQ8()
		}
	}
	quantize()
	quantize512()
	prefetch()
	Generate()
}
