//go:build cgo

package vulkan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// interpreter is a device that interprets shaders and reports what drivers forgive: see package spirv. Its memory is
// not coherent, so that what the host writes is known too. What is submitted runs when the host waits for it, or
// sooner.
type interpreter struct {
	lanes   int
	machine *spirv.Machine
	rng     *rand.Rand
	edit    func(v *shaders.Variant, m *spirv.Module) *spirv.Module // changes each shader; nil: does not

	mu       sync.Mutex // of last, modules and pipes: pipelines are compiled on several goroutines
	last     uint64     // handle
	memories map[vk.Memory]*hostMemory
	buffers  map[vk.Buffer]vk.Memory
	views    map[vk.BufferView]spirv.Binding
	modules  map[vk.ShaderModule]module
	pipes    map[vk.Pipeline]pipe
	pools    map[vk.DescriptorPool][]vk.DescriptorSet
	sets     map[vk.DescriptorSet][]vk.Descriptor
	commands map[vk.CommandBuffer]*[]func() error
	fences   map[vk.Fence]bool // whether it is signalled
	queue    []submitted
	seen     spirv.Serial // what the host may read
	report   func(spirv.Report)
	traces   traces // nil: none are kept
	err      error  // of a command
}

type hostMemory struct {
	device *spirv.Memory
	host   []byte // as the host sees it; nil: not mapped
}

type module struct {
	variant *shaders.Variant
	module  *spirv.Module
}

type pipe struct {
	*spirv.Pipeline
	variant *shaders.Variant
	spec    []uint32
}

type submitted struct {
	buffers []vk.CommandBuffer
	fence   vk.Fence
}

// played is a card that an interpreter plays.
type played struct {
	name     string
	lanes    int
	software bool             // it says that it is a software driver
	unified  bool             // the host maps its memory
	shapes   []vk.MatrixShape // of its cooperative matrices
	clamp    func(*Limits)    // changes the limits
	checked  bool             // kernels are checked before they are used, as on other devices
	cache    string           // the user's cache directory; empty: that of all tests
}

// limits are those of the card.
func (c played) limits() Limits {
	l := Limits{
		BindingRange: 128 << 20, BindingAlign: 64, TexelElements: 1 << 27, TexelAlign: 64, AllocationSize: 1 << 30, Coherent: true,
		Bindings: 32, Software: c.software, SharedMemory: 48 << 10, WorkgroupSize: [3]uint32{1024, 1024, 64}, Invocations: 1024,
		Groups: [3]uint32{65535, 65535, 65535}, PushConstants: 128, LargeTileEdge: 256, LargeTileSize: 256 * 128 * 128,
		SubgroupSize: uint32(c.lanes), MatrixSubgroup: uint32(c.lanes), SubgroupRange: [2]int{c.lanes, c.lanes}, SubgroupArithmetic: true, SubgroupShuffle: true, TimestampPeriod: 1,
	}
	l.setCores(128)
	l.Matrix = l.bestMatrix(c.shapes)
	return l
}

func newInterpreter(lanes int, seed uint64) *interpreter {
	return &interpreter{
		lanes: lanes, machine: spirv.NewMachine(seed), rng: rand.New(rand.NewPCG(seed, 2)),
		memories: map[vk.Memory]*hostMemory{}, buffers: map[vk.Buffer]vk.Memory{}, views: map[vk.BufferView]spirv.Binding{},
		modules: map[vk.ShaderModule]module{}, pipes: map[vk.Pipeline]pipe{}, pools: map[vk.DescriptorPool][]vk.DescriptorSet{},
		sets: map[vk.DescriptorSet][]vk.Descriptor{}, commands: map[vk.CommandBuffer]*[]func() error{}, fences: map[vk.Fence]bool{},
	}
}

// open opens the card. Reports fail the test when it is closed, or sooner.
func (c played) open(tb testing.TB, ts traces) *Backend {
	tb.Helper()
	b, d, err := c.openQuiet()
	if err != nil {
		tb.Fatal(err)
	}
	d.traces = ts
	d.report = func(r spirv.Report) { tb.Errorf("%s: %v", c.name, r) }
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return b
}

// interpretedUnit is the size of blocks of memory of a card: each word has its shadow, and tests open hundreds of cards.
const interpretedUnit = 4 << 20

