//go:build cgo

package vulkan

import "caldera/backend/vulkan/internal/vk"

// driver is what this package calls of an open device: a *vk.Device. Tests have another one, which interprets shaders.
// CreateShaderModule, DestroyShaderModule and CreateComputePipeline are called on several goroutines at once, and while
// others are called.
type driver interface {
	Close()

	// Memory.
	AllocateMemory(size uint64, memoryType int) (vk.Memory, error)
	FreeMemory(vk.Memory)
	Map(m vk.Memory, size uint64) ([]byte, error)
	Flush(m vk.Memory, offset, size uint64) error
	Invalidate(m vk.Memory, offset, size uint64) error
	CreateBuffer(size uint64, usage vk.BufferUsage) (vk.Buffer, vk.Requirements, error)
	DestroyBuffer(vk.Buffer)
	BindBuffer(b vk.Buffer, m vk.Memory, offset uint64) error
	CreateBufferView(b vk.Buffer, f vk.Format, offset, size uint64) (vk.BufferView, error)
	DestroyBufferView(vk.BufferView)

	// Pipelines and what they are bound to.
	CreateShaderModule(spirv []byte) (vk.ShaderModule, error)
	DestroyShaderModule(vk.ShaderModule)
	CreateDescriptorSetLayout(types []vk.DescriptorType) (vk.DescriptorSetLayout, error)
	DestroyDescriptorSetLayout(vk.DescriptorSetLayout)
	CreatePipelineLayout(l vk.DescriptorSetLayout, pushBytes int) (vk.PipelineLayout, error)
	DestroyPipelineLayout(vk.PipelineLayout)
	CreatePipelineCache(data []byte) (vk.PipelineCache, error)
	PipelineCacheData(vk.PipelineCache) ([]byte, error)
	MergePipelineCaches(to, from vk.PipelineCache) error
	DestroyPipelineCache(vk.PipelineCache)
	CreateComputePipeline(vk.PipelineInfo) (vk.Pipeline, error)
	DestroyPipeline(vk.Pipeline)
	CreateDescriptorPool(vk.PoolSize) (vk.DescriptorPool, error)
	ResetDescriptorPool(vk.DescriptorPool) error
	DestroyDescriptorPool(vk.DescriptorPool)
	AllocateDescriptorSet(vk.DescriptorPool, vk.DescriptorSetLayout) (vk.DescriptorSet, error)
	UpdateDescriptorSet(vk.DescriptorSet, []vk.Descriptor)

	// Commands.
	CreateCommandPool() (vk.CommandPool, error)
	DestroyCommandPool(vk.CommandPool)
	AllocateCommandBuffer(vk.CommandPool) (vk.CommandBuffer, error)
	Begin(vk.CommandBuffer, vk.BeginFlags) error
	End(vk.CommandBuffer) error
	CmdRun(cb vk.CommandBuffer, p vk.Pipeline, l vk.PipelineLayout, s vk.DescriptorSet, push []byte, x, y, z uint32)
	CmdBarrier(cb vk.CommandBuffer, src vk.Stage, srcAccess vk.Access, dst vk.Stage, dstAccess vk.Access)
	CmdCopyBuffer(cb vk.CommandBuffer, src, dst vk.Buffer, srcOffset, dstOffset, size uint64)
	CmdFillBuffer(cb vk.CommandBuffer, dst vk.Buffer, offset, size uint64, word uint32)
	CmdUpdateBuffer(cb vk.CommandBuffer, dst vk.Buffer, offset uint64, data []byte)

	// Submits and timestamps.
	Submit(buffers []vk.CommandBuffer, fence vk.Fence) error
	CreateFence() (vk.Fence, error)
	DestroyFence(vk.Fence)
	WaitFence(f vk.Fence, nanoseconds uint64) (bool, error)
	ResetFence(vk.Fence) error
	CreateQueryPool(n int) (vk.QueryPool, error)
	DestroyQueryPool(vk.QueryPool)
	QueryResults(q vk.QueryPool, first int, ticks []uint64) (ok bool, err error)
	CmdResetQueryPool(cb vk.CommandBuffer, q vk.QueryPool, first, n int)
	CmdWriteTimestamp(cb vk.CommandBuffer, s vk.Stage, q vk.QueryPool, query int)
}

// opened is a device that a test has opened in its own way.
type opened struct {
	physical *vk.PhysicalDevice
	driver   driver
	limits   Limits // without Unified
	trusted  bool   // checks of kernels count as passed: the test shows itself what they compute
	unit     uint64 // size of a block that several buffers share
	cache    string // the user's cache directory; "": the usual one
}
