//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// TestSubgroupSizes: which sizes pipelines ask for, on devices as drivers describe them.
func TestSubgroupSizes(t *testing.T) {
	const nvidia, amd, intel = 0x10de, 0x1002, 0x8086
	for _, c := range []struct {
		name              string
		vendor            uint32
		size, least, most int // least, most: 0 where the device cannot be asked
		general, matrix   int
		few               bool
		asked             int // by a kernel with subgroup operations; 0: nothing
	}{
		{"NVIDIA", nvidia, 32, 32, 32, 32, 32, false, 32},
		{"AMD", amd, 64, 32, 64, 64, 64, false, 64},
		{"Intel", intel, 32, 8, 32, 16, 8, true, 16},
		{"Intel Xe2", intel, 32, 16, 32, 16, 16, false, 16},
		{"an old driver", nvidia, 32, 0, 0, 32, 32, false, 0},
		{"an old driver of Intel", intel, 32, 0, 0, 32, 32, true, 0},
	} {
		p := &vk.PhysicalDevice{VendorID: c.vendor, Subgroup: vk.Subgroup{Size: c.size, Min: c.least, Max: c.most}}
		general, matrix := makerOf(c.vendor).subgroupSizes(p)
		if general != c.general || matrix != c.matrix || fewRegisters(p) != c.few {
			t.Errorf("%s: subgroups of %d, %d for matrices, few registers %v; expected %d, %d, %v", c.name, general, matrix, fewRegisters(p), c.general, c.matrix, c.few)
		}
		l := &Limits{SubgroupSize: uint32(general), MatrixSubgroup: uint32(matrix), SubgroupRange: [2]int{c.least, c.most}, FewRegisters: fewRegisters(p)}
		pipes := &pipelines{limits: l}
		for _, v := range []*shaders.Variant{shaders.Find("linear_vec", "F16 X4 SUBGROUP"), selftestVariant()} {
			if n := pipes.subgroup(v); n != c.asked {
				t.Errorf("%s: %s asks for %d, expected %d", c.name, v.Name(), n, c.asked)
			}
		}
		if n := pipes.subgroup(shaders.Find("add", "")); n != 0 {
			t.Errorf("%s: a kernel without subgroup operations asks for %d", c.name, n)
		}
	}
}

// TestFewRegisters: what a device with few registers is spared.
func TestFewRegisters(t *testing.T) {
	few, many := &Limits{FewRegisters: true}, &Limits{}
	if few.attentionQueries() >= many.attentionQueries() {
		t.Errorf("attention takes %d queries at once, and %d with more registers", few.attentionQueries(), many.attentionQueries())
	}
	op := &backend.Attention{Heads: 4, Q: backend.Of(nil, backend.F32, 0, 1, 1, 4*64), K: backend.Of(nil, backend.F16, 0, 1, 9, 64)}
	for _, c := range []struct {
		vendor uint32
		heads  uint32 // of a group that a workgroup of attention_one.comp takes
		two    bool
		lanes  uint32 // of a product with a norm, and with a table besides
		table  uint32
	}{{nvidia, 4, true, 32, 32}, {apple, 2, false, 32, 64}} {
		l := &Limits{
			Vendor: c.vendor, SubgroupSize: 32, SubgroupArithmetic: true, SubgroupShuffle: true, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64},
			Groups: [3]uint32{65535, 65535, 65535},
		}
		if s, _, _ := shapeOneQuery(l, op); s.Heads != c.heads || l.twoQueries(64) != c.two {
			t.Errorf("vendor %#x: %d heads, two queries a lane %v; expected %d, %v", c.vendor, s.Heads, l.twoQueries(64), c.heads, c.two)
		}
		p := product{rows: 1, in: 768, out: 2304, x: backend.F32, w: backend.F16, eights: true, joined: joined{norm: 1, cache: backend.F16}}
		for table, lanes := range map[bool]uint32{false: c.lanes, true: c.table} {
			p.joined.table = table
			if ways := waysOfOne(l, &p); len(ways) == 0 || ways[0].lanes != lanes {
				t.Errorf("vendor %#x, a table %v: %v, expected %d lanes", c.vendor, table, ways, lanes)
			}
		}
	}
}

