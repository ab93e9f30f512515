//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"math"
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
	start time.Time // by the host's clock
	read  int       // timestamps
	zeros int       // of them are 0
	err   error     // why times are missing
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
		return nil, b.noTimes("its queue for compute has no timestamps (timestampValidBits is 0)")
	case !(b.limits.TimestampPeriod > 0): // or no number
		return nil, b.noTimes("a tick of its timestamps takes %v ns (timestampPeriod)", b.limits.TimestampPeriod)
	}
	p := &profile{clock: ticks{bits: b.limits.TimestampBits, period: b.limits.TimestampPeriod}, start: time.Now()}
	b.profile = p
	defer func() { b.profile = nil }()
	if err := run(); err != nil {
		return nil, err
	}
	err := b.ready()
	if err != nil {
		return nil, err
	}
	if err = b.waitAll(); err == nil {
		err = b.validationError()
	}
	if err != nil {
		return nil, fmt.Errorf("vulkan: Profile: %w", err)
	}
	if err = p.err; err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, b.noTimes("%w", err)
	}
	spans := make([]backend.Span, len(p.spans))
	for i, s := range p.spans {
		spans[i] = s.Span
	}
	return spans, nil
}

// noTimes is the error of a device that does not tell how long ops take.
func (b *Backend) noTimes(format string, args ...any) error {
	return fmt.Errorf("vulkan: %s (driver %s) cannot tell how long ops take: %w; update the driver, or measure without a profile (%w)",
		b.phys.Name, driverOf(b.phys), fmt.Errorf(format, args...), errors.ErrUnsupported)
}

// stillClock is how many timestamps may be the same before the clock is taken
// to stand still. Each op is two, and has a full barrier between them.
const stillClock = 8

// check tells what is wrong with the timestamps as a whole.
func (p *profile) check() error {
	switch {
	case p.read == 0:
		return nil
	case p.zeros == p.read:
		return fmt.Errorf("the driver has not written timestamps: all %d are 0", p.read)
	case p.clock.sum == 0 && p.read >= stillClock:
		return fmt.Errorf("its clock stands still: all %d timestamps are %d", p.read, p.clock.last)
	}
	return nil
}

// timed encodes op, and takes its time where a profile is being made.
func (e *encoder) encodeTimed(op backend.Op) error {
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
		begin, err := p.at(read[2*i])
		if err != nil {
			p.err = err
			return
		}
		end, err := p.at(read[2*i+1])
		if err != nil {
			p.err = err
			return
		}
		if !s.begun {
			s.begun, s.Begin = true, begin
		}
		s.Duration += end - begin
	}
}

// Clocks of device and host may differ so much: by a part of what has passed, and by a time.
const (
	clockFactor    = 2
	clockTolerance = time.Second
)

// at is the time of the next timestamp since the first one.
func (p *profile) at(tick uint64) (time.Duration, error) {
	p.read++
	if tick == 0 {
		p.zeros++
	}
	at, err := p.clock.at(tick)
	if err != nil {
		return 0, err
	}
	if host := time.Since(p.start); at > clockFactor*host+clockTolerance {
		return 0, fmt.Errorf("its timestamps are wrong: by the last, %d, %v have passed since the first, and by the host's clock %v",
			tick, at, host.Round(time.Microsecond))
	}
	return at, nil
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

// maxBackwards is how far a timestamp may lie before the last, by a driver's rounding.
const maxBackwards = time.Millisecond

// at is the time since the first timestamp, at most what a Duration holds. One
// that lies a little before the last counts as the same; more is an error.
func (c *ticks) at(tick uint64) (time.Duration, error) {
	if unused := 64 - c.bits; c.begun {
		passed := int64((tick-c.last)<<unused) >> unused
		if back := -float64(passed) * c.period; back > float64(maxBackwards) {
			return 0, fmt.Errorf("its timestamps run backwards, from %d to %d (%v)", c.last, tick, saturated(back))
		}
		if passed > 0 {
			c.sum += min(uint64(passed), math.MaxUint64-c.sum)
		}
	}
	c.begun, c.last = true, tick
	return saturated(float64(c.sum) * c.period), nil
}

// saturated is a time in nanoseconds, at most the longest Duration.
func saturated(ns float64) time.Duration {
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
