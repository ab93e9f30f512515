//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// A recording is a command buffer that is being recorded, with the resources that
// it refers to. Barriers are added where commands need them. It begins with a
// barrier that waits for all earlier submits, and ends with one that makes all
// writes visible to the host.
type recording struct {
	b         *Backend
	cmd       vk.CommandBuffer
	hazards   hazards
	resources resources // of the whole of a Run or Program

	// used collects the buffers of a Program. It is nil in a recording that is
	// submitted once: there the buffers get the serial of the next submit.
	used map[*buffer]struct{}

	first, last string // names of the first and the last op, for errors
	commands    int    // number of commands of all kinds
	work        uint64 // multiply-adds, approximately

	touches []touch // of the current command

	times *times // timestamps of ops, for Profile; nil: none
}

// resources are the descriptor sets, texel buffer views and scratch memory
// that command buffers refer to.
type resources struct {
	b       *Backend
	pools   []*setPool // sets are allocated from the last one
	views   map[viewKey]vk.BufferView
	scratch []*buffer

	descriptors []vk.Descriptor // of the current set; reused
}

type viewKey struct {
	buffer   vk.Buffer
	format   texelFormat
	from, to uint64
}

// Bounds of a submit. They keep it short enough for watchdogs, which reset a
// device that seems to hang (the shortest after about 2 s), and they let the device
// start while the host records the rest.
const (
	maxCommands = 1024
	maxWork     = 20_000_000_000 // multiply-adds: 0.2 s at 200 GFLOP/s
)

// All stages and accesses that commands use.
const (
	allStages = vk.ComputeStage | vk.Transfer
	allWrites = vk.ShaderWrite | vk.TransferWrite
	allAccess = vk.ShaderRead | vk.ShaderWrite | vk.TransferRead | vk.TransferWrite
)

func (b *Backend) newRecording(flags vk.BeginFlags) (*recording, error) {
	cmd, err := b.queue.commandBuffer()
	if err != nil {
		return nil, err
	}
	if err := b.dev.Begin(cmd, flags); err != nil {
		b.queue.recycle(cmd)
		return nil, err
	}
	b.dev.CmdBarrier(cmd, allStages, allWrites, allStages, allAccess)
	return &recording{b: b, cmd: cmd, resources: resources{b: b}}, nil
}

// multiplyAdds returns the multiply-adds of an op, to bound the work of a submit.
func multiplyAdds(op backend.Op) uint64 {
	flops, _ := backend.Cost(op)
	return uint64(flops / 2)
}

// use records that the commands use buf, so that its memory is not freed or reused
// before they have run.
func (r *recording) use(buf *buffer) {
	if r.used != nil {
		r.used[buf] = struct{}{}
	} else {
		buf.lastUse = r.b.queue.last + 1
	}
}

// note records that the next commands belong to an op.
func (r *recording) note(index int, op string) {
	r.last = fmt.Sprintf("op %d (%s)", index, op)
	if r.first == "" {
		r.first = r.last
	}
}

// what names the ops in the recording, for errors.
func (r *recording) what() string {
	switch {
	case r.first == "":
		return "writes"
	case r.first == r.last:
		return r.first
	}
	return r.first + " to " + r.last
}

// end finishes the command buffer.
func (r *recording) end() error {
	r.endTime()
	r.b.dev.CmdBarrier(r.cmd, allStages, allWrites, vk.Host, vk.HostRead|vk.HostWrite)
	return r.b.dev.End(r.cmd)
}

func (r *recording) full() bool { return r.commands >= maxCommands || r.work >= maxWork }

// wait records a barrier if the next command needs one, and counts that command.
func (r *recording) wait(s stage, touches ...touch) {
	if after := r.hazards.add(s, touches); after != 0 {
		var stages vk.Stage
		var writes vk.Access
		if after&compute != 0 {
			stages |= vk.ComputeStage
			writes |= vk.ShaderWrite
		}
		if after&transfer != 0 {
			stages |= vk.Transfer
			writes |= vk.TransferWrite
		}
		r.b.dev.CmdBarrier(r.cmd, stages, writes, allStages, allAccess)
	}
	r.commands++
}