// openQuiet is open for a test that asks for the reports itself.
func (c played) openQuiet() (*Backend, *interpreter, error) {
	flags := []vk.MemoryFlags{vk.DeviceLocal, vk.HostVisible | vk.HostCached}
	if c.unified {
		flags = []vk.MemoryFlags{vk.DeviceLocal | vk.HostVisible | vk.HostCached}
	}
	physical := &vk.PhysicalDevice{
		Name: c.name, Type: vk.DiscreteGPU, APIVersion: vk.MakeVersion(1, 3, 0), DriverName: "interpreter",
		Heaps: []vk.MemoryHeap{{Size: 4 << 30, DeviceLocal: true}}, Queues: []vk.QueueFamily{{Compute: true, Count: 1}},
	}
	for _, f := range flags {
		physical.MemoryTypes = append(physical.MemoryTypes, vk.MemoryType{Flags: f})
	}
	d := newInterpreter(c.lanes, 1)
	b, err := Open(Options{opened: &opened{physical, d, c.limits(), !c.checked, interpretedUnit, c.cache}, Limits: c.clamp})
	if err == nil { // what scratch memory held for one op, the next one must not read
		b.mem.freed = func(of *block, offset, size uint64) {
			if size < b.mem.dedicated() { // else the block is freed too
				d.of(of.Buffer).Forget(int(offset), int(roundUp(size, rangeUnit)))
			}
		}
	}
	return b, d, err
}

func (d *interpreter) handle() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	return d.last
}

func (d *interpreter) Close() {}

func (d *interpreter) AllocateMemory(size uint64, _ int) (vk.Memory, error) {
	m := vk.Memory(d.handle())
	d.memories[m] = &hostMemory{device: spirv.NewMemory(int(size), uint64(m))}
	return m, nil
}

func (d *interpreter) FreeMemory(m vk.Memory) { delete(d.memories, m) }

func (d *interpreter) Map(m vk.Memory, size uint64) ([]byte, error) {
	mem := d.memories[m]
	mem.host = bytes.Repeat([]byte{0xa5}, int(size))
	return mem.host, nil
}

func (d *interpreter) Flush(m vk.Memory, offset, size uint64) error {
	mem := d.memories[m]
	d.machine.Host(mem.device, int(offset), mem.host[offset:offset+size])
	return nil
}

func (d *interpreter) Invalidate(m vk.Memory, offset, size uint64) error {
	mem := d.memories[m]
	if at, ok := mem.device.Since(d.seen, int(offset), int(size)); ok {
		return fmt.Errorf("the host reads byte %d of a memory, which was written after the last barrier for the host", at)
	}
	mem.device.Read(mem.host[offset:offset+size], int(offset))
	return nil
}

func (d *interpreter) CreateBuffer(size uint64, _ vk.BufferUsage) (vk.Buffer, vk.Requirements, error) {
	b := vk.Buffer(d.handle())
	d.buffers[b] = 0
	return b, vk.Requirements{Size: roundUp(size, rangeUnit), Alignment: rangeUnit, TypeBits: 3}, nil
}

func (d *interpreter) DestroyBuffer(b vk.Buffer) { delete(d.buffers, b) }

func (d *interpreter) BindBuffer(b vk.Buffer, m vk.Memory, offset uint64) error {
	if offset != 0 {
		return fmt.Errorf("a buffer at byte %d of its memory", offset)
	}
	d.buffers[b] = m
	return nil
}

// of is the memory of a buffer.
func (d *interpreter) of(b vk.Buffer) *spirv.Memory { return d.memories[d.buffers[b]].device }

func (d *interpreter) CreateBufferView(b vk.Buffer, f vk.Format, offset, size uint64) (vk.BufferView, error) {
	v := vk.BufferView(d.handle())
	format := map[vk.Format]spirv.Format{vk.RGBA32F: spirv.RGBA32F, vk.RGBA16F: spirv.RGBA16F, vk.RGBA32U: spirv.RGBA32U, vk.RGBA16U: spirv.RGBA16U}[f]
	d.views[v] = spirv.Binding{Memory: d.of(b), Offset: int(offset), Size: int(size), Texels: format}
	return v, nil
}

func (d *interpreter) DestroyBufferView(v vk.BufferView) { delete(d.views, v) }

// variants are the shaders by their code.
var variants = func() map[string]*shaders.Variant {
	all := map[string]*shaders.Variant{}
	for i := range shaders.Variants {
		all[string(shaders.Variants[i].SPIRV())] = &shaders.Variants[i]
	}
	return all
}()

