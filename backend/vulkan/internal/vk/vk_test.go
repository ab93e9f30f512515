//go:build cgo

// Tests of the package against a real driver: lavapipe will do. A machine
// without loader, driver or validation layer fails them; it does not skip.

package vk_test

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"caldera/backend/vulkan/internal/vk"
)

//go:embed testdata/add.spv
var addSPIRV []byte

// messages collects what the validation layer says.
type messages struct {
	sync.Mutex
	all []string
}

func (m *messages) add(s vk.Severity, id, text string) {
	m.Lock()
	defer m.Unlock()
	m.all = append(m.all, fmt.Sprintf("%s %s: %s", s, id, text))
}

func (m *messages) take() []string {
	m.Lock()
	defer m.Unlock()
	all := m.all
	m.all = nil
	return all
}

// newInstance gives a validated instance that fails the test at its end if a
// message is left.
func newInstance(tb testing.TB) (*vk.Instance, *messages) {
	tb.Helper()
	m := new(messages)
	i, err := vk.New(vk.Options{Validation: true, Message: m.add})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		i.Close()
		for _, text := range m.take() {
			tb.Error(text)
		}
	})
	return i, m
}

func openFirst(tb testing.TB, i *vk.Instance) *vk.Device {
	tb.Helper()
	list, err := i.Devices()
	if err != nil {
		tb.Fatal(err)
	}
	d, err := list[0].Open(list[0].Features)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	return d
}

func newDevice(tb testing.TB) (*vk.Device, *messages) {
	tb.Helper()
	i, m := newInstance(tb)
	return openFirst(tb, i), m
}

// must is for calls whose failure ends the test.
func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// adder is everything that one run of add.comp needs, for n numbers.
type adder struct {
	d       *vk.Device
	n       int
	host    []byte // the mapped memory of a, b and c, n floats each
	buffers [3]vk.Buffer
	memory  vk.Memory
	offset  [3]uint64

	layout   vk.PipelineLayout
	pipeline vk.Pipeline
	sets     vk.DescriptorSetLayout
	pool     vk.DescriptorPool
	set      vk.DescriptorSet
	view     vk.BufferView
	commands vk.CommandPool
	cb       vk.CommandBuffer
	fence    vk.Fence
}

const hostMemory = vk.HostVisible | vk.HostCoherent

const r32f vk.Format = 100 // what add.comp reads a as

func newAdder(tb testing.TB, d *vk.Device, n int, scale uint32) *adder {
	tb.Helper()
	x := &adder{d: d, n: n}
	bits := ^uint32(0)
	var total uint64
	for i := range x.buffers {
		b, req, err := d.CreateBuffer(uint64(4*n), vk.StorageBuffer|vk.UniformTexelBuffer|vk.TransferDst|vk.TransferSrc)
		ok(tb, err)
		x.buffers[i] = b
		total = (total + req.Alignment - 1) / req.Alignment * req.Alignment
		x.offset[i] = total
		total += req.Size
		bits &= req.TypeBits
	}
	kind := 0
	for d.Physical.MemoryTypes[kind].Flags&hostMemory != hostMemory || bits>>kind&1 == 0 {
		kind++
	}
	x.memory = must[vk.Memory](tb)(d.AllocateMemory(total, kind))
	x.host = must[[]byte](tb)(d.Map(x.memory, total))
	for i, b := range x.buffers {
		ok(tb, d.BindBuffer(b, x.memory, x.offset[i]))
	}
	x.view = must[vk.BufferView](tb)(d.CreateBufferView(x.buffers[0], r32f, 0, uint64(4*n)))

	types := []vk.DescriptorType{vk.UniformTexelDescriptor, vk.StorageBufferDescriptor, vk.StorageBufferDescriptor}
	x.sets = must[vk.DescriptorSetLayout](tb)(d.CreateDescriptorSetLayout(types))
	x.layout = must[vk.PipelineLayout](tb)(d.CreatePipelineLayout(x.sets, 4))
	module := must[vk.ShaderModule](tb)(d.CreateShaderModule(addSPIRV))
	cache := must[vk.PipelineCache](tb)(d.CreatePipelineCache(nil))
	x.pipeline = must[vk.Pipeline](tb)(d.CreateComputePipeline(vk.PipelineInfo{
		Module: module, Layout: x.layout, Cache: cache, Spec: []uint32{64, scale}}))
	d.DestroyShaderModule(module)
	data := must[[]byte](tb)(d.PipelineCacheData(cache))
	other := must[vk.PipelineCache](tb)(d.CreatePipelineCache(data))
	ok(tb, d.MergePipelineCaches(other, cache))
	d.DestroyPipelineCache(cache)
	d.DestroyPipelineCache(other)

	x.pool = must[vk.DescriptorPool](tb)(d.CreateDescriptorPool(vk.PoolSize{Sets: 1, StorageBuffers: 2, TexelBuffers: 1}))
	x.set = must[vk.DescriptorSet](tb)(d.AllocateDescriptorSet(x.pool, x.sets))
	d.UpdateDescriptorSet(x.set, x.descriptors())
	x.commands = must[vk.CommandPool](tb)(d.CreateCommandPool())
	x.cb = must[vk.CommandBuffer](tb)(d.AllocateCommandBuffer(x.commands))
	x.fence = must[vk.Fence](tb)(d.CreateFence())
	return x
}

