//go:build cgo

// Physical devices: their properties, which can be read before one is opened.

package vk

// #include "calls.h"
import "C"

import (
	"fmt"
	"math"
	"slices"
	"strings"

	binding "github.com/vulkan-go/vulkan"
)

// PhysicalDevice describes a device. It stays valid until its Instance closes.
type PhysicalDevice struct {
	instance *Instance
	handle   uintptr
	has      uint32 // CVK_HAS bits

	Name          string
	Type          DeviceType
	VendorID      uint32 // PCI vendor, such as 0x10de
	DeviceID      uint32
	APIVersion    Version
	DriverVersion uint32 // encoded as the vendor likes
	DriverName    string // such as "llvmpipe"; may be empty
	DriverInfo    string // such as "Mesa 22.3.6 (LLVM 15.0.6)"; may be empty

	DeviceUUID        UUID // the same in every process
	PipelineCacheUUID UUID // a pipeline cache with another one cannot be used

	Subgroup    Subgroup
	Matrices    []MatrixShape // shapes of cooperative matrices; none without the feature
	Limits      Limits
	MemoryTypes []MemoryType
	Heaps       []MemoryHeap
	Queues      []QueueFamily
	Features    Features // features that the device has
	Cores       int      // compute units of AMD's, multiprocessors of NVIDIA's, shader cores of ARM's; 0: the driver does not tell
	FastDot     bool     // IntegerDot of signed bytes takes fewer instructions than other code
	Extensions  []string // sorted

	// PortabilitySubset: the driver, such as MoltenVK, lacks parts of Vulkan.
	PortabilitySubset bool
}

// Subgroup describes the device's subgroups (warps, waves, SIMD groups).
type Subgroup struct {
	Size       int         // invocations of a subgroup
	Compute    bool        // compute shaders may use Operations
	Operations SubgroupOps // the kinds of operation that the device has

	// A compute pipeline may ask for a subgroup size, a power of two from Min to Max. Both are
	// 0 without the feature SubgroupSizeControl.
	Min, Max int

	// The sizes that subgroups of pipelines have which do not ask, a power of two from Least to
	// Most. Both are 0 where the driver does not tell.
	Least, Most int
}

// MatrixShape is a shape of cooperative matrices: in a compute shader a subgroup can
// multiply an M × K matrix by a K × N matrix, both f16, with the result in f32.
type MatrixShape struct{ M, N, K int }

// Limits of a device. Sizes are in bytes.
type Limits struct {
	MaxStorageBufferRange  uint64 // of one storage-buffer binding
	MaxTexelBufferElements uint64
	StorageBufferAlignment uint64 // of the offset of a storage-buffer binding
	TexelBufferAlignment   uint64 // of the offset of a buffer view

	MaxWorkGroupInvocations int
	MaxWorkGroupSize        [3]int
	MaxWorkGroupCount       [3]uint32
	MaxSharedMemory         int // of one workgroup
	MaxPushConstants        int // never more than 256 here
	MaxStorageBuffers       int // bindings in one stage

	MaxMemoryAllocationSize uint64 // of one AllocateMemory; at least 1 GiB
	MaxBufferSize           uint64 // 0 where the driver does not say

	TimestampPeriod float64 // nanoseconds of one tick
}

// MemoryType is a kind of memory, on a heap.
type MemoryType struct {
	Flags MemoryFlags
	Heap  int // index in Heaps
}

// MemoryHeap is a physical memory.
type MemoryHeap struct {
	Size        uint64 // bytes; a software driver may report more or less than there is
	DeviceLocal bool
}

// QueueFamily is a set of queues with the same properties.
type QueueFamily struct {
	Graphics, Compute bool
	Count             int
	TimestampBits     int // valid bits of a timestamp; 0: no timestamps
}

// Names of extensions.
const (
	extMemoryBudget        = "VK_EXT_memory_budget"
	extPortabilitySubset   = "VK_KHR_portability_subset"
	extCooperativeMatrix   = "VK_KHR_cooperative_matrix"
	extSubgroupSizeControl = "VK_EXT_subgroup_size_control"
	extExecutables         = "VK_KHR_pipeline_executable_properties"
)

// never is above every version. It marks extensions that no version includes.
const never = Version(math.MaxUint32)

// optional lists what a device may have: in which version it became core, and
// which extension has it in earlier versions.
var optional = []struct {
	has       uint32
	core      Version
	extension string
}{
	{C.CVK_HAS_DRIVER_PROPERTIES, MakeVersion(1, 2, 0), "VK_KHR_driver_properties"},
	{C.CVK_HAS_MAINTENANCE4, MakeVersion(1, 3, 0), "VK_KHR_maintenance4"},
	{C.CVK_HAS_SUBGROUP_SIZE_CONTROL, MakeVersion(1, 3, 0), extSubgroupSizeControl},
	{C.CVK_HAS_FLOAT16_INT8, MakeVersion(1, 2, 0), "VK_KHR_shader_float16_int8"},
	{C.CVK_HAS_COOPERATIVE_MATRIX, never, extCooperativeMatrix},
	{C.CVK_HAS_MEMORY_MODEL, MakeVersion(1, 2, 0), "VK_KHR_vulkan_memory_model"},
	{C.CVK_HAS_MEMORY_BUDGET, never, extMemoryBudget},
	{C.CVK_HAS_EXECUTABLES, never, extExecutables},
	{C.CVK_HAS_INTEGER_DOT, MakeVersion(1, 3, 0), "VK_KHR_shader_integer_dot_product"},
	{C.CVK_HAS_AMD_CORES, never, "VK_AMD_shader_core_properties2"},
	{C.CVK_HAS_NVIDIA_CORES, never, "VK_NV_shader_sm_builtins"},
	{C.CVK_HAS_ARM_CORES, never, "VK_ARM_shader_core_builtins"},
}