func (d *interpreter) CreateShaderModule(code []byte) (vk.ShaderModule, error) {
	m, err := spirv.Parse(code)
	if err != nil {
		return 0, err
	}
	v := variants[string(code)]
	if d.edit != nil {
		m = d.edit(v, m)
	}
	h := vk.ShaderModule(d.handle())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.modules[h] = module{v, m}
	return h, nil
}

func (d *interpreter) DestroyShaderModule(m vk.ShaderModule) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.modules, m)
}

func (d *interpreter) CreateDescriptorSetLayout([]vk.DescriptorType) (vk.DescriptorSetLayout, error) {
	return vk.DescriptorSetLayout(d.handle()), nil
}

func (d *interpreter) DestroyDescriptorSetLayout(vk.DescriptorSetLayout) {}

func (d *interpreter) CreatePipelineLayout(_ vk.DescriptorSetLayout, pushBytes int) (vk.PipelineLayout, error) {
	return vk.PipelineLayout{PushBytes: pushBytes}, nil
}

func (d *interpreter) DestroyPipelineLayout(vk.PipelineLayout)              {}
func (d *interpreter) CreatePipelineCache([]byte) (vk.PipelineCache, error) { return 0, nil }
func (d *interpreter) PipelineCacheData(vk.PipelineCache) ([]byte, error)   { return nil, nil }
func (d *interpreter) MergePipelineCaches(_, _ vk.PipelineCache) error      { return nil }
func (d *interpreter) DestroyPipelineCache(vk.PipelineCache)                {}

func (d *interpreter) CreateComputePipeline(info vk.PipelineInfo) (vk.Pipeline, error) {
	if info.Subgroup != 0 && info.Subgroup != d.lanes {
		return 0, fmt.Errorf("a subgroup of %d is asked for, the card has %d", info.Subgroup, d.lanes)
	}
	d.mu.Lock()
	m := d.modules[info.Module]
	d.mu.Unlock()
	var names []string
	for _, b := range m.variant.Bindings {
		names = append(names, b.Name)
	}
	p, err := m.module.Compile(spirv.Options{Name: m.variant.Name(), Bindings: names, Spec: info.Spec, Lanes: d.lanes})
	if err != nil {
		return 0, err
	}
	h := vk.Pipeline(d.handle())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipes[h] = pipe{p, m.variant, info.Spec}
	return h, nil
}

func (d *interpreter) DestroyPipeline(p vk.Pipeline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.pipes, p)
}

func (d *interpreter) pipe(p vk.Pipeline) pipe {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pipes[p]
}

func (d *interpreter) CreateDescriptorPool(vk.PoolSize) (vk.DescriptorPool, error) {
	return vk.DescriptorPool(d.handle()), nil
}

func (d *interpreter) ResetDescriptorPool(p vk.DescriptorPool) error {
	for _, s := range d.pools[p] {
		delete(d.sets, s)
	}
	delete(d.pools, p)
	return nil
}

func (d *interpreter) DestroyDescriptorPool(p vk.DescriptorPool) { _ = d.ResetDescriptorPool(p) }

func (d *interpreter) AllocateDescriptorSet(p vk.DescriptorPool, _ vk.DescriptorSetLayout) (vk.DescriptorSet, error) {
	s := vk.DescriptorSet(d.handle())
	d.pools[p] = append(d.pools[p], s)
	return s, nil
}

func (d *interpreter) UpdateDescriptorSet(s vk.DescriptorSet, list []vk.Descriptor) {
	d.sets[s] = slices.Clone(list)
}

func (d *interpreter) CreateCommandPool() (vk.CommandPool, error) { return 0, nil }
func (d *interpreter) DestroyCommandPool(vk.CommandPool)          {}

func (d *interpreter) AllocateCommandBuffer(vk.CommandPool) (vk.CommandBuffer, error) {
	cb := vk.CommandBuffer(d.handle())
	d.commands[cb] = &[]func() error{}
	return cb, nil
}

func (d *interpreter) Begin(cb vk.CommandBuffer, _ vk.BeginFlags) error {
	*d.commands[cb] = nil
	return nil
}

func (d *interpreter) End(vk.CommandBuffer) error { return nil }

func (d *interpreter) record(cb vk.CommandBuffer, do func() error) {
	list := d.commands[cb]
	*list = append(*list, do)
}

