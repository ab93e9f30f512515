//go:build cgo

package vulkan

import (
	"slices"

	"caldera/backend/vulkan/internal/vk"
)

// maker is what the GPUs of a maker differ in beside the limits that their drivers tell. It
// has a part in the choice of kernels: see choice.go.
type maker struct {
	name   string
	vendor uint32 // PCI vendor, or Khronos's number

	subgroup    int  // the size of subgroups that pipelines ask for; 0: that which the driver advertises
	matrixLeast bool // cooperative matrices are multiplied by the least subgroups
	attention   int  // the size of subgroups with which attention multiplies cooperative matrices; 0: that of other kernels
	holds       bool // attention on matrices keeps its queries in registers
	varies      bool // drivers that cannot be asked for a size have several

	// How many cores a device has whose driver does not tell. These are rather too many than too few for
	// common devices, because too many parts cost little, and idle cores cost much.
	discrete, integrated int

	halfRegisters   bool // a lane has 128 registers of 32 bits, half of what others have
	slowConversions bool // integers are converted to f32 at a fraction of the rate of additions
	slowShuffles    bool // with several rows, lanes of a software driver read faster from memory than from each other
}

const nvidia, apple = 0x10de, 0x106b

// makers is the table. The last row is for makers that have none.
//
// Intel's driver advertises subgroups of 32, and compiles for what the shader has registers
// for unless it is asked for a size. NVIDIA's have 32 lanes, and units for conversions with an
// eighth of the lanes of those that add (Nsight Compute's guide: XU and FMA); AMD's drivers advertise 64.
//
// AMD's matrix units want each row of an operand in two lanes of a subgroup of 32 (RDNA3), and in four lanes of
// one of 64: so 64 lanes read twice as much shared memory for the same product. Attention reads much. Mesa's driver keeps
// an operand of 16 by 16 in 16 registers there, which leaves none for queries; NVIDIA's cards need 4.
//
// Cores: AMD's cards have 28 to 96 compute units and integrated GPUs 2 to 16 (40 at most); NVIDIA's cards 20 to 170
// multiprocessors, its integrated ones 8 to 20; both have told for years (VK_AMD_shader_core_properties2, VK_NV_shader_sm_builtins). Intel's
// cards have 8 to 32 Xe cores, and its integrated GPUs 4 to 8 (or groups of 16 units that are as much);
// Apple's 7 to 80, most of them 8 to 20; Adreno's up to 12.
var makers = []maker{
	{name: "AMD", vendor: 0x1002, attention: 32, discrete: 64, integrated: 12},
	{name: "NVIDIA", vendor: nvidia, holds: true, slowConversions: true, discrete: 64, integrated: 16},
	{name: "Intel", vendor: 0x8086, subgroup: 16, matrixLeast: true, varies: true, discrete: 32, integrated: 8},
	{name: "Apple", vendor: apple, halfRegisters: true, discrete: 16, integrated: 16},
	{name: "Qualcomm", vendor: 0x5143, varies: true, discrete: 12, integrated: 12},    // 64 or 128 lanes, as the shader has registers for
	{name: "Google", vendor: 0x1ae0, slowShuffles: true, discrete: 64, integrated: 8}, // SwiftShader
	{name: "others", discrete: 64, integrated: 8},
}

// vendorOf is the vendor of a GPU's maker. Mesa's driver for Apple's GPUs has Mesa's.
func vendorOf(p *vk.PhysicalDevice) uint32 {
	if p.DriverName == "Honeykrisp" {
		return apple
	}
	return p.VendorID
}

// coresOf is how many cores a device has: as its driver tells, or else as the table of makers has them. A
// software driver has none; its rules are those of a GPU with as many as a large one.
func coresOf(p *vk.PhysicalDevice) int {
	m := makerOf(vendorOf(p))
	switch {
	case p.Type == vk.CPU:
		return 128
	case p.Cores > 0:
		return p.Cores
	case p.Type == vk.IntegratedGPU:
		return m.integrated
	}
	return m.discrete
}

// setCores sets how many cores there are, and what follows from it.
func (l *Limits) setCores(n int) {
	l.Cores, l.MatrixTiles = n, (n+1)/2
}

// makerOf is the row of a vendor.
func makerOf(vendor uint32) *maker {
	if i := slices.IndexFunc(makers, func(m maker) bool { return m.vendor == vendor }); i >= 0 {
		return &makers[i]
	}
	return &makers[len(makers)-1]
}

func (l *Limits) maker() *maker { return makerOf(l.Vendor) }

// subgroupSizes returns the sizes of subgroups that pipelines ask for, the second one those
// with cooperative matrices.
func (m *maker) subgroupSizes(p *vk.PhysicalDevice) (general, matrix int) {
	s := p.Subgroup
	general, matrix = s.Size, s.Size
	if m.subgroup > 0 && s.Max > 0 {
		general = min(max(m.subgroup, s.Min), s.Max)
	}
	if m.matrixLeast && s.Max > 0 {
		matrix = s.Min
	}
	return general, matrix
}

// fewRegisters reports whether the device is Intel's from before Xe2, as subgroups of 8 tell:
// a thread has 4 KiB of registers, 64 for each of 16 lanes. With the tiles of other GPUs the
// driver spills 20 to 100 of them, and with cooperative matrices 14 to 260.
func fewRegisters(p *vk.PhysicalDevice) bool {
	return makerOf(vendorOf(p)).name == "Intel" && p.Subgroup.Min <= 8
}

// setSubgroupRange sets which sizes of subgroups a pipeline may ask for, or whether it gets
// one of several without.
func (l *Limits) setSubgroupRange(p *vk.PhysicalDevice, control bool) {
	s := p.Subgroup
	if control {
		l.SubgroupRange = [2]int{s.Min, s.Max}
	}
	if l.SubgroupRange == [2]int{} {
		l.SubgroupVaries = s.Least != s.Most || s.Most == 0 && makerOf(vendorOf(p)).varies
	}
}

// attentionSubgroup is the size of subgroups of attention_matrix.comp.
func (l *Limits) attentionSubgroup() uint32 {
	if n := l.maker().attention; n > 0 && n >= l.SubgroupRange[0] && n <= l.SubgroupRange[1] {
		return uint32(n)
	}
	return l.MatrixSubgroup
}
