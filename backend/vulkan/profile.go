//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// Times of ops by the device's clock.
//
// While a profile is made, Run puts a barrier and a timestamp before each op
// and a timestamp behind it. So an op waits for everything before it and has
// the device to itself: ops that would overlap follow one another, and each
// pays for filling and draining the device. Dispatches of one op overlap as
// ever. An op that is cut by the end of a submit has a part in each, and the
// time between the submits, in which the host records, is not counted.
//
// Programs run their ops anew: the same dispatches, recorded with timestamps.
// So the command buffers of a program hold no queries, whether it was recorded
// during a profile or not.

// profile is one that is being made.
type profile struct {
	spans []*span
	op    *span // that is being encoded
	clock ticks
	err   error // why times are missing
}

// span is the time of an op.
type span struct {
	backend.Span
	begun bool // a part of it has been read
}

// times are those of the ops in one recording, or of the parts of ops that
// are in it: queries 2i and 2i+1 are when part i began and ended.
type times struct {
	profile *profile
	queries vk.QueryPool
	parts   []*span
	open    bool // the last part has not ended
}

// maxQueries is enough for a recording: each part holds a command, and one that
// has maxCommands of them is submitted before another op begins.
const maxQueries = 2 * maxCommands

// Profile implements [backend.Profiler].
func (b *Backend) Profile(run func() error) ([]backend.Span, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	switch {
	case b.profile != nil:
		return nil, errors.New("vulkan: Profile within Profile")
	case b.limits.TimestampBits == 0:
		return nil, fmt.Errorf("vulkan: times of ops cannot be told: the queue for compute of %s has no timestamps (timestampValidBits is 0): %w",
			b.phys.Name, errors.ErrUnsupported)
	}
	p := &profile{clock: ticks{bits: b.limits.TimestampBits, period: b.limits.TimestampPeriod}}
	b.profile = p
	defer func() { b.profile = nil }()
	if err := run(); err != nil {
		return nil, err
	}
	err := b.ready()
	if err != nil {
		return nil, err
	}
	if err = b.finish(); err == nil {
		err = p.err
	}
	if err == nil {
		err = b.complaints()
	}
	if err != nil {
		return nil, fmt.Errorf("vulkan: Profile: %w", err)
	}
	spans := make([]backend.Span, len(p.spans))
	for i, s := range p.spans {
		spans[i] = s.Span
	}
	return spans, nil
}

// timed encodes op, and takes its time where a profile is being made.
func (e *encoder) timed(op backend.Op) error {
	p := e.b.profile
	if p == nil || e.rec.used != nil { // a Program's commands run later
		return encodeOp(e, op)
	}
	p.op = &span{Span: backend.NewSpan(op)}
	p.spans = append(p.spans, p.op)
	err := encodeOp(e, op)
	if e.rec != nil { // else a submit has failed
		e.rec.endTime()
	}
	p.op = nil
	return err
}

// shader notes what the op at hand uses.
func (p *profile) shader(v *shaders.Variant) {
	if name := v.Name(); p.op != nil && !slices.Contains(p.op.Variants, name) {
		p.op.Variants = append(p.op.Variants, name)
	}
}

// beginTime makes the next command part of the time of the op at hand, if
// that is taken.
func (r *recording) beginTime() {
	p := r.b.profile
	if p == nil || p.op == nil {
		return
	}
	p.op.Dispatches++
	if r.times == nil {
		q, err := r.b.queryPool()
		if err != nil {
			p.err = err
			return
		}
		r.b.dev.CmdResetQueryPool(r.cmd, q, 0, maxQueries)
		r.times = &times{profile: p, queries: q}
	}
	if t := r.times; !t.open {
		r.b.dev.CmdBarrier(r.cmd, allStages, allWrites, allStages, allAccess)
		r.hazards.reset()
		r.b.dev.CmdWriteTimestamp(r.cmd, vk.BottomOfPipe, t.queries, 2*len(t.parts))
		t.parts = append(t.parts, p.op)
		t.open = true
	}
}

// endTime ends the part of an op that is being timed, if there is one.
func (r *recording) endTime() {
	if t := r.times; t != nil && t.open {
		r.b.dev.CmdWriteTimestamp(r.cmd, vk.BottomOfPipe, t.queries, 2*len(t.parts)-1)
		t.open = false
	}
}

// readTimes reads the times of a recording that has run. Recordings come in
// the order in which they were submitted.
func (r *recording) readTimes() {
	t := r.times
	if t == nil || len(t.parts) == 0 || t.profile.err != nil || r.b.queue.lost != nil {
		return
	}
	p, read := t.profile, make([]uint64, 2*len(t.parts))
	written, err := r.b.dev.QueryResults(t.queries, 0, read, false)
	if err == nil && !written {
		err = errors.New("the driver has not written the timestamps of a submit that has finished")
	}
	if err != nil {
		p.err = err
		return
	}
	for i, s := range t.parts {
		begin, end := p.clock.at(read[2*i]), p.clock.at(read[2*i+1])
		if !s.begun {
			s.begun, s.Begin = true, begin
		}
		s.Duration += end - begin
	}
}

// queryPool is a pool of maxQueries timestamps.
func (b *Backend) queryPool() (vk.QueryPool, error) {
	if n := len(b.queries); n > 0 {
		q := b.queries[n-1]
		b.queries = b.queries[:n-1]
		return q, nil
	}
	return b.dev.CreateQueryPool(maxQueries)
}

// ticks makes times of timestamps, which come in order. They wrap around, and
// bits that are not valid may be anything.
type ticks struct {
	bits   uint32
	period float64 // nanoseconds
	begun  bool
	last   uint64
	sum    uint64 // since the first one
}

// at is the time since the first timestamp. One that lies before the last,
// by a driver's rounding, counts as the same.
func (c *ticks) at(tick uint64) time.Duration {
	if unused := 64 - c.bits; c.begun {
		if passed := int64((tick-c.last)<<unused) >> unused; passed > 0 {
			c.sum += uint64(passed)
		}
	}
	c.begun, c.last = true, tick
	return time.Duration(float64(c.sum) * c.period)
}
