//go:build cgo

// Package vulkan runs ops on GPUs through Vulkan compute shaders.
//
// A Backend owns one device: its memory (memory.go, buffer.go, transfer.go),
// its queue (queue.go) and its pipelines (pipeline.go, cache.go). Ops are
// turned into dispatches by kernels, one file an op (kernel.go says how to
// add one), which see the device through an encoder (encoder.go). Commands
// gather in a recording (recording.go), where barrier.go finds out which of
// them must wait for which; Run submits it, Record (record.go) keeps it.
// profile.go puts timestamps between ops while somebody wants to know.
package vulkan

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// Options are how a device is opened. The zero value is the usual one.
type Options struct {
	// Device is its index in the order of [Devices], best first.
	Device int

	// Validation loads the Khronos validation layer with synchronization
	// validation. Once it has said anything, Read, Run and Close return
	// errors that tell it. The environment variable
	// CALDERA_VULKAN_VALIDATION=1 does the same for every backend.
	Validation bool

	// OnMessage gets each message of the validation layer, perhaps on
	// another goroutine. It must not call Vulkan.
	OnMessage func(text string)

	// Limits may lower what the device can do, to simulate a smaller one. It
	// must not raise anything.
	Limits func(*Limits)

	// In tests.
	hooks    *vk.Hooks     // stands between the device and its driver
	timeout  time.Duration // with a device that never finishes; 0: the usual
	unproved bool          // a driver that is known to do nothing is opened all the same
}

// Backend is an open device.
type Backend struct {
	name    string
	limits  Limits
	inst    *vk.Instance
	phys    *vk.PhysicalDevice
	dev     *vk.Device
	types   memoryTypes
	mem     memory
	queue   queue
	pipes   *pipelines
	up      uploads
	down    staging
	dummy   *buffer    // stands for absent tensors
	pending *recording // the commands of the next submit; nil if there are none
	closed  bool

	programs map[*program]struct{}

	profile *profile       // being made; else nil
	queries []vk.QueryPool // for use again

	subgroupTest struct {
		done, passed bool
		err          error // why it has not passed
	}
	matrixTest struct {
		done, passed bool
		err          error // why it has not passed
	}

	messages struct {
		sync.Mutex
		list []string
	}
}

var (
	_ backend.Backend        = (*Backend)(nil)
	_ backend.Recorder       = (*Backend)(nil)
	_ backend.Describer      = (*Backend)(nil)
	_ backend.MemoryReporter = (*Backend)(nil)
	_ backend.Profiler       = (*Backend)(nil)
)

// Open opens a device. Where there is none the error says what is missing and
// what to install. A device that does not compute what it is told is refused:
// the error is a [RefusedError].
func Open(o Options) (*Backend, error) {
	b := &Backend{
		name:     fmt.Sprintf("vulkan:%d", o.Device),
		programs: map[*program]struct{}{},
	}
	if err := b.open(o); err != nil {
		if !errors.Is(err, errUnfinished) { // what still runs must not be destroyed
			b.destroy()
		}
		return nil, wrapError("%w", err)
	}
	return b, nil
}

func (b *Backend) open(o Options) error {
	var err error
	b.inst, err = vk.New(vk.Options{
		Validation: o.Validation || os.Getenv("CALDERA_VULKAN_VALIDATION") == "1",
		Message:    func(s vk.Severity, id, text string) { b.onMessage(o.OnMessage, s, id, text) },
	})
	if err != nil {
		return err
	}
	devices, err := physicalDevices(b.inst)
	if err != nil {
		return err
	}
	if o.Device < 0 || o.Device >= len(devices) {
		return fmt.Errorf("%w: there is no device %d, their number is %d", vk.ErrNoDevice, o.Device, len(devices))
	}
	b.phys = devices[o.Device]
	if b.dev, err = b.phys.Open(features(b.phys)); err != nil {
		return err
	}
	b.dev.Hooks = o.hooks
	b.limits = limitsOf(b.dev)
	if err := b.chooseMemory(); err != nil {
		return err
	}
	if o.Limits != nil {
		o.Limits(&b.limits)
	}
	b.mem = memory{
		device:    b.phys.Name,
		available: b.available,
		largest:   b.limits.AllocationSize &^ (rangeUnit - 1),
		create:    func(size uint64) (deviceMemory, error) { return b.createMemory(size, b.types.device, b.limits.Unified) },
		destroy:   b.destroyMemory,
	}
	pool, err := b.dev.CreateCommandPool()
	if err != nil {
		return err
	}
	b.queue = queue{dev: b.dev, pool: pool}
	key := cacheKey{b.phys.VendorID, b.phys.DeviceID, b.phys.PipelineCacheUUID, shaderSet()}
	if b.pipes, err = newPipelines(b.dev, cachePath(key), key); err != nil {
		return err
	}
	if b.dummy, err = b.alloc(rangeUnit); err != nil {
		return err
	}
	if err := b.dummy.zeroRest(); err != nil {
		return err
	}
	if o.unproved {
		return nil
	}
	err = b.prove(cmp.Or(o.timeout, proofTimeout))
	b.pipes.proof = b.pipes.stats.Pipelines
	return err
}

// Name implements [backend.Backend].
func (b *Backend) Name() string { return b.name }

// Limits are what the device can do.
func (b *Backend) Limits() Limits { return b.limits }

// Stats tells what has been compiled so far.
func (b *Backend) Stats() Stats { return b.pipes.stats }