// version returns the Vulkan version to use: the device's, at most the one for
// which the instance was made.
func (p *PhysicalDevice) version() Version {
	return min(p.APIVersion, p.instance.Version|0xfff, MakeVersion(1, 3, 0xfff))
}

// HasExtension reports whether the device lists the extension.
func (p *PhysicalDevice) HasExtension(name string) bool {
	_, ok := slices.BinarySearch(p.Extensions, name)
	return ok
}

func cString(s []byte) string { return binding.ToString(s) }

// describe reads all properties of a device. The result is not nil, also if there
// is an error.
func (i *Instance) describe(h binding.PhysicalDevice) (*PhysicalDevice, error) {
	p := &PhysicalDevice{instance: i, handle: to[uintptr](h)}
	ph := C.uintptr_t(p.handle)

	var props binding.PhysicalDeviceProperties
	binding.GetPhysicalDeviceProperties(h, &props)
	props.Deref()
	props.Limits.Deref()
	p.Name = strings.TrimSpace(cString(props.DeviceName[:])) // NVK's may end in a space
	p.Type = DeviceType(props.DeviceType)
	p.VendorID, p.DeviceID = props.VendorID, props.DeviceID
	p.APIVersion = Version(props.ApiVersion)
	p.DriverVersion = props.DriverVersion
	p.PipelineCacheUUID = props.PipelineCacheUUID
	p.Limits = limits(&props.Limits)
	props.Free()

	names := make([][256]C.char, 1024)
	places := C.uint32_t(len(names))
	if r := C.cvk_device_extensions(i.table, ph, &names[0], &places); r != 0 {
		return p, check("vkEnumerateDeviceExtensionProperties", int32(r))
	}
	for k := range names[:places] {
		p.Extensions = append(p.Extensions, C.GoString(&names[k][0]))
	}
	slices.Sort(p.Extensions)
	p.PortabilitySubset = p.HasExtension(extPortabilitySubset)

	var mem binding.PhysicalDeviceMemoryProperties
	binding.GetPhysicalDeviceMemoryProperties(h, &mem)
	mem.Deref()
	for k := range mem.MemoryTypes[:mem.MemoryTypeCount] {
		mem.MemoryTypes[k].Deref()
		t := mem.MemoryTypes[k]
		p.MemoryTypes = append(p.MemoryTypes, MemoryType{MemoryFlags(t.PropertyFlags), int(t.HeapIndex)})
	}
	for k := range mem.MemoryHeaps[:mem.MemoryHeapCount] {
		mem.MemoryHeaps[k].Deref()
		t := mem.MemoryHeaps[k]
		p.Heaps = append(p.Heaps, MemoryHeap{uint64(t.Size), t.Flags&1 != 0})
	}
	mem.Free()

	families := make([]C.cvk_queue_family, 32)
	n := C.cvk_queue_families(i.table, ph, &families[0], C.uint32_t(len(families)))
	for _, f := range families[:n] {
		p.Queues = append(p.Queues, QueueFamily{
			Graphics: f.flags&1 != 0, Compute: f.flags&2 != 0,
			Count: int(f.count), TimestampBits: int(f.timestamp_bits),
		})
	}
	if p.APIVersion < MakeVersion(1, 1, 0) {
		return p, nil // listed, but Open refuses it
	}

	for _, o := range optional {
		if p.version() >= o.core || p.HasExtension(o.extension) {
			p.has |= o.has
		}
	}
	info := new(C.cvk_info)
	C.cvk_query(i.table, ph, C.uint32_t(p.has), info)
	p.DeviceUUID = to[UUID](info.device_uuid)
	p.DriverName = C.GoString(&info.driver_name[0])
	p.DriverInfo = C.GoString(&info.driver_info[0])
	p.Features = featuresFromBits(uint32(info.features))
	p.Cores = int(min(info.cores, 1<<16)) // more is not believed
	p.FastDot = p.Features.IntegerDot && info.fast_dot != 0
	p.Limits.MaxMemoryAllocationSize = uint64(info.max_memory_allocation_size)
	p.Limits.MaxBufferSize = uint64(info.max_buffer_size)
	const compute = 0x20
	p.Subgroup = Subgroup{
		Size:       int(info.subgroup_size),
		Compute:    info.subgroup_stages&compute != 0,
		Operations: SubgroupOps(info.subgroup_operations),
	}
	p.Subgroup.Least, p.Subgroup.Most = int(info.min_subgroup), int(info.max_subgroup)
	if p.Features.SubgroupSizeControl && info.required_subgroup_stages&compute != 0 {
		p.Subgroup.Min, p.Subgroup.Max = int(info.min_subgroup), int(info.max_subgroup)
	}
	if p.Features.CooperativeMatrix && info.cooperative_matrix_stages&compute != 0 {
		p.Matrices = i.matrixShapes(ph)
	}
	return p, nil
}

