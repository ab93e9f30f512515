//go:build cgo

package vulkan

import "caldera/backend/vulkan/internal/vk"

// Limits is what a device can do. Every limit that this package or a kernel
// goes by passes through it, so that a test can clamp one and play a smaller
// device (see Options).
type Limits struct {
	// Memory.
	BindingRange   uint64 // bytes that a storage buffer binding may span
	BindingAlign   uint64 // of a storage buffer binding's offset in bytes: a power of two, at least 16
	TexelElements  uint64 // texels of a uniform texel buffer; 0: there are none
	TexelAlign     uint64 // of a texel buffer view's offset in bytes: a power of two, at least 16
	AllocationSize uint64 // bytes of the largest allocation and of the largest buffer
	Unified        bool   // the host maps device memory: no copies through staging memory
	Coherent       bool   // memory that is coherent by its type needs no Flush and Invalidate
	Software       bool   // a driver that computes on the CPU

	// Dispatches.
	SharedMemory  uint32    // bytes of a workgroup
	WorkgroupSize [3]uint32 // invocations of a workgroup along each axis
	Invocations   uint32    // invocations of a workgroup
	Groups        [3]uint32 // workgroups of a dispatch along each axis
	PushConstants uint32    // bytes

	// Products of so many rows and outputs at least, and of so many numbers,
	// have work for all of the device in large tiles.
	LargeTileEdge int
	LargeTileSize int

	// Subgroups, as the driver advertises them. A kernel asks
	// encoder.subgroups before it takes a variant that uses them.
	SubgroupSize       uint32 // 0: unknown
	SubgroupArithmetic bool   // subgroupAdd and the like

	// Matrix is M, N and K of the cooperative matrices of f16, with sums of
	// f32, that suit linear_matrix.comp best, as the driver advertises them;
	// all 0 where there are none. Kernels go by encoder.onMatrices.
	Matrix [3]uint32

	// Timestamps, for Profile.
	TimestampBits   uint32  // that are valid, 36 to 64; 0: the queue has no timestamps
	TimestampPeriod float64 // nanoseconds of a tick
}

// matrixWanted are the features that linear_matrix.comp takes, asked for where
// a device has all of them. Once the memory model is on, the atomics of other
// shaders need its device scope.
var matrixWanted = vk.Features{
	CooperativeMatrix:   true,
	MemoryModel:         true,
	MemoryModelDevice:   true,
	ShaderFloat16:       true,
	SubgroupSizeControl: true,
	FullSubgroups:       true,
}

// features are those that a device is opened with. Other shaders need none.
func features(p *vk.PhysicalDevice) vk.Features {
	if len(p.Matrices) > 0 && p.Features.And(matrixWanted) == matrixWanted {
		return matrixWanted
	}
	return vk.Features{}
}

// limitsOf are the limits of an open device, but for Unified.
func limitsOf(d *vk.Device) Limits {
	p, s := &d.Physical.Limits, &d.Physical.Subgroup
	l := Limits{
		BindingRange:   p.MaxStorageBufferRange &^ 15,
		BindingAlign:   max(p.StorageBufferAlignment, 16),
		TexelElements:  p.MaxTexelBufferElements,
		TexelAlign:     max(p.TexelBufferAlignment, 16),
		AllocationSize: p.MaxMemoryAllocationSize,
		Coherent:       true,
		Software:       d.Physical.Type == vk.CPU,

		SharedMemory:  uint32(p.MaxSharedMemory),
		Invocations:   uint32(p.MaxWorkGroupInvocations),
		Groups:        p.MaxWorkGroupCount,
		PushConstants: uint32(p.MaxPushConstants),

		LargeTileEdge: 256,
		LargeTileSize: 256 * 128 * 128,

		SubgroupSize:       uint32(s.Size),
		SubgroupArithmetic: s.Compute && s.Operations&vk.SubgroupArithmetic != 0,

		TimestampBits:   uint32(d.Physical.Queues[d.Family].TimestampBits),
		TimestampPeriod: p.TimestampPeriod,
	}
	for i := range l.WorkgroupSize {
		l.WorkgroupSize[i] = uint32(p.MaxWorkGroupSize[i])
	}
	if p.MaxBufferSize > 0 {
		l.AllocationSize = min(l.AllocationSize, p.MaxBufferSize)
	}
	if d.Features.And(matrixWanted) == matrixWanted {
		l.Matrix = l.bestMatrix(d.Physical.Matrices)
	}
	for _, f := range texelFormats {
		if !d.Physical.SupportsTexel(f.vk) {
			l.TexelElements = 0
		}
	}
	return l
}