// Describe implements [backend.Describer].
func (b *Backend) Describe() string {
	return fmt.Sprintf("%s (%s), %s, Vulkan %v, subgroups of %d, %s%s",
		b.phys.Name, kindOf(b.phys), driverOf(b.phys), b.phys.APIVersion, b.limits.SubgroupSize,
		bytesString(b.phys.Heaps[b.phys.MemoryTypes[b.types.device].Heap].Size), b.describeMatrices())
}

// Supports implements [backend.Backend].
func (b *Backend) Supports(op backend.Op) bool { return supports(&b.limits, op) }

// Run implements [backend.Backend].
func (b *Backend) Run(ops ...backend.Op) error {
	if err := b.ready(); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	b.testFor(ops)
	if err := b.run(func(e *encoder) error { return e.encodeAll(ops) }); err != nil {
		return wrapError("%w", err)
	}
	return b.validationError()
}

// run submits what encode records, in as many pieces as it takes. It may use
// subgroups where the device passes their self-test.
func (b *Backend) run(encode func(*encoder) error) error {
	b.testSubgroups()
	return b.encode(encode)
}

// encode is run for what needs no subgroups.
func (b *Backend) encode(encode func(*encoder) error) error {
	rec, err := b.commands()
	if err != nil {
		return err
	}
	e := encoder{b: b, rec: rec, full: func(e *encoder) (err error) {
		if err = b.flush(); err == nil {
			e.rec, err = b.commands()
		}
		return err
	}}
	if err = encode(&e); err == nil {
		err = b.flush()
	}
	for _, buf := range e.temporary {
		buf.Free()
	}
	return err
}

// all encodes ops, once it is known that their buffers can be used.
func (e *encoder) encodeAll(ops []backend.Op) error {
	for i, op := range ops {
		var err error
		op.Operands(func(name string, t *backend.Tensor, _ backend.Access) {
			if _, e := e.b.own(t.Buf); e != nil && err == nil {
				err = fmt.Errorf("%s: %w", name, e)
			}
		})
		if err != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: err}
		}
	}
	for i, op := range ops {
		e.index, e.name = i, op.Name()
		if err := e.encodeTimed(op); err != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: err}
		}
	}
	return nil
}

// commands is the recording that the next submit takes along.
func (b *Backend) commands() (*recording, error) {
	if b.pending == nil {
		rec, err := b.newRecording(vk.OneTime)
		if err != nil {
			return nil, err
		}
		b.pending = rec
	}
	return b.pending, nil
}

// flush submits what is pending.
func (b *Backend) flush() error {
	if b.pending == nil {
		return nil
	}
	return b.submit("")
}

// submit submits what is pending and then cmds, in one call.
func (b *Backend) submit(what string, cmds ...vk.CommandBuffer) error {
	rec := b.pending
	b.pending = nil
	if rec != nil {
		if err := rec.end(); err != nil {
			b.release(rec)
			return err
		}
		cmds = slices.Insert(cmds, 0, rec.cmd)
		what = strings.Trim(rec.what()+", "+what, ", ")
	}
	if err := b.queue.submit(what, cmds...); err != nil {
		if rec != nil {
			b.release(rec)
		}
		return err
	}
	if rec != nil {
		b.queue.after(b.queue.last, func() {
			rec.readTimes()
			b.release(rec)
		})
	}
	return nil
}

// release gives back what a recording that no longer runs is made of.
func (b *Backend) release(r *recording) {
	r.resources.release()
	b.queue.recycle(r.cmd)
	if r.times != nil {
		b.queries = append(b.queries, r.times.queries)
	}
}

// until waits for the submit with that serial, which may still be pending.
func (b *Backend) waitFor(serial uint64) error {
	if serial > b.queue.last {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return b.queue.wait(serial)
}

// finish waits for everything.
func (b *Backend) waitAll() error {
	if err := b.flush(); err != nil {
		return err
	}
	return b.queue.wait(b.queue.last)
}

// ready tells why nothing more can be done.
func (b *Backend) ready() error {
	if b.closed {
		return wrapError("%w", backend.ErrClosed)
	}
	if b.queue.lost != nil {
		return wrapError("%w", b.queue.lost)
	}
	return nil
}

// heard keeps a message of the validation layer.
func (b *Backend) onMessage(on func(string), s vk.Severity, id, text string) {
	text = fmt.Sprintf("%v %s: %s", s, id, text)
	b.messages.Lock()
	b.messages.list = append(b.messages.list, text)
	b.messages.Unlock()
	if on != nil {
		on(text)
	}
}

// complaints are the messages of the validation layer, as an error.
func (b *Backend) validationError() error {
	b.messages.Lock()
	defer b.messages.Unlock()
	if len(b.messages.list) == 0 {
		return nil
	}
	return errors.New("Vulkan validation: " + strings.Join(b.messages.list, "\n"))
}

// Close implements [backend.Backend].
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	err := b.destroy()
	if err == nil {
		err = b.validationError()
	}
	if err != nil {
		return wrapError("Close: %w", err)
	}
	return nil
}

// destroy gives back all there is, also of a backend that failed to open.
func (b *Backend) destroy() (err error) {
	b.closed = true
	if b.dev != nil {
		if b.queue.dev != nil {
			err = b.waitAll()
			for p := range b.programs {
				p.release()
			}
			if e := b.queue.close(); err == nil {
				err = e
			}
		}
		for _, q := range b.queries {
			b.dev.DestroyQueryPool(q)
		}
		if b.pipes != nil {
			if e := b.pipes.close(); err == nil {
				err = e
			}
		}
		for _, s := range []*staging{&b.up.pieces[0], &b.up.pieces[1], &b.down} {
			b.destroyMemory(s.deviceMemory)
		}
		b.mem.close()
		b.dev.Close()
	}
	if b.inst != nil {
		b.inst.Close()
	}
	return err
}