func (r *recording) dispatch(p *pipeline, push []byte, groups [3]uint32, bindings []binding, work uint64) error {
	set, err := r.resources.set(p.layout, bindings)
	if err != nil {
		return err
	}
	r.touches = r.touches[:0]
	for _, b := range bindings {
		r.touches = append(r.touches, touch{uint64(b.handle), b.from, b.to, b.access.Writes()})
		r.work += (b.to - b.from) / 4
		r.use(b.buf)
	}
	r.work += work
	r.beginTime()
	r.wait(compute, r.touches...)
	r.b.dev.CmdRun(r.cmd, p.handle, p.layout.pipeline, set, push, groups[0], groups[1], groups[2])
	return nil
}

// copy records a copy of size bytes.
func (r *recording) copy(dst vk.Buffer, to uint64, src vk.Buffer, from, size uint64) {
	r.beginTime()
	r.wait(transfer, touch{uint64(src), from, from + size, false}, touch{uint64(dst), to, to + size, true})
	r.b.dev.CmdCopyBuffer(r.cmd, src, dst, from, to, size)
}

// update records a write of up to 64 KiB, which are stored in the command buffer.
// Offset and length are multiples of 4.
func (r *recording) update(dst vk.Buffer, offset uint64, data []byte) {
	r.wait(transfer, touch{uint64(dst), offset, offset + uint64(len(data)), true})
	r.b.dev.CmdUpdateBuffer(r.cmd, dst, offset, data)
}

// zero records that size bytes are set to 0. Offset and size are multiples of 4.
func (r *recording) zero(dst vk.Buffer, offset, size uint64) {
	r.wait(transfer, touch{uint64(dst), offset, offset + size, true})
	r.b.dev.CmdFillBuffer(r.cmd, dst, offset, size, 0)
}

// view returns the texel buffer view of a binding. Equal ones share a view.
func (r *resources) view(b binding) (vk.BufferView, error) {
	key := viewKey{b.handle, b.format, b.from, b.to}
	if v, ok := r.views[key]; ok {
		return v, nil
	}
	v, err := r.b.dev.CreateBufferView(b.handle, texelFormats[b.format].vk, b.from, b.to-b.from)
	if err != nil {
		return 0, err
	}
	if r.views == nil {
		r.views = map[viewKey]vk.BufferView{}
	}
	r.views[key] = v
	return v, nil
}

// setPool is a pool of descriptor sets, which are freed all at once.
type setPool struct {
	handle                vk.DescriptorPool
	sets, storage, texels int // number of sets and descriptors that are free
}

// The size of a pool. Most sets have 3 to 6 descriptors.
const (
	poolSets    = 256
	poolStorage = 6 * poolSets
	poolTexels  = 3 * poolSets
)

// set allocates a descriptor set and writes the bindings to it.
func (r *resources) set(l *layout, bindings []binding) (vk.DescriptorSet, error) {
	var p *setPool
	if n := len(r.pools); n > 0 {
		p = r.pools[n-1]
	}
	if p == nil || p.sets == 0 || p.storage < l.storage || p.texels < l.texels {
		var err error
		if p, err = r.b.queue.setPool(); err != nil {
			return 0, err
		}
		r.pools = append(r.pools, p)
	}
	set, err := r.b.dev.AllocateDescriptorSet(p.handle, l.set)
	if err != nil {
		return 0, err
	}
	p.sets, p.storage, p.texels = p.sets-1, p.storage-l.storage, p.texels-l.texels
	r.descriptors = r.descriptors[:0]
	for _, b := range bindings {
		if !b.texel {
			r.descriptors = append(r.descriptors, vk.Bind(b.handle, b.from, b.to-b.from))
			continue
		}
		view, err := r.view(b)
		if err != nil {
			return 0, err
		}
		r.descriptors = append(r.descriptors, vk.BindTexels(view))
	}
	r.b.dev.UpdateDescriptorSet(set, r.descriptors)
	return set, nil
}

// release frees all resources. No command buffer that refers to them may be
// running or be submitted again.
func (r *resources) release() {
	for _, v := range r.views {
		r.b.dev.DestroyBufferView(v)
	}
	for _, p := range r.pools {
		r.b.queue.recyclePool(p)
	}
	for _, buf := range r.scratch {
		buf.Free()
	}
	r.views, r.pools, r.scratch = nil, nil, nil
}