func (x *adder) descriptors() []vk.Descriptor {
	size := uint64(4 * x.n)
	return []vk.Descriptor{vk.BindTexels(x.view), vk.Bind(x.buffers[1], 0, size), vk.Bind(x.buffers[2], 0, size)}
}

func (x *adder) free() {
	d := x.d
	d.DestroyFence(x.fence)
	d.DestroyCommandPool(x.commands)
	d.DestroyDescriptorPool(x.pool)
	d.DestroyPipeline(x.pipeline)
	d.DestroyPipelineLayout(x.layout)
	d.DestroyDescriptorSetLayout(x.sets)
	d.DestroyBufferView(x.view)
	for _, b := range x.buffers {
		d.DestroyBuffer(b)
	}
	d.FreeMemory(x.memory)
}

func (x *adder) float(which, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(x.host[x.offset[which]+uint64(4*i):]))
}

func (x *adder) setFloat(which, i int, v float32) {
	binary.LittleEndian.PutUint32(x.host[x.offset[which]+uint64(4*i):], math.Float32bits(v))
}

func (x *adder) pushed() []byte { return binary.LittleEndian.AppendUint32(nil, uint32(x.n)) }

// dispatch records one run between what makes it wait for the host and what
// makes the host see it.
func (x *adder) dispatch() {
	d, cb := x.d, x.cb
	d.CmdBarrier(cb, vk.Host, vk.HostWrite, vk.ComputeStage, vk.ShaderRead)
	d.CmdRun(cb, x.pipeline, x.layout, x.set, x.pushed(), uint32(x.n+63)/64, 1, 1)
	d.CmdBarrier(cb, vk.ComputeStage, vk.ShaderWrite, vk.Host, vk.HostRead)
}

// submit submits, waits and makes the fence ready again.
func (x *adder) submit() error {
	if err := x.d.Submit([]vk.CommandBuffer{x.cb}, x.fence); err != nil {
		return err
	}
	return x.wait()
}

func (x *adder) wait() error {
	done, err := x.d.WaitFence(x.fence, 60e9)
	if err == nil && !done {
		err = errors.New("not finished after a minute")
	}
	if err != nil {
		return err
	}
	return x.d.ResetFence(x.fence)
}

