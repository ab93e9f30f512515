//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// queue submits command buffers in order, keeps track of which submits have
// finished, and calls functions that wait for a submit. Each submit has a fence
// and a serial number, counted from 1.
type queue struct {
	dev      driver
	pool     vk.CommandPool
	last     uint64       // serial of the latest submit
	done     uint64       // serial of the latest submit that is known to have finished
	inFlight []submission // submits that are not known to have finished, oldest first
	deferred []deferred   // by serial

	// Free objects, to be reused.
	fences   []vk.Fence
	commands []vk.CommandBuffer
	pools    []*setPool

	lost error // nil, or the error of a lost device: why, and what was in flight
}

type submission struct {
	serial uint64
	fence  vk.Fence
	what   string // what was submitted, for the error of a lost device
}

// deferred is a function to call once the submit with that serial has finished.
type deferred struct {
	serial uint64
	do     func()
}

// maxInFlight is the largest number of submits in flight.
const maxInFlight = 32

// submit submits command buffers in one call. what names them in errors.
func (q *queue) submit(what string, cmds ...vk.CommandBuffer) error {
	return q.submitBy(what, func(fence vk.Fence) error { return q.dev.Submit(cmds, fence) })
}

// submitBy is submit by a function, which passes the fence to the driver.
func (q *queue) submitBy(what string, submit func(vk.Fence) error) error {
	if q.lost != nil {
		return q.lost
	}
	for len(q.inFlight) >= maxInFlight {
		if err := q.wait(q.inFlight[0].serial); err != nil {
			return err
		}
	}
	fence, err := q.fence()
	if err != nil {
		return err
	}
	if err := submit(fence); err != nil {
		q.fences = append(q.fences, fence)
		return q.failed(err, what)
	}
	q.last++
	q.inFlight = append(q.inFlight, submission{q.last, fence, what})
	return nil
}

// errUnfinished is the error of waitTimeout when the time is over.
var errUnfinished = errors.New("the device has not finished in time")

// wait waits until the submit with that serial and all before it have finished.
func (q *queue) wait(serial uint64) error { return q.waitTimeout(serial, vk.Forever) }

// waitTimeout is wait for at most most nanoseconds. After that it returns
// errUnfinished.
func (q *queue) waitTimeout(serial, most uint64) error {
	if serial <= q.done {
		return nil
	}
	if q.lost != nil {
		return q.lost
	}
	// The fence of a submit covers all earlier ones of its queue.
	i := 0
	for i < len(q.inFlight)-1 && q.inFlight[i].serial < serial {
		i++
	}
	if len(q.inFlight) == 0 {
		return fmt.Errorf("waiting for submit %d of %d", serial, q.last)
	}
	finished, err := q.dev.WaitFence(q.inFlight[i].fence, most)
	if err != nil {
		return q.failed(err)
	}
	if !finished {
		return errUnfinished
	}
	return q.retire(i + 1)
}

// poll updates done without waiting.
func (q *queue) poll() error {
	n := 0
	for n < len(q.inFlight) {
		ready, err := q.dev.WaitFence(q.inFlight[n].fence, 0)
		if err != nil {
			return q.failed(err)
		}
		if !ready {
			break
		}
		n++
	}
	return q.retire(n)
}

// retire marks the n oldest submits in flight as finished.
func (q *queue) retire(n int) error {
	if n == 0 {
		return nil
	}
	for _, s := range q.inFlight[:n] {
		if err := q.dev.ResetFence(s.fence); err != nil {
			return q.failed(err)
		}
		q.fences = append(q.fences, s.fence)
		q.done = s.serial
	}
	q.inFlight = append(q.inFlight[:0], q.inFlight[n:]...)
	q.runDeferred()
	return nil
}

// after calls do once the submit with that serial has finished: now or in a later
// call that finds out.
func (q *queue) after(serial uint64, do func()) {
	if serial <= q.done {
		do()
		return
	}
	q.deferred = append(q.deferred, deferred{serial, do})
}

// runDeferred calls the deferred functions of submits that have finished.
func (q *queue) runDeferred() {
	waiting := q.deferred[:0]
	due := []func(){}
	for _, d := range q.deferred {
		if d.serial <= q.done {
			due = append(due, d.do)
		} else {
			waiting = append(waiting, d)
		}
	}
	clear(q.deferred[len(waiting):])
	q.deferred = waiting
	for _, do := range due {
		do()
	}
}

// failed returns the driver's error. If the device is lost it sets q.lost and
// returns that. submitted says what was being submitted, if anything.
func (q *queue) failed(err error, submitted ...string) error {
	if !errors.Is(err, vk.ErrDeviceLost) {
		return err
	}
	what := submitted
	for _, s := range q.inFlight {
		what = append(what, s.what)
	}
	if len(what) == 0 {
		what = []string{"nothing"}
	}
	q.lost = fmt.Errorf("%w while these were in flight: %s (%w); "+
		"a kernel that runs for seconds or a driver's fault are the usual reasons, and only opening the device again helps",
		backend.ErrDeviceLost, strings.Join(what, "; "), err)
	return q.lost
}

func (q *queue) fence() (vk.Fence, error) {
	if n := len(q.fences); n > 0 {
		f := q.fences[n-1]
		q.fences = q.fences[:n-1]
		return f, nil
	}
	return q.dev.CreateFence()
}

func (q *queue) commandBuffer() (vk.CommandBuffer, error) {
	if n := len(q.commands); n > 0 {
		c := q.commands[n-1]
		q.commands = q.commands[:n-1]
		return c, nil
	}
	return q.dev.AllocateCommandBuffer(q.pool)
}

// recycle makes a command buffer free that no longer runs.
func (q *queue) recycle(c vk.CommandBuffer) { q.commands = append(q.commands, c) }

func (q *queue) setPool() (*setPool, error) {
	p := &setPool{sets: poolSets, storage: poolStorage, texels: poolTexels}
	if n := len(q.pools); n > 0 {
		p.handle = q.pools[n-1].handle
		q.pools = q.pools[:n-1]
		return p, nil
	}
	var err error
	p.handle, err = q.dev.CreateDescriptorPool(vk.PoolSize{Sets: poolSets, StorageBuffers: poolStorage, TexelBuffers: poolTexels})
	return p, err
}

// recyclePool makes a pool free whose sets are no longer in use.
func (q *queue) recyclePool(p *setPool) {
	if err := q.dev.ResetDescriptorPool(p.handle); err != nil {
		q.dev.DestroyDescriptorPool(p.handle)
		return
	}
	q.pools = append(q.pools, p)
}

// close waits for the device and destroys the queue's objects. If the device is
// lost, all submits count as finished.
func (q *queue) close() error {
	err := q.wait(q.last)
	if q.lost != nil {
		for _, s := range q.inFlight {
			// What was submitted before may still run, and use what is going to be destroyed.
			// A device that is lost does not keep the host waiting.
			q.dev.WaitFence(s.fence, uint64(time.Second))
			q.fences = append(q.fences, s.fence)
		}
		q.inFlight, q.done = nil, q.last
		q.runDeferred()
	}
	for _, f := range q.fences {
		q.dev.DestroyFence(f)
	}
	for _, p := range q.pools {
		q.dev.DestroyDescriptorPool(p.handle)
	}
	q.dev.DestroyCommandPool(q.pool) // and the command buffers with it
	return err
}