func (d *interpreter) CmdRun(cb vk.CommandBuffer, p vk.Pipeline, _ vk.PipelineLayout, s vk.DescriptorSet, push []byte, x, y, z uint32) {
	push = slices.Clone(push)
	d.record(cb, func() error {
		var bindings []spirv.Binding
		for _, b := range d.sets[s] {
			if b.Type == vk.UniformTexelDescriptor {
				bindings = append(bindings, d.views[vk.BufferView(b.Handle)])
			} else {
				bindings = append(bindings, spirv.Binding{Memory: d.of(vk.Buffer(b.Handle)), Offset: int(b.Offset), Size: int(b.Bytes)})
			}
		}
		pipe, groups := d.pipe(p), [3]uint32{x, y, z}
		if d.traces != nil {
			d.traces.keep(pipe.variant, pipe.spec, d.lanes, bindings, push, groups)
		}
		return d.machine.Dispatch(pipe.Pipeline, bindings, push, groups)
	})
}

// CmdBarrier orders all, or nothing: the backend has global barriers alone.
func (d *interpreter) CmdBarrier(cb vk.CommandBuffer, src vk.Stage, srcAccess vk.Access, dst vk.Stage, dstAccess vk.Access) {
	d.record(cb, func() error {
		var kinds spirv.Kinds
		if src&vk.ComputeStage != 0 && srcAccess&vk.ShaderWrite != 0 {
			kinds |= spirv.Shaders
		}
		if src&vk.Transfer != 0 && srcAccess&vk.TransferWrite != 0 {
			kinds |= spirv.Transfers
		}
		if dst&allStages == allStages && dstAccess&allAccess == allAccess {
			d.machine.Barrier(kinds)
		}
		if dst&vk.Host != 0 && dstAccess&vk.HostRead != 0 && kinds == spirv.Shaders|spirv.Transfers {
			d.seen = d.machine.Serial()
		}
		return nil
	})
}

func (d *interpreter) CmdCopyBuffer(cb vk.CommandBuffer, src, dst vk.Buffer, srcOffset, dstOffset, size uint64) {
	d.record(cb, func() error {
		return d.machine.Copy(d.of(dst), int(dstOffset), d.of(src), int(srcOffset), int(size))
	})
}

func (d *interpreter) CmdFillBuffer(cb vk.CommandBuffer, dst vk.Buffer, offset, size uint64, word uint32) {
	d.record(cb, func() error {
		data := make([]byte, size)
		if word != 0 {
			return fmt.Errorf("a fill with %#x", word)
		}
		return d.machine.Put(d.of(dst), int(offset), data, "a fill")
	})
}

func (d *interpreter) CmdUpdateBuffer(cb vk.CommandBuffer, dst vk.Buffer, offset uint64, data []byte) {
	data = slices.Clone(data)
	d.record(cb, func() error { return d.machine.Put(d.of(dst), int(offset), data, "an update") })
}

func (d *interpreter) Submit(buffers []vk.CommandBuffer, fence vk.Fence) error {
	d.queue = append(d.queue, submitted{slices.Clone(buffers), fence})
	return nil
}

// execute runs the oldest submit.
func (d *interpreter) execute() {
	s := d.queue[0]
	d.queue = d.queue[1:]
	for _, cb := range s.buffers {
		for _, do := range *d.commands[cb] {
			if err := do(); err != nil && d.err == nil {
				d.err = err
			}
		}
	}
	d.fences[s.fence] = true
}

func (d *interpreter) CreateFence() (vk.Fence, error) { return vk.Fence(d.handle()), nil }
func (d *interpreter) DestroyFence(f vk.Fence)        { delete(d.fences, f) }

func (d *interpreter) WaitFence(f vk.Fence, nanoseconds uint64) (bool, error) {
	for !d.fences[f] && len(d.queue) > 0 && (nanoseconds > 0 || d.rng.IntN(2) == 0) {
		d.execute()
	}
	if d.report != nil {
		for _, r := range d.machine.Reports() {
			d.report(r)
		}
	}
	return d.fences[f], d.err
}

func (d *interpreter) ResetFence(f vk.Fence) error {
	d.fences[f] = false
	return nil
}

func (d *interpreter) CreateQueryPool(int) (vk.QueryPool, error) {
	return vk.QueryPool(d.handle()), nil
}
func (d *interpreter) DestroyQueryPool(vk.QueryPool) {}

func (d *interpreter) QueryResults(vk.QueryPool, int, []uint64) (bool, error) { return false, nil }

func (d *interpreter) CmdResetQueryPool(vk.CommandBuffer, vk.QueryPool, int, int)      {}
func (d *interpreter) CmdWriteTimestamp(vk.CommandBuffer, vk.Stage, vk.QueryPool, int) {}