// TestCores: how many cores a device has, by its driver or by the table of makers; and what fills them.
func TestCores(t *testing.T) {
	const amd, intel, qualcomm, arm, mesa = 0x1002, 0x8086, 0x5143, 0x13b5, 0x10005
	for _, c := range []struct {
		name   string
		p      vk.PhysicalDevice
		vendor uint32
		cores  int
	}{
		{"a driver that tells", vk.PhysicalDevice{VendorID: amd, Type: vk.DiscreteGPU, Cores: 96}, amd, 96},
		{"the same of an integrated GPU", vk.PhysicalDevice{VendorID: arm, Type: vk.IntegratedGPU, Cores: 10}, arm, 10},
		{"one that does not", vk.PhysicalDevice{VendorID: nvidia, Type: vk.DiscreteGPU}, nvidia, 64},
		{"a virtual machine's", vk.PhysicalDevice{VendorID: nvidia, Type: vk.VirtualGPU}, nvidia, 64},
		{"Intel's card", vk.PhysicalDevice{VendorID: intel, Type: vk.DiscreteGPU}, intel, 32},
		{"Intel's integrated", vk.PhysicalDevice{VendorID: intel, Type: vk.IntegratedGPU}, intel, 8},
		{"Apple's driver", vk.PhysicalDevice{VendorID: apple, Type: vk.IntegratedGPU}, apple, 16},
		{"Mesa's for Apple", vk.PhysicalDevice{VendorID: mesa, DriverName: "Honeykrisp", Type: vk.IntegratedGPU}, apple, 16},
		{"Adreno", vk.PhysicalDevice{VendorID: qualcomm, Type: vk.IntegratedGPU}, qualcomm, 12},
		{"another", vk.PhysicalDevice{VendorID: arm, Type: vk.IntegratedGPU}, arm, 8},
		{"a software driver", vk.PhysicalDevice{VendorID: mesa, DriverName: "llvmpipe", Type: vk.CPU, Cores: 2}, mesa, 128},
	} {
		if vendor, n := vendorOf(&c.p), coresOf(&c.p); vendor != c.vendor || n != c.cores {
			t.Errorf("%s: %d cores of vendor %#x, expected %d of %#x", c.name, n, vendor, c.cores, c.vendor)
		}
	}
	for _, m := range makers {
		if m.discrete < 8 || m.integrated < 8 {
			t.Errorf("%s: %d cores of a card, %d integrated", m.name, m.discrete, m.integrated)
		}
	}

	// A prompt of 512 tokens: the edge of tiles, and in how many parts their sums are.
	for _, c := range []struct {
		cores, in, out int
		edge, parts    int
	}{
		{132, 768, 2304, 128, 1}, // gpt2 on an H100
		{132, 768, 768, 32, 1},
		{132, 3072, 768, 32, 1},
		{132, 1600, 6400, 128, 1}, // gpt2-xl
		{132, 6400, 1600, 64, 1},
		{96, 6400, 1600, 128, 2}, // on a 7900 XTX
		{96, 1600, 1600, 128, 2},
		{96, 768, 768, 64, 2},
		{36, 1600, 6400, 128, 1},
		{8, 768, 768, 128, 1},
		{1, 768, 768, 128, 1},
	} {
		l := &Limits{Matrix: [3]uint32{16, 16, 16}, MatrixSubgroup: 32, SubgroupSize: 32, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}, SharedMemory: 48 << 10, Groups: [3]uint32{65535, 65535, 65535}}
		l.setCores(c.cores)
		p := &product{rows: 512, in: c.in, out: c.out, x: backend.F16, w: backend.F16, aligned: true}
		ways := waysOfMatrix(l, p)
		if len(ways) == 0 {
			t.Fatal("linear_matrix takes no product")
		}
		if edge, parts := ways[0].rows, matrixParts(l, p, &ways[0]); edge != c.edge || parts != c.parts {
			t.Errorf("512×%d×%d on %d cores: tiles of %d in %d parts, expected %d in %d", c.in, c.out, c.cores, edge, parts, c.edge, c.parts)
		}
	}
}

// TestNormedRowsFit: a norm of several rows is computed with the product behind it where a dispatch has workgroups for all outputs.
func TestNormedRowsFit(t *testing.T) {
	b := played{name: "few groups", lanes: 32, clamp: fewGroups}.open(t, nil) // 8, of 16 outputs each
	for _, out := range []int{128, 129, 256} {
		for rows := 2; rows <= 4; rows++ {
			op := &backend.Linear{
				Dst: newTensor(t, b, backend.F32, rows, out), X: newTensor(t, b, backend.F32, rows, 64), W: newTensor(t, b, backend.F16, out, 64),
				Norm: backend.LinearNorm{Normed: newTensor(t, b, backend.F32, rows, 64), Gamma: newTensor(t, b, backend.F32, 64), Epsilon: 1},
			}
			if got, want := supportsLinear(&b.limits, op), out == 128; got != want {
				t.Errorf("%d rows, %d outputs: one op: %v, expected %v", rows, out, got, want)
			}
			if err := backend.Run(b, op); err != nil {
				t.Errorf("%d rows, %d outputs: %v", rows, out, err)
			}
		}
	}
}
