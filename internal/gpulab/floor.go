package gpulab

import (
	"fmt"
	"strings"
)

// Floor is the least occupancy of a family of kernels on the cards of a maker. A kernel falls
// below it when a change makes it take more registers or shared memory: the change is wrong
// then, or the floor, and whoever lowers it says why.
type Floor struct {
	Source string // of the shader; "*": all that have no row
	Spec   string // that the kernel's constants begin with or contain; empty: any
	Maker  Maker
	Card   string // of the maker; empty: all
	Least  int
	Why    string
}

// Floors are searched from the first to the last. Of AMD they are for RDNA, whose SIMD units
// hold up to 32 subgroups as the driver counts; GCN's have a quarter of the registers for each
// subgroup, and a quarter of the floor.
var Floors = []Floor{
	{"attention", "Queries 1,", AMD, "", 12, "one query reads keys and values from memory once; four keys at a time share what is read of it, in up to 120 registers"},
	{"attention", "", AMD, "", 4, "a workgroup of one subgroup keeps up to 8 queries and their scores in 16 KiB of shared memory, so that a key is read once for all of them: four workgroups share the unit's part of it"},
	{"attention_one", "", AMD, "", 8, "each lane has 128 bytes of keys and values or more in flight: 64 KiB in 8 subgroups of 64"},
	{"attention_matrix", "", AMD, "", 2, "queries lie in shared memory, in halves, beside keys, values and scores: 36 to 62 KiB of 128 for four subgroups; a matrix instruction takes as long as many others"},
	{"attention_tile", "", AMD, "", 8, "queries, sums and scores of a block of keys lie in registers, so that shared memory is read once for all of them"},
	{"attention_backward", "", AMD, "", 4, "as attention, with the gradients of the queries"},
	{"linear", "", AMD, "", 12, "a tile of 64×64 takes 16 sums in each of 256 invocations, one of 128×128 takes 64: more registers are more reuse, and 12 leave 80 for each"},
	{"linear_matrix", "Size 4,", AMD, "", 6, "a tile of 128×128 takes 21 KiB of shared memory, of which a unit has 128: no more than six workgroups fit, of a subgroup for each of its SIMD units"},
	{"linear_matrix", "", AMD, "", 8, "sums of a tile lie in the registers of few subgroups; a matrix instruction takes as long as many others"},
	{"linear_vec", "", AMD, "", 8, "four outputs are sums of four parts; each lane has at least 48 bytes in flight, 24 KiB in 8 subgroups"},
	{"linear_rows", "", AMD, "", 8, "up to 16 rows of two outputs are 32 sums of four parts, each added up in shared memory"},
	{"linear_one", "", AMD, "navi21", 6, "RDNA 2 has two thirds of the registers of RDNA 3: with the 448 bytes that a lane asks for of x, gamma, beta and four outputs it has 160; 6 subgroups of 64 lanes have 168 KiB in flight"},
	{"linear_one", "", AMD, "", 8, "a lane asks for up to 512 bytes before it waits for any of them, into registers: 8 subgroups of 64 lanes have 200 KiB in flight"},
	{"expert_linear", "", AMD, "", 6, "up to 16 rows of two outputs are 32 sums, and of mxfp4 as many of a block beside them; the next numbers of w are asked for before those at hand are multiplied"},
	{"route", "", AMD, "", 5, "a workgroup is a token, of which generation has one: the keys of all experts lie in shared memory"},
	{"sample", "", AMD, "", 8, "one workgroup is all of it, so occupancy hides nothing"},
	{"sample_count", "", AMD, "", 6, "a histogram lies in shared memory, and workgroups are fewer than units"},
	{"sample_max", "", AMD, "", 6, "a histogram lies in shared memory, as in sample_count"},
	{"linear_vec_t", "", AMD, "", 16, "bound by memory: half of what fits hides its latency"},
	{"*", "", AMD, "", 16, "bound by memory, with few registers: half of what fits hides its latency"},
}

// floorOf is the row of the table for a kernel on a card.
func floorOf(c Card, k Kernel) (f Floor, ok bool) {
	for _, f := range Floors {
		if f.Maker == c.Maker && (f.Card == c.Name || f.Card == "") && (f.Source == k.Source() || f.Source == "*") && strings.Contains(k.Spec+",", f.Spec) {
			if c.GCN {
				f.Least /= 4
			}
			return f, true
		}
	}
	return f, false
}

// Judge says which kernels have scratch memory or spilled vector registers, or an occupancy
// below the floor. Of cards that are not judged it says nothing.
func Judge(c Card, kernels []Kernel) (faults []string) {
	if !c.Judged {
		return nil
	}
	for _, k := range kernels {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s: %s {%s}: ", c.Name, k.Name, k.Spec)+fmt.Sprintf(format, args...))
		}
		if k.Spilled > 0 || k.Scratch > 0 {
			fault("%d vector registers are spilled, and a lane has %d bytes of scratch memory: expected none of either", k.Spilled, k.Scratch)
		}
		if f, ok := floorOf(c, k); ok && k.Occupancy < f.Least {
			fault("a SIMD unit holds %d subgroups of %d registers, expected at least %d: %s", k.Occupancy, k.Registers, f.Least, f.Why)
		}
	}
	return faults
}
