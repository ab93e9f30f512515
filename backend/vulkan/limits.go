//go:build cgo

package vulkan

import (
	"golang.org/x/sys/cpu"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// Limits is what a device can do. This package and its kernels read every limit
// from here, so that a test can lower one to simulate a smaller device (see
// Options).
type Limits struct {
	// Memory.
	BindingRange   uint64 // bytes that a storage buffer binding may span
	BindingAlign   uint64 // alignment in bytes of a storage buffer binding's offset: a power of two, at least 16
	Bindings       int    // storage buffers that a shader may bind
	TexelElements  uint64 // most texels in a uniform texel buffer; 0: no texel buffers
	TexelAlign     uint64 // alignment in bytes of a texel buffer view's offset: a power of two, at least 16
	AllocationSize uint64 // bytes of the largest allocation and of the largest buffer
	Unified        bool   // the host maps device memory: no staging buffers are needed
	Coherent       bool   // memory types that say they are coherent need no Flush and Invalidate
	Software       bool   // the driver computes on the CPU

	// Dispatches.
	SharedMemory  uint32    // bytes for a workgroup
	WorkgroupSize [3]uint32 // most invocations in a workgroup along each axis
	Invocations   uint32    // most invocations in a workgroup
	Groups        [3]uint32 // most workgroups in a dispatch along each axis
	PushConstants uint32    // bytes

	// Cores is how many compute units (AMD), multiprocessors (NVIDIA) or shader cores (others) the
	// device has, as the driver tells, or else as usual devices of the maker: see coresOf.
	Cores int

	// A product uses large tiles if it has at least LargeTileEdge rows and
	// outputs, and at least LargeTileSize elements: then the tiles are enough to
	// keep the whole device busy.
	LargeTileEdge int
	LargeTileSize int

	// MatrixTiles is how many workgroups with tiles of 128 keep the device busy that
	// multiplies cooperative matrices, or twice as many of 64, of half the invocations: one for two
	// cores. A tile of 128 reads half of what four of 64 read, of caches that all cores share; so it
	// pays although half of the cores are idle.
	MatrixTiles int

	// FewRegisters: a lane has fewer than the 128 registers (of 32 bits) that other GPUs have
	// for it, so that kernels keep fewer sums in them.
	FewRegisters bool

	// FastDot: the device has an instruction for the product of four bytes with four, as the
	// driver advertises. Variants with integer dot products are checked before they are used.
	FastDot bool

	// Vendor is the PCI vendor of the GPU's maker: a row of the table of makers.
	Vendor uint32

	// Subgroups, as the driver advertises them. Variants with subgroup operations are
	// checked before they are used (check.go).
	SubgroupSize       uint32 // invocations; 0: unknown
	SubgroupArithmetic bool   // subgroupAdd and similar operations
	SubgroupShuffle    bool   // subgroupShuffle and similar operations
	Permutes           bool   // a software driver shuffles in one instruction if its compiler does not know from which lane: see linear_spread.comp
	SubgroupRange      [2]int // the least and the most invocations that a pipeline may ask for; 0: it cannot ask
	SubgroupVaries     bool   // pipelines have subgroups of several sizes, and cannot ask for one
	MatrixSubgroup     uint32 // invocations of a subgroup that multiplies cooperative matrices; 0: unknown

	// Matrix is M, N and K of the cooperative matrices (f16, sums in f32) that
	// suit linear_matrix.comp and attention_matrix.comp best, as the driver advertises them. It is all 0 if
	// there are none.
	Matrix [3]uint32

	// Timestamps, for Profile.
	TimestampBits   uint32  // number of valid bits, 36 to 64; 0: the queue has no timestamps
	TimestampPeriod float64 // nanoseconds per tick
}

// matrixWanted are the features that linear_matrix.comp and attention_matrix.comp need. They are enabled
// if a device has all of them. Device scope is among them because the atomics of
// other shaders need it once the memory model is enabled.
var matrixWanted = vk.Features{
	CooperativeMatrix:   true,
	MemoryModel:         true,
	MemoryModelDevice:   true,
	ShaderFloat16:       true,
	SubgroupSizeControl: true,
	FullSubgroups:       true,
}

// features returns the features that a device is opened with: those that
// kernels on cooperative matrices need, that pipelines may ask for a subgroup size, and integer dot products.
func features(p *vk.PhysicalDevice) vk.Features {
	if len(p.Matrices) > 0 && p.Features.And(matrixWanted) == matrixWanted {
		wanted := matrixWanted
		wanted.IntegerDot = true
		return wanted
	}
	return vk.Features{SubgroupSizeControl: true, IntegerDot: true}
}

// limitsOf returns the limits of an open device, except Unified (see chooseMemory).
func limitsOf(d *vk.Device) Limits {
	p, s := &d.Physical.Limits, &d.Physical.Subgroup
	vendor := vendorOf(d.Physical)
	general, matrix := makerOf(vendor).subgroupSizes(d.Physical)
	l := Limits{
		BindingRange:   p.MaxStorageBufferRange &^ 15,
		BindingAlign:   max(p.StorageBufferAlignment, 16),
		Bindings:       p.MaxStorageBuffers,
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

		Vendor:             vendor,
		SubgroupSize:       uint32(general),
		MatrixSubgroup:     uint32(matrix),
		FewRegisters:       fewRegisters(d.Physical),
		FastDot:            d.Physical.FastDot && d.Features.IntegerDot,
		SubgroupArithmetic: s.Compute && s.Operations&vk.SubgroupArithmetic != 0,
		SubgroupShuffle:    s.Compute && s.Operations&vk.SubgroupShuffle != 0,

		TimestampBits:   uint32(d.Physical.Queues[d.Family].TimestampBits),
		TimestampPeriod: p.TimestampPeriod,
	}
	l.setCores(coresOf(d.Physical))
	l.Permutes = l.Software && cpu.X86.HasAVX2 && l.SubgroupSize == 8
	l.setSubgroupRange(d.Physical, d.Features.SubgroupSizeControl)
	for i := range l.WorkgroupSize {
		l.WorkgroupSize[i] = uint32(p.MaxWorkGroupSize[i])
	}
	if p.MaxBufferSize > 0 {
		l.AllocationSize = min(l.AllocationSize, p.MaxBufferSize)
	}
	if d.Features.And(matrixWanted) == matrixWanted && !l.FewRegisters {
		l.Matrix = l.bestMatrix(d.Physical.Matrices)
	}
	for _, f := range texelFormats {
		if !d.Physical.SupportsTexel(f.vk) {
			l.TexelElements = 0
		}
	}
	return l
}

// fitTexels reports whether a tensor can be read as texels of four elements, wherever it begins.
func (l *Limits) fitTexels(t backend.Tensor) bool {
	f, ok := texelsOf[t.DType]
	return ok && (uint64(t.Size())+l.TexelAlign)/texelFormats[f].bytes < l.TexelElements
}