func TestDevices(t *testing.T) {
	i, _ := newInstance(t)
	list, err := i.Devices()
	ok(t, err)
	for index, p := range list {
		t.Log(p, "features:", p.Features)
		// The least that the specification allows; a wrong struct layout
		// would not get past these.
		l, s := p.Limits, p.Subgroup
		checks := map[string]bool{
			"name":              p.Name != "" && !strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' }),
			"version":           p.APIVersion >= vk.MakeVersion(1, 1, 0) && p.APIVersion < vk.MakeVersion(2, 0, 0),
			"type":              p.Type <= vk.CPU,
			"driver":            p.APIVersion < vk.MakeVersion(1, 2, 0) || p.DriverName != "",
			"device UUID":       p.DeviceUUID != vk.UUID{},
			"cache UUID":        p.PipelineCacheUUID != vk.UUID{},
			"storage range":     l.MaxStorageBufferRange >= 1<<27,
			"texel elements":    l.MaxTexelBufferElements >= 65536,
			"storage alignment": l.StorageBufferAlignment >= 1 && l.StorageBufferAlignment <= 256,
			"texel alignment":   l.TexelBufferAlignment >= 1 && l.TexelBufferAlignment <= 256,
			"invocations":       l.MaxWorkGroupInvocations >= 128 && l.MaxWorkGroupInvocations <= 1<<16,
			"group size":        l.MaxWorkGroupSize[0] >= 128 && l.MaxWorkGroupSize[1] >= 128 && l.MaxWorkGroupSize[2] >= 64,
			"group count":       slices.Min(l.MaxWorkGroupCount[:]) >= 65535,
			"shared memory":     l.MaxSharedMemory >= 16384,
			"push constants":    l.MaxPushConstants >= 128 && l.MaxPushConstants <= 256,
			"storage buffers":   l.MaxStorageBuffers >= 4,
			"allocation size":   l.MaxMemoryAllocationSize >= 1<<30,
			"buffer size":       p.APIVersion < vk.MakeVersion(1, 3, 0) || l.MaxBufferSize >= 1<<30,
			"timestamp period":  l.TimestampPeriod > 0 && l.TimestampPeriod < 1e6,
			"subgroup size":     s.Size >= 1 && s.Size <= 128 && s.Size&(s.Size-1) == 0,
			"matrices":          p.Features.CooperativeMatrix || len(p.Matrices) == 0,
			"matrix shapes": !slices.ContainsFunc(p.Matrices, func(m vk.MatrixShape) bool {
				return m.M < 1 || m.M > 1024 || m.N < 1 || m.N > 1024 || m.K < 1 || m.K > 1024
			}),
			"cores": p.Cores >= 0 && p.Cores <= 1024 && (p.Cores == 0 || p.HasExtension("VK_AMD_shader_core_properties2") ||
				p.HasExtension("VK_NV_shader_sm_builtins") || p.HasExtension("VK_ARM_shader_core_builtins")),
			"subgroup basic": s.Compute && s.Operations&1 != 0,
			"memory types":   len(p.MemoryTypes) >= 1 && len(p.MemoryTypes) <= 32,
			"host memory": slices.ContainsFunc(p.MemoryTypes, func(m vk.MemoryType) bool {
				return m.Flags&hostMemory == hostMemory && m.Heap < len(p.Heaps)
			}),
			"heaps":    len(p.Heaps) >= 1 && p.Heaps[0].Size >= 1<<20,
			"queues":   slices.ContainsFunc(p.Queues, func(q vk.QueueFamily) bool { return q.Compute && q.Count > 0 }),
			"sorted":   slices.IsSorted(p.Extensions) && !p.HasExtension("VK_CALDERA_none"),
			"RGBA32F":  p.SupportsTexel(vk.RGBA32F),
			"no texel": !p.SupportsTexel(vk.Format(124)), // a depth format
		}
		for what, good := range checks {
			if !good {
				t.Errorf("device %d: %s is not credible: %+v", index, what, *p)
			}
		}
		if heaps, ok := p.MemoryBudget(); ok {
			for k, h := range heaps {
				if h.Budget == 0 || h.Budget > 2*p.Heaps[k].Size+1<<40 {
					t.Errorf("heap %d: budget %d of %d bytes", k, h.Budget, p.Heaps[k].Size)
				}
			}
		} else if p.HasExtension("VK_EXT_memory_budget") {
			t.Error("VK_EXT_memory_budget is there, but no budget")
		}
	}
}

// TestFeatures: what a caller asks for and the device has is what it gets.
func TestFeatures(t *testing.T) {
	i, _ := newInstance(t)
	list, err := i.Devices()
	ok(t, err)
	all := list[0].Features
	for _, want := range []vk.Features{{}, {ShaderFloat16: true}, {FullSubgroups: true}, all} {
		d, err := list[0].Open(want)
		ok(t, err)
		expect := want.And(all)
		if !expect.SubgroupSizeControl {
			expect.FullSubgroups = false
		}
		if d.Features != expect {
			t.Errorf("asked for %v: got %v, want %v", want, d.Features, expect)
		}
		d.Close()
		d.Close()
	}
}

