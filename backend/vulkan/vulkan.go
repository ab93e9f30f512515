//go:build cgo

// Package vulkan runs ops on GPUs through Vulkan compute shaders.
//
// A Backend owns one device: its memory (memory.go, buffer.go, transfer.go),
// its queue (queue.go) and its pipelines (pipeline.go, cache.go). Each op has a
// kernel, in a file of its own, that turns it into dispatches (kernel.go says how
// to add one). Kernels use the device through an encoder (encoder.go) and split
// ops that are too large for one dispatch (pieces.go). Commands are collected in a
// recording (recording.go); barrier.go decides where barriers are needed. Run
// submits a recording once, Record (record.go) keeps it to be submitted many
// times. draw.go draws values into pictures, and window.go shows them. profile.go
// adds timestamps around ops while a profile is made. When a device is opened it is
// tested (proof.go), and each kernel of which there are several for an op is checked before
// it is used (check.go). Which of them is taken follows from the device's limits (choice.go),
// or from what was measured on it (tune.go).
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
	"caldera/shaders"
)

// Options say how to open a device. The zero value opens the best one.
type Options struct {
	// Device is the index of the device in the list of [Devices].
	Device int

	// Validation loads the Khronos validation layer with synchronization
	// validation. After the layer's first message Read, Run and Close return an
	// error with its messages. The environment variable
	// CALDERA_VULKAN_VALIDATION=1 does the same for every backend.
	Validation bool

	// OnMessage is called with each message of the validation layer, perhaps on
	// another goroutine. It must not call Vulkan.
	OnMessage func(text string)

	// Limits may lower the limits of the device, to simulate a smaller one. It
	// must not raise any.
	Limits func(*Limits)

	// Surface, if not nil, opens the device for a window: see [Backend.Present]. The
	// device must have a queue that computes and also presents to that window.
	Surface *Surface

	// For tests.
	hooks   *vk.Hooks     // intercepts calls to the driver
	timeout time.Duration // of the test of the device; 0: proofTimeout
	played  bool          // the device computes nothing: it is not tested, checks count as passed, and pipelines can be looked into
	opened  *opened       // the device, in place of a driver's
}

// Backend is an open device.
type Backend struct {
	name    string
	limits  Limits
	inst    *vk.Instance
	phys    *vk.PhysicalDevice
	dev     driver
	types   memoryTypes
	mem     memory
	queue   queue
	pipes   *pipelines
	up      uploads
	down    staging
	fetches fetches
	dummy   *buffer    // is bound in place of absent tensors
	pending *recording // the commands of the next submit; nil: none
	window  *window    // nil: the device was opened without one
	closed  bool

	programs map[*program]struct{}
	frees    uint64 // how many buffers were freed

	profile *profile       // the profile that is being made; nil: none
	queries []vk.QueryPool // free pools, to be reused

	checks checks
	tuned  tuned

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
	_ backend.Compiler       = (*Backend)(nil)
	_ backend.Tuner          = (*Backend)(nil)
	_ backend.Rounder        = (*Backend)(nil)
)

// Open opens a device. If there is none, the error says what is missing and what
// to install. Open tests the device, and refuses one that computes wrongly or
// nothing: the error is a [RefusedError].
func Open(o Options) (*Backend, error) {
	b := &Backend{
		name:     fmt.Sprintf("vulkan:%d", o.Device),
		programs: map[*program]struct{}{},
	}
	if err := b.open(o); err != nil {
		if !errors.Is(err, errUnfinished) { // objects in use must not be destroyed
			b.destroy()
		}
		return nil, wrapError("%w", err)
	}
	return b, nil
}

func (b *Backend) open(o Options) error {
	if o.opened != nil {
		b.phys, b.dev, b.limits = o.opened.physical, o.opened.driver, o.opened.limits
		b.checks.trusted = o.opened.trusted
	} else if err := b.openDriver(o); err != nil {
		return err
	}
	return b.start(o)
}

// openDriver opens a driver's device.
func (b *Backend) openDriver(o Options) error {
	var err error
	instance := vk.Options{
		Validation: o.Validation || os.Getenv("CALDERA_VULKAN_VALIDATION") == "1",
		Message:    func(s vk.Severity, id, text string) { b.onMessage(o.OnMessage, s, id, text) },
	}
	if o.Surface != nil {
		instance.Extensions = o.Surface.Extensions
	}
	b.inst, err = vk.New(instance)
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
	want := features(b.phys)
	want.Executables = o.played
	var dev *vk.Device
	if o.Surface != nil {
		dev, err = b.openWindow(o.Surface, want)
	} else {
		dev, err = b.phys.Open(want)
	}
	if dev != nil { // also where a window could not be opened on it: it has to be closed
		dev.Hooks = o.hooks
		b.dev, b.limits = dev, limitsOf(dev)
	}
	return err
}