// matrixShapes lists the shapes of cooperative matrices of f16 with results in f32.
// Devices list many other types too.
func (i *Instance) matrixShapes(ph C.uintptr_t) (shapes []MatrixShape) {
	all := make([]C.cvk_matrix, 128)
	const f16, f32, subgroup = 0, 1, 3 // VkComponentTypeKHR, VkScopeKHR
	for _, m := range all[:C.cvk_matrices(i.table, ph, &all[0], C.uint32_t(len(all)))] {
		if m.a == f16 && m.b == f16 && m.c == f32 && m.result == f32 && m.saturating == 0 && m.scope == subgroup {
			shapes = append(shapes, MatrixShape{int(m.m), int(m.n), int(m.k)})
		}
	}
	return shapes
}

func limits(l *binding.PhysicalDeviceLimits) Limits {
	return Limits{
		MaxStorageBufferRange:  uint64(l.MaxStorageBufferRange),
		MaxTexelBufferElements: uint64(l.MaxTexelBufferElements),
		StorageBufferAlignment: uint64(l.MinStorageBufferOffsetAlignment),
		TexelBufferAlignment:   uint64(l.MinTexelBufferOffsetAlignment),

		MaxWorkGroupInvocations: int(l.MaxComputeWorkGroupInvocations),
		MaxWorkGroupSize: [3]int{int(l.MaxComputeWorkGroupSize[0]),
			int(l.MaxComputeWorkGroupSize[1]), int(l.MaxComputeWorkGroupSize[2])},
		MaxWorkGroupCount: l.MaxComputeWorkGroupCount,
		MaxSharedMemory:   int(l.MaxComputeSharedMemorySize),
		MaxPushConstants:  min(int(l.MaxPushConstantsSize), C.CVK_PUSH),
		MaxStorageBuffers: int(l.MaxPerStageDescriptorStorageBuffers),

		TimestampPeriod: float64(l.TimestampPeriod),
	}
}

// HeapBudget says how much of a heap this process may use, and how much it uses, in
// bytes.
type HeapBudget struct{ Budget, Usage uint64 }

// MemoryBudget asks the driver for the present budget of each heap. ok is false if
// the driver does not have VK_EXT_memory_budget.
func (p *PhysicalDevice) MemoryBudget() (heaps []HeapBudget, ok bool) {
	if p.has&C.CVK_HAS_MEMORY_BUDGET == 0 {
		return nil, false
	}
	b := new(C.cvk_budget)
	C.cvk_memory_budget(p.instance.table, C.uintptr_t(p.handle), b)
	for k := range p.Heaps {
		heaps = append(heaps, HeapBudget{uint64(b.budget[k]), uint64(b.usage[k])})
	}
	return heaps, true
}

// SupportsTexel reports whether a uniform texel buffer may have the format.
func (p *PhysicalDevice) SupportsTexel(f Format) bool {
	var props binding.FormatProperties
	binding.GetPhysicalDeviceFormatProperties(to[binding.PhysicalDevice](p.handle), binding.Format(f), &props)
	props.Deref()
	defer props.Free()
	const uniformTexelBuffer = 0x8
	return props.BufferFeatures&uniformTexelBuffer != 0
}

// computeQueue picks a queue family for compute and returns its index, or -1 if the
// device has none. It prefers one with timestamps, and then one without graphics:
// in that case compute work and the drawing of a desktop do not wait for each other.
func (p *PhysicalDevice) computeQueue() int {
	return p.bestQueue(func(int) bool { return true })
}

// bestQueue is computeQueue among the families that usable accepts.
func (p *PhysicalDevice) bestQueue(usable func(family int) bool) int {
	best, bestScore := -1, -1
	for k, q := range p.Queues {
		if !q.Compute || q.Count == 0 || !usable(k) {
			continue
		}
		score := 0
		if q.TimestampBits > 0 {
			score += 2
		}
		if !q.Graphics {
			score++
		}
		if score > bestScore {
			best, bestScore = k, score
		}
	}
	return best
}

// String describes the device in one line: "llvmpipe (LLVM 15.0.6, 256 bits), cpu, Vulkan 1.3.230, llvmpipe Mesa 22.3.6".
func (p *PhysicalDevice) String() string {
	s := fmt.Sprintf("%s, %s, Vulkan %s", p.Name, p.Type, p.APIVersion)
	if p.DriverName != "" {
		s += ", " + p.DriverName + " " + p.DriverInfo
	}
	return s
}