func TestAdd(t *testing.T) {
	d, _ := newDevice(t)
	const n, scale = 1000, 3
	x := newAdder(t, d, n, scale)
	defer x.free()
	queries := must[vk.QueryPool](t)(d.CreateQueryPool(2))
	defer d.DestroyQueryPool(queries)

	ok(t, d.Begin(x.cb, vk.Simultaneous))
	d.CmdResetQueryPool(x.cb, queries, 0, 2)
	d.CmdWriteTimestamp(x.cb, vk.BottomOfPipe, queries, 0)
	x.dispatch()
	d.CmdWriteTimestamp(x.cb, vk.BottomOfPipe, queries, 1)
	ok(t, d.End(x.cb))
	for round := range 3 { // the same recording, with new inputs
		for i := range n {
			x.setFloat(0, i, float32(i+round))
			x.setFloat(1, i, float32(10*i))
			x.setFloat(2, i, float32(math.NaN()))
		}
		ok(t, x.submit())
		for i := range n {
			if got, want := x.float(2, i), float32(scale*(i+round)+10*i); got != want {
				t.Fatalf("round %d: c[%d] = %g, want %g", round, i, got, want)
			}
		}
		var ticks [2]uint64
		written, err := d.QueryResults(queries, 0, ticks[:])
		ok(t, err)
		ns := float64(ticks[1]-ticks[0]) * d.Physical.Limits.TimestampPeriod
		if !written || ticks[0] == 0 || ns <= 0 || ns > 60e9 {
			t.Errorf("timestamps %d (%t): %g ns", ticks, written, ns)
		}
	}
}

// TestFullSubgroups compiles a pipeline with full subgroups. It must be refused
// where the device was opened without that feature.
func TestFullSubgroups(t *testing.T) {
	i, _ := newInstance(t)
	d := openFirst(t, i)
	x := newAdder(t, d, 64, 1)
	defer x.free()
	module := must[vk.ShaderModule](t)(d.CreateShaderModule(addSPIRV))
	defer d.DestroyShaderModule(module)
	p := must[vk.Pipeline](t)(d.CreateComputePipeline(vk.PipelineInfo{Module: module, Layout: x.layout,
		Spec: []uint32{128}, FullSubgroups: d.Features.FullSubgroups}))
	d.DestroyPipeline(p)

	plain, err := d.Physical.Open(vk.Features{})
	ok(t, err)
	defer plain.Close()
	if _, err := plain.CreateComputePipeline(vk.PipelineInfo{FullSubgroups: true}); err == nil {
		t.Error("full subgroups were accepted without the feature")
	}
}

// TestCmdRun records the dispatch as one call, after a fill, a copy and an update.
func TestCmdRun(t *testing.T) {
	d, _ := newDevice(t)
	x := newAdder(t, d, 100, 2)
	defer x.free()
	ok(t, d.Begin(x.cb, vk.OneTime))
	d.CmdFillBuffer(x.cb, x.buffers[0], 0, 400, math.Float32bits(1.5))
	d.CmdBarrier(x.cb, vk.Transfer, vk.TransferWrite, vk.Transfer, vk.TransferRead|vk.TransferWrite)
	d.CmdCopyBuffer(x.cb, x.buffers[0], x.buffers[1], 8, 16, 300)
	d.CmdBarrier(x.cb, vk.Transfer, vk.TransferWrite, vk.Transfer, vk.TransferWrite)
	d.CmdUpdateBuffer(x.cb, x.buffers[1], 4, binary.LittleEndian.AppendUint32(nil, math.Float32bits(7)))
	d.CmdBarrier(x.cb, vk.Transfer, vk.TransferWrite, vk.ComputeStage, vk.ShaderRead)
	d.CmdRun(x.cb, x.pipeline, x.layout, x.set, x.pushed(), 2, 1, 1)
	d.CmdBarrier(x.cb, vk.ComputeStage, vk.ShaderWrite, vk.Host, vk.HostRead)
	ok(t, d.End(x.cb))
	for i := range 100 {
		x.setFloat(1, i, -1)
	}
	ok(t, x.submit())
	for i := range 100 {
		b := float32(-1)
		switch {
		case i == 1:
			b = 7
		case i >= 4 && i < 79:
			b = 1.5
		}
		if got := x.float(2, i); got != 2*1.5+b {
			t.Errorf("c[%d] = %g, want %g", i, got, 3+b)
		}
	}
	ok(t, d.Flush(x.memory, 0, 256))
	ok(t, d.Invalidate(x.memory, 0, 256))
}

