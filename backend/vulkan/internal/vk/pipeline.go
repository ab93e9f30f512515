//go:build cgo

// Shader modules, layouts, pipelines and their cache.

package vk

// #include "calls.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// CreateShaderModule makes a module of SPIR-V (little-endian). The SPIR-V must be
// valid, because drivers do not check it.
func (d *Device) CreateShaderModule(spirv []byte) (ShaderModule, error) {
	const header, magic = 20, 0x07230203
	if len(spirv) < header || len(spirv)%4 != 0 || binary.LittleEndian.Uint32(spirv) != magic {
		return 0, fmt.Errorf("vkCreateShaderModule: not SPIR-V: %d bytes, want whole words that begin with %#08x",
			len(spirv), magic)
	}
	words := make([]uint32, len(spirv)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(spirv[4*i:])
	}
	if d.Hooks != nil && d.Hooks.Shader != nil {
		words = d.Hooks.Shader(words)
	}
	// The binding stores the slice's address in C memory, so it must not move.
	var pin runtime.Pinner
	pin.Pin(&words[0])
	defer pin.Unpin()
	info := binding.ShaderModuleCreateInfo{
		SType:    binding.StructureTypeShaderModuleCreateInfo,
		CodeSize: uint(4 * len(words)),
		PCode:    words,
	}
	defer info.Free()
	var m binding.ShaderModule
	if r := binding.CreateShaderModule(d.handle, &info, nil, &m); r != binding.Success {
		return 0, check("vkCreateShaderModule", r)
	}
	return to[ShaderModule](m), nil
}

// DestroyShaderModule destroys a module. Pipelines that were made of it stay valid.
func (d *Device) DestroyShaderModule(m ShaderModule) {
	binding.DestroyShaderModule(d.handle, to[binding.ShaderModule](m), nil)
}

// CreateDescriptorSetLayout makes the layout of a set whose binding i has type
// types[i].
func (d *Device) CreateDescriptorSetLayout(types []DescriptorType) (DescriptorSetLayout, error) {
	var h C.uint64_t
	r := C.cvk_create_set_layout(d.table, (*C.uint32_t)(unsafe.SliceData(types)), C.uint32_t(len(types)), &h)
	return DescriptorSetLayout(h), check("vkCreateDescriptorSetLayout", r)
}

// DestroyDescriptorSetLayout destroys a layout.
func (d *Device) DestroyDescriptorSetLayout(l DescriptorSetLayout) {
	binding.DestroyDescriptorSetLayout(d.handle, to[binding.DescriptorSetLayout](l), nil)
}

// CreatePipelineLayout makes a layout of one descriptor set, set 0, and
// pushBytes of push constants, a multiple of 4 up to Limits.MaxPushConstants.
func (d *Device) CreatePipelineLayout(l DescriptorSetLayout, pushBytes int) (PipelineLayout, error) {
	if limit := d.Physical.Limits.MaxPushConstants; pushBytes < 0 || pushBytes%4 != 0 || pushBytes > limit {
		return PipelineLayout{}, fmt.Errorf("vkCreatePipelineLayout: %d bytes of push constants; want a multiple of 4, at most %d",
			pushBytes, limit)
	}
	var h C.uint64_t
	r := C.cvk_create_pipeline_layout(d.table, C.uint64_t(l), C.uint32_t(pushBytes), &h)
	return PipelineLayout{uint64(h), pushBytes}, check("vkCreatePipelineLayout", r)
}

// DestroyPipelineLayout destroys a layout.
func (d *Device) DestroyPipelineLayout(l PipelineLayout) {
	binding.DestroyPipelineLayout(d.handle, to[binding.PipelineLayout](l.handle), nil)
}

