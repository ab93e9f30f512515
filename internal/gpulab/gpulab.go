// Package gpulab is what compilers of GPUs make of Caldera's kernels, on GPUs that are not
// there: the cards, how their drivers' statistics and machine code are read (driver.go,
// code.go), what is demanded of them (floor.go), and the page that shows it
// (docs/results/gpus.md, page.go). The tests of backend/vulkan open the drivers.
package gpulab

import (
	"fmt"
	"slices"
)

// Card is a GPU that scripts/gpulab.sh plays.
type Card struct {
	Name    string // as the script takes it
	Title   string // for people
	Maker   Maker
	Release string // of Debian, whose driver plays it
	Device  string // a part of the name that the driver gives it
	Test    bool   // it belongs to make test; the others to make test-gpus
	Judged  bool   // spills and occupancy are demanded; else they are reported
	GCN     bool   // an AMD card of that architecture; others have RDNA
	Small   bool   // it tells of more memory than it can be given
	Cores   int    // of the card, where the player tells its driver of fewer; else 0
}

// Maker is whose compiler it is that makes the machine code.
type Maker string

// The makers of cards, and drivers.
const (
	AMD      Maker = "AMD"      // RADV, compiler ACO, which is what its users have
	NVIDIA   Maker = "NVIDIA"   // NVK, compiler NAK: not NVIDIA's own, which most of its users have
	Apple    Maker = "Apple"    // Honeykrisp
	Qualcomm Maker = "Qualcomm" // Turnip
	Intel    Maker = "Intel"    // anv
)

// Cards are all of them.
var Cards = []Card{
	{"polaris10", "AMD RX 480 (GCN 4)", AMD, "trixie", "RADV POLARIS10", false, true, true, false, 0},
	{"navi21", "AMD RX 6800 (RDNA 2)", AMD, "trixie", "RADV NAVI21", false, true, false, false, 0},
	{"navi31", "AMD RX 7900 (RDNA 3)", AMD, "trixie", "RADV NAVI31", true, true, false, false, 0},
	{"gfx1201", "AMD RX 9070 (RDNA 4)", AMD, "sid", "RADV GFX1201", false, true, false, false, 0},
	{"turing", "NVIDIA Turing", NVIDIA, "trixie", "NVK", false, false, false, false, 68},
	{"ampere", "NVIDIA Ampere", NVIDIA, "trixie", "NVK", true, false, false, false, 82},
	{"ada", "NVIDIA Ada", NVIDIA, "sid", "NVK", false, false, false, false, 128},
	{"blackwell", "NVIDIA Blackwell", NVIDIA, "sid", "NVK", false, false, false, false, 170},
	{"gh100", "NVIDIA Hopper (GH100)", NVIDIA, "sid", "NVK", false, false, false, false, 132},
	{"m1", "Apple M1", Apple, "sid", "Apple", false, true, false, true, 0},
	{"adreno", "Qualcomm Adreno 740", Qualcomm, "sid", "Adreno", false, false, false, true, 0},
	{"dg2", "Intel Arc A770 (DG2)", Intel, "sid", "Intel", false, true, false, false, 0},
	{"tgl", "Intel Iris Xe (Tiger Lake)", Intel, "sid", "Intel", false, true, false, false, 0},
}

// Find returns the card of that name.
func Find(name string) (Card, error) {
	i := slices.IndexFunc(Cards, func(c Card) bool { return c.Name == name })
	if i < 0 {
		return Card{}, fmt.Errorf("there is no card %q: expected a name of scripts/gpulab.sh", name)
	}
	return Cards[i], nil
}

// Kernel is what a driver made of a pipeline. Numbers that it does not tell are 0.
type Kernel struct {
	Name string   `json:"name"`           // of the shader's variant
	Spec string   `json:"spec,omitempty"` // its specialization constants
	Uses []string `json:"uses,omitempty"` // what dispatches it: "gpt2 f16 decode"; none: the conformance suite alone

	Subgroup     int `json:"subgroup"`
	Registers    int `json:"registers"` // of a lane, 32 bits each, of Apple 16 bits; of Intel those of a thread that are in use at once, 32 bytes each
	Occupancy    int `json:"occupancy"` // subgroups that a SIMD unit (AMD) or multiprocessor (NVIDIA) holds at once, at most
	Instructions int `json:"instructions"`
	InFlight     int `json:"in_flight"` // bytes of global loads of a lane before the first wait, in the loop that loads most
	Spilled      int `json:"spilled,omitempty"`
	SpilledSGPRs int `json:"spilled_sgprs,omitempty"` // to vector registers, on AMD
	Scratch      int `json:"scratch,omitempty"`       // bytes of a lane
}

// Source is the name of the shader, without the macros of the variant.
func (k Kernel) Source() string {
	for i, r := range k.Name {
		if r == '.' {
			return k.Name[:i]
		}
	}
	return k.Name
}

// Report is what was seen on a card.
type Report struct {
	Card      string   `json:"card"`
	Device    string   `json:"device"` // as the backend describes it
	Pipelines int      `json:"pipelines"`
	Kernels   []Kernel `json:"kernels"` // those that models use
}