// start makes what an open device needs, and tests it.
func (b *Backend) start(o Options) error {
	if err := b.chooseMemory(); err != nil {
		return err
	}
	if o.Limits != nil {
		o.Limits(&b.limits)
	}
	b.mem = memory{
		device:    b.phys.Name,
		unit:      blockSize,
		available: b.available,
		largest:   b.limits.AllocationSize &^ (rangeUnit - 1),
		create:    func(size uint64) (deviceMemory, error) { return b.createMemory(size, b.types.device, b.limits.Unified) },
		destroy:   b.destroyMemory,
	}
	folder := cacheFolder("")
	if o.opened != nil {
		b.mem.unit, folder = o.opened.unit, cacheFolder(o.opened.cache)
	}
	pool, err := b.dev.CreateCommandPool()
	if err != nil {
		return err
	}
	b.queue = queue{dev: b.dev, pool: pool}
	key := cacheKey{b.phys.VendorID, b.phys.DeviceID, b.phys.PipelineCacheUUID, shaders.Set()}
	if b.pipes, err = newPipelines(b.dev, &b.limits, cacheFileOf(folder, key)); err != nil {
		return err
	}
	b.checks.path = beside(b.pipes.file.path, b.phys, verdictsEnding)
	b.checks.load(b.phys)
	if !o.played {
		b.tuned.path = beside(b.pipes.file.path, b.phys, tunedEnding)
	}
	b.tuned.load(b.phys)
	if b.dummy, err = b.alloc(rangeUnit); err != nil {
		return err
	}
	if err := b.dummy.zeroRest(); err != nil {
		return err
	}
	if o.played {
		b.checks.trusted = true
		b.pipes.file.path, b.checks.path = "", "" // its pipelines are of no use to others
		return nil
	}
	err = b.prove(cmp.Or(o.timeout, proofTimeout))
	b.pipes.proof = b.Stats().Pipelines
	return err
}

// Name implements [backend.Backend].
func (b *Backend) Name() string { return b.name }

// Limits returns what the device can do.
func (b *Backend) Limits() Limits { return b.limits }

// Stats returns what has been compiled so far.
func (b *Backend) Stats() Stats { return b.pipes.stats() }

// Describe implements [backend.Describer].
func (b *Backend) Describe() string {
	return fmt.Sprintf("%s (%s), %s, Vulkan %v, subgroups of %d, %s%s",
		b.phys.Name, kindOf(b.phys), driverOf(b.phys), b.phys.APIVersion, b.limits.SubgroupSize,
		bytesString(b.phys.Heaps[b.phys.MemoryTypes[b.types.device].Heap].Size), b.describeMatrices()+b.tuned.describe()+b.describeFailed())
}

// Supports implements [backend.Backend].
func (b *Backend) Supports(op backend.Op) bool { return supports(&b.limits, op) && b.sound(op) }

// Run implements [backend.Backend].
func (b *Backend) Run(ops ...backend.Op) error {
	if err := b.ready(); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	if err := b.encode(func(e *encoder) error { return e.encodeAll(ops) }); err != nil {
		return wrapError("%w", err)
	}
	return b.validationError()
}

// encode calls encode and submits what it records, in as many submits as it takes.
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

// encodeAll encodes ops. It checks the buffers of all of them first.
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

// commands returns the pending recording, which the next submit includes. It
// begins one if there is none.
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

// flush submits the pending recording, if there is one.
func (b *Backend) flush() error {
	if b.pending == nil {
		return nil
	}
	return b.submit("")
}

// submit submits the pending recording and then cmds, in one call. what names cmds
// in errors.
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

// release frees the resources of a recording that no longer runs.
func (b *Backend) release(r *recording) {
	r.resources.release()
	b.queue.recycle(r.cmd)
	if r.times != nil {
		b.queries = append(b.queries, r.times.queries)
	}
}

// waitFor waits for the submit with that serial. It submits it first if it is
// pending.
func (b *Backend) waitFor(serial uint64) error {
	if serial > b.queue.last {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return b.queue.wait(serial)
}

// waitAll submits the pending recording and waits for all submits.
func (b *Backend) waitAll() error {
	if err := b.flush(); err != nil {
		return err
	}
	return b.queue.wait(b.queue.last)
}

// ready returns an error if the backend is closed or the device is lost.
func (b *Backend) ready() error {
	if b.closed {
		return wrapError("%w", backend.ErrClosed)
	}
	if b.queue.lost != nil {
		return wrapError("%w", b.queue.lost)
	}
	return nil
}

// onMessage stores a message of the validation layer, and passes it to on.
func (b *Backend) onMessage(on func(string), s vk.Severity, id, text string) {
	text = fmt.Sprintf("%v %s: %s", s, id, text)
	b.messages.Lock()
	b.messages.list = append(b.messages.list, text)
	b.messages.Unlock()
	if on != nil {
		on(text)
	}
}

// validationError returns the messages of the validation layer as an error, or
// nil if there are none.
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

// destroy destroys all objects, also of a backend that was opened only in part.
func (b *Backend) destroy() (err error) {
	b.closed = true
	if b.dev != nil {
		if b.window != nil {
			err = b.window.closeOnDevice()
		}
		if b.queue.dev != nil {
			if e := b.waitAll(); err == nil {
				err = e
			}
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
		if b.phys != nil {
			b.checks.save(b.phys)
		}
		if b.pipes != nil {
			if e := b.pipes.close(); err == nil {
				err = e
			}
		}
		for _, s := range []*staging{&b.up.buffers[0], &b.up.buffers[1], &b.down} {
			b.destroyMemory(s.deviceMemory)
		}
		b.destroyMemory(b.fetches.deviceMemory)
		b.mem.close()
		b.dev.Close()
	}
	if b.inst != nil {
		if b.window != nil && b.window.surface != 0 {
			b.inst.DestroySurface(b.window.surface)
		}
		b.inst.Close()
	}
	return err
}