// CreatePipelineCache makes a cache with the data that PipelineCacheData returned
// before; nil makes an empty one. Data of another device or driver are not used,
// because some drivers do not check that. The caller must check that the data are
// not damaged.
func (d *Device) CreatePipelineCache(data []byte) (PipelineCache, error) {
	if !d.cacheMatches(data) {
		data = nil
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	info := binding.PipelineCacheCreateInfo{SType: binding.StructureTypePipelineCacheCreateInfo}
	if len(data) > 0 {
		pin.Pin(&data[0])
		info.InitialDataSize = uint(len(data))
		info.PInitialData = unsafe.Pointer(&data[0])
	}
	defer info.Free()
	var c binding.PipelineCache
	if r := binding.CreatePipelineCache(d.handle, &info, nil, &c); r != binding.Success {
		return 0, check("vkCreatePipelineCache", r)
	}
	return to[PipelineCache](c), nil
}

// cacheMatches reports whether data has a VkPipelineCacheHeaderVersionOne for the
// device.
func (d *Device) cacheMatches(data []byte) bool {
	const size, one = 32, 1
	if len(data) < size {
		return false
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(data[i:]) }
	p := d.Physical
	return u32(0) >= size && u32(4) == one && u32(8) == p.VendorID && u32(12) == p.DeviceID &&
		UUID(data[16:32]) == p.PipelineCacheUUID
}

// PipelineCacheData returns the content of a cache, to be saved for later processes. It is
// nil if the driver cannot give all of it.
func (d *Device) PipelineCacheData(c PipelineCache) ([]byte, error) {
	for range 3 {
		var size uint
		if r := binding.GetPipelineCacheData(d.handle, to[binding.PipelineCache](c), &size, nil); r < 0 {
			return nil, check("vkGetPipelineCacheData", r)
		}
		if size == 0 {
			return nil, nil
		}
		data := make([]byte, size)
		r := binding.GetPipelineCacheData(d.handle, to[binding.PipelineCache](c), &size, unsafe.Pointer(&data[0]))
		switch {
		case r < 0:
			return nil, check("vkGetPipelineCacheData", r)
		case r == binding.Success:
			return data[:size], nil
		} // VK_INCOMPLETE: the cache grew between the two calls, or (NVK) a pipeline cannot be saved
	}
	return nil, nil
}

// MergePipelineCaches adds what is in from to to.
func (d *Device) MergePipelineCaches(to, from PipelineCache) error {
	return check("vkMergePipelineCaches", C.cvk_merge_pipeline_caches(d.table, C.uint64_t(to), C.uint64_t(from)))
}

// DestroyPipelineCache destroys a cache. Pipelines stay valid.
func (d *Device) DestroyPipelineCache(c PipelineCache) {
	binding.DestroyPipelineCache(d.handle, to[binding.PipelineCache](c), nil)
}

// PipelineInfo describes a compute pipeline.
type PipelineInfo struct {
	Module ShaderModule // its entry point is main
	Layout PipelineLayout
	Cache  PipelineCache // or 0

	// Spec holds the bits of the specialization constants: Spec[i] is that with
	// constant_id i. Constants that the shader does not have are ignored. Constants
	// beyond the end of Spec keep the shader's default.
	Spec []uint32

	// Subgroup is the number of invocations of a subgroup, or 0 to leave it to the driver.
	// The device must be opened with SubgroupSizeControl: see Subgroup.Min.
	Subgroup int

	// FullSubgroups requires that all lanes of each subgroup are active. The device
	// must be opened with the feature of that name.
	FullSubgroups bool
}

// CreateComputePipeline makes a pipeline. Drivers compile it here, or at the first
// dispatch.
func (d *Device) CreateComputePipeline(p PipelineInfo) (Pipeline, error) {
	if p.FullSubgroups && !d.Features.FullSubgroups {
		return 0, errors.New("vkCreateComputePipelines: full subgroups were asked for, but the device was opened without FullSubgroups")
	}
	if s := d.Physical.Subgroup; p.Subgroup != 0 && (!d.Features.SubgroupSizeControl || p.Subgroup < s.Min || p.Subgroup > s.Max) {
		return 0, fmt.Errorf("vkCreateComputePipelines: subgroups of %d were asked for, and the device has some of %d to %d (SubgroupSizeControl: %v)",
			p.Subgroup, s.Min, s.Max, d.Features.SubgroupSizeControl)
	}
	var full, capture C.uint32_t
	if p.FullSubgroups {
		full = 1
	}
	if d.Features.Executables {
		capture = 1
	}
	var h C.uint64_t
	r := C.cvk_create_pipeline(d.table, C.uint64_t(p.Cache), C.uint64_t(p.Module), C.uint64_t(p.Layout.handle),
		(*C.uint32_t)(unsafe.SliceData(p.Spec)), C.uint32_t(len(p.Spec)), C.uint32_t(p.Subgroup), full, capture, &h)
	return Pipeline(h), check("vkCreateComputePipelines", r)
}

// DestroyPipeline destroys a pipeline that the device no longer uses.
func (d *Device) DestroyPipeline(p Pipeline) {
	binding.DestroyPipeline(d.handle, to[binding.Pipeline](p), nil)
}
