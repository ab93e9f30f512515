package gpulab

import "fmt"

// names are what drivers call a number; the first of them that there is counts. Not all
// versions have all of them.
type names struct {
	registers, occupancy, instructions, spilled, spilledSGPRs, scratch []string
}

var statisticsOf = map[Maker]names{
	AMD: {
		registers: []string{"VGPRs"}, occupancy: []string{"Subgroups per SIMD"}, instructions: []string{"Instructions"},
		spilled: []string{"Spilled VGPRs"}, spilledSGPRs: []string{"Spilled SGPRs"}, scratch: []string{"Scratch size"},
	},
	NVIDIA: {
		registers: []string{"Number of GPRs"}, occupancy: []string{"Max warps/SM"}, instructions: []string{"Instruction count"},
		spilled: []string{"Spills to memory"}, scratch: []string{"SLM Size"},
	},
	Apple: {
		registers: []string{"GPRs"}, instructions: []string{"Instructions", "Instrs"}, spilled: []string{"Spills"}, scratch: []string{"Scratch size", "Scratch"},
	},
	Qualcomm: {
		registers: []string{"Registers used", "Max Register"}, occupancy: []string{"Max Waves Per Core"}, instructions: []string{"Instruction Count"},
		scratch: []string{"Private memory size", "Scratch size"},
	},
	Intel: {
		registers:    []string{"Max live registers"}, // of 32 bytes, of a thread
		instructions: []string{"Instructions"}, spilled: []string{"Spills"}, scratch: []string{"Scratch Memory Size"},
	},
}

// Read reads what a driver tells of machine code: its statistics, by the names that it gives
// them, and the code. Name, Spec, Uses and Subgroup of the kernel are the caller's.
func Read(m Maker, statistics map[string]float64, code string) (k Kernel, err error) {
	of := statisticsOf[m]
	for _, n := range []struct {
		what     string
		to       *int
		names    []string
		required bool
	}{
		{"registers", &k.Registers, of.registers, true},
		{"instructions", &k.Instructions, of.instructions, true},
		{"occupancy", &k.Occupancy, of.occupancy, m == AMD},
		{"spilled registers", &k.Spilled, of.spilled, m == AMD || m == Intel || m == Apple},
		{"spilled scalar registers", &k.SpilledSGPRs, of.spilledSGPRs, m == AMD},
		{"scratch memory", &k.Scratch, of.scratch, m == AMD || m == Intel || m == Apple},
	} {
		found := false
		for _, name := range n.names {
			if v, ok := statistics[name]; ok {
				*n.to, found = int(v), true
				break
			}
		}
		if n.required && !found {
			return k, fmt.Errorf("the driver does not tell %s by any of the names %q: it tells %v", n.what, n.names, statistics)
		}
	}
	if m == NVIDIA && k.Occupancy == 0 { // older versions do not tell
		k.Occupancy = warps(k.Registers)
	}
	k.InFlight = InFlight(m, code)
	return k, nil
}

// warps is how many warps of so many registers a lane the register file of a multiprocessor
// holds: 64 Ki registers, given out by 8 for each lane of a warp of 32, for at most 48 warps
// (Turing 32, Hopper 64).
func warps(registers int) int {
	return min(48, 65536/32/max(8, (registers+7)/8*8))
}
