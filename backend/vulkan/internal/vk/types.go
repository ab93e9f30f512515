//go:build cgo

// Handles, flags and formats: Vulkan's numbers under Go types.

package vk

import (
	"fmt"
	"math"
	"unsafe"
)

// Handles. The zero value of each is Vulkan's null handle. A command buffer is a
// pointer of the driver; the others are numbers.
type (
	Memory              uint64
	Buffer              uint64
	BufferView          uint64
	ShaderModule        uint64
	DescriptorSetLayout uint64
	PipelineCache       uint64
	Pipeline            uint64
	DescriptorPool      uint64
	DescriptorSet       uint64
	CommandPool         uint64
	Fence               uint64
	QueryPool           uint64
	Surface             uint64
	Swapchain           uint64
	Image               uint64
	Semaphore           uint64
	CommandBuffer       uintptr
)

// PipelineLayout is a handle with the size of its push constants in bytes. CmdRun
// checks the size, because drivers do not.
type PipelineLayout struct {
	handle    uint64
	PushBytes int
}

// to converts a handle between this package's type and the binding's.
func to[T, H any](h H) T { return *(*T)(unsafe.Pointer(&h)) }

// Version is a Vulkan version number.
type Version uint32

// MakeVersion makes a Version from its parts.
func MakeVersion(major, minor, patch int) Version {
	return Version(major<<22 | minor<<12 | patch)
}

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v>>22&0x7f, v>>12&0x3ff, v&0xfff)
}

// DeviceType says what kind of processor a device is.
type DeviceType uint32

// Device types.
const (
	OtherDevice DeviceType = iota
	IntegratedGPU
	DiscreteGPU
	VirtualGPU
	CPU
)

func (t DeviceType) String() string {
	names := [...]string{"other", "integrated", "discrete", "virtual", "cpu"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// UUID identifies a device or a driver, across processes and APIs.
type UUID [16]byte

func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// MemoryFlags are properties of a memory type.
type MemoryFlags uint32

// Memory properties.
const (
	DeviceLocal MemoryFlags = 1 << iota
	HostVisible
	HostCoherent
	HostCached
	LazilyAllocated
	Protected
)

// BufferUsage says what a buffer may be used for.
type BufferUsage uint32

// Buffer usages.
const (
	TransferSrc        BufferUsage = 0x01
	TransferDst        BufferUsage = 0x02
	UniformTexelBuffer BufferUsage = 0x04
	StorageBuffer      BufferUsage = 0x20
)

// DescriptorType is the type of a binding of a descriptor set.
type DescriptorType uint32

// Descriptor types.
const (
	UniformTexelDescriptor  DescriptorType = 4
	StorageBufferDescriptor DescriptorType = 7
)

// Format is the type of a texel.
type Format uint32

// Formats of texel buffers.
const (
	RGBA16U Format = 95
	RGBA16F Format = 97
	RGBA32U Format = 107
	RGBA32F Format = 109
)

// Stage is a set of pipeline stages, for barriers and timestamps.
type Stage uint32

// Pipeline stages.
const (
	ComputeStage Stage = 0x800
	Transfer     Stage = 0x1000
	BottomOfPipe Stage = 0x2000
	Host         Stage = 0x4000
)

// Access is a set of memory accesses, for barriers.
type Access uint32

// Memory accesses. A texel fetch is a ShaderRead.
const (
	ShaderRead    Access = 0x20
	ShaderWrite   Access = 0x40
	TransferRead  Access = 0x800
	TransferWrite Access = 0x1000
	HostRead      Access = 0x2000
	HostWrite     Access = 0x4000
)

// SubgroupOps is a set of kinds of subgroup operation.
type SubgroupOps uint32

// SubgroupArithmetic is the kind of subgroupAdd and similar operations, SubgroupShuffle that of
// subgroupShuffle and subgroupShuffleXor.
const (
	SubgroupArithmetic SubgroupOps = 0x4
	SubgroupShuffle    SubgroupOps = 0x10
)

// Forever is a timeout of WaitFence that never ends.
const Forever = uint64(math.MaxUint64)