// TestSubmitMany submits more command buffers than one call's struct holds.
func TestSubmitMany(t *testing.T) {
	d, _ := newDevice(t)
	x := newAdder(t, d, 100, 1)
	defer x.free()
	list := make([]vk.CommandBuffer, 100)
	for i := range list {
		list[i] = must[vk.CommandBuffer](t)(d.AllocateCommandBuffer(x.commands))
		ok(t, d.Begin(list[i], vk.OneTime))
		d.CmdBarrier(list[i], vk.Transfer, vk.TransferWrite, vk.Transfer, vk.TransferWrite)
		d.CmdFillBuffer(list[i], x.buffers[2], uint64(4*i), 4, math.Float32bits(float32(i)))
		d.CmdBarrier(list[i], vk.Transfer, vk.TransferWrite, vk.Host, vk.HostRead)
		ok(t, d.End(list[i]))
	}
	ok(t, d.Submit(list, x.fence))
	ok(t, x.wait())
	for i := range list {
		if got := x.float(2, i); got != float32(i) {
			t.Errorf("command buffer %d wrote %g", i, got)
		}
	}
	ok(t, d.Submit(nil, x.fence)) // a fence alone
	ok(t, x.wait())
	if done, err := d.WaitFence(x.fence, 0); done || err != nil {
		t.Errorf("a fence that was reset: %t, %v", done, err)
	}
	ok(t, d.ResetDescriptorPool(x.pool))
}

// expect takes the messages and wants one with each of the words.
func expect(t *testing.T, m *messages, words ...string) {
	t.Helper()
	all := strings.Join(m.take(), "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("no message with %q in:\n%s", w, all)
		}
	}
}

// TestValidationSpeaks makes mistakes, so that silence elsewhere means something.
func TestValidationSpeaks(t *testing.T) {
	d, m := newDevice(t)
	x := newAdder(t, d, 100, 1)
	defer x.free()

	wrong := x.descriptors()
	wrong[2] = vk.Bind(x.buffers[2], 256, 400)
	d.UpdateDescriptorSet(x.set, wrong)
	expect(t, m, "error VUID-VkDescriptorBufferInfo-range-00342") // beyond the buffer's end

	ok(t, d.Begin(x.cb, vk.OneTime))
	d.CmdFillBuffer(x.cb, x.buffers[2], 200, 400, 0)
	expect(t, m, "error VUID-vkCmdFillBuffer-size-00027")
	d.CmdRun(x.cb, x.pipeline, x.layout, x.set, x.pushed(), d.Physical.Limits.MaxWorkGroupCount[0]+1, 1, 1)
	expect(t, m, "error VUID-vkCmdDispatch-groupCountX-00386")
	ok(t, d.End(x.cb))

	ok(t, d.Begin(x.cb, vk.OneTime))
	d.CmdFillBuffer(x.cb, x.buffers[2], 0, 400, 0)
	d.CmdFillBuffer(x.cb, x.buffers[2], 0, 400, 1)
	expect(t, m, "SYNC-HAZARD-WRITE-AFTER-WRITE") // synchronization validation is on
	ok(t, d.End(x.cb))
}

func TestLeakIsReported(t *testing.T) {
	i, m := newInstance(t)
	list, err := i.Devices()
	ok(t, err)
	d, err := list[0].Open(vk.Features{})
	ok(t, err)
	if _, err := d.CreateFence(); err != nil {
		t.Fatal(err)
	}
	d.Close()
	expect(t, m, "VUID-vkDestroyDevice-device-00378", "VkFence")
}
