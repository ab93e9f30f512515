//go:build cgo

package vulkan

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
	Software       bool   // a driver that computes on the CPU

	// Dispatches.
	SharedMemory  uint32    // bytes of a workgroup
	WorkgroupSize [3]uint32 // invocations of a workgroup along each axis
	Invocations   uint32    // invocations of a workgroup
	Groups        [3]uint32 // workgroups of a dispatch along each axis
	PushConstants uint32    // bytes
	Bindings      uint32    // of one shader: storage buffers, and as many texel buffers

	// Subgroups, as the driver advertises them. A kernel asks
	// encoder.subgroups before it takes a variant that uses them.
	SubgroupSize       uint32 // 0: unknown
	SubgroupMin        uint32 // sizes that pipelineSpec.subgroup may ask for;
	SubgroupMax        uint32 // both 0: none
	SubgroupArithmetic bool   // subgroupAdd and the like
	SubgroupShuffle    bool

	// Storage and arithmetic of small types.
	Storage16  bool // 16-bit types in storage buffers
	Storage8   bool // 8-bit types in storage buffers
	Float16    bool // arithmetic in f16
	Int8       bool // arithmetic in int8
	IntegerDot bool // dot products of packed int8 are accelerated
}
