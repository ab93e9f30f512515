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
