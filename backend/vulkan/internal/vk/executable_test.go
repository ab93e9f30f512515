//go:build cgo

package vk_test

import (
	"strings"
	"testing"

	"caldera/backend/vulkan/internal/vk"
)

// TestSubgroupAsked makes a pipeline with each subgroup size that the device has.
func TestSubgroupAsked(t *testing.T) {
	d, _ := newDevice(t)
	x := newAdder(t, d, 100, 1)
	defer x.free()
	module := must[vk.ShaderModule](t)(d.CreateShaderModule(addSPIRV))
	defer d.DestroyShaderModule(module)
	make := func(d *vk.Device, size int) error {
		p, err := d.CreateComputePipeline(vk.PipelineInfo{Module: module, Layout: x.layout, Subgroup: size})
		if err == nil {
			d.DestroyPipeline(p)
		}
		return err
	}
	s := d.Physical.Subgroup
	if d.Features.SubgroupSizeControl && s.Max > 0 {
		for size := s.Min; size <= s.Max; size *= 2 {
			ok(t, make(d, size))
		}
	}
	if err := make(d, 2*max(s.Max, 1)); err == nil || !strings.Contains(err.Error(), "subgroups of") {
		t.Errorf("subgroups of twice the most: %v", err)
	}
}

// TestExecutablesRefused: a device tells nothing of its pipelines unless it was opened so. What
// it tells then, TestPlayed of package vulkan asks drivers of GPUs.
func TestExecutablesRefused(t *testing.T) {
	i, _ := newInstance(t)
	list, err := i.Devices()
	ok(t, err)
	d, err := list[0].Open(vk.Features{})
	ok(t, err)
	defer d.Close()
	if _, err := d.Executables(0); err == nil || !strings.Contains(err.Error(), "without Executables") {
		t.Errorf("a device without the feature: %v", err)
	}
}
