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

// Profiling with timestamps of the device.
//
// While a profile is made, Run records a barrier and a timestamp before each op,
// and a timestamp after it. So ops do not overlap: each one waits for all ops
// before it and runs alone on the device. Its time includes the time until the
// device is busy and until it is idle. Dispatches of one op overlap as usual. If
// an op is split over several submits, its time is the sum of its parts. The time
// between the submits, when the host records, is not counted.
//
// A program runs its ops anew while a profile is made: the same dispatches, newly
// recorded with timestamps. So the command buffers of a program never contain
// queries.

// profile is the state of a profile that is being made.
type profile struct {
	spans []*span
	op    *span // the op that is being encoded
	clock ticks
	start time.Time // by the host's clock
	read  int       // number of timestamps that were read
	zeros int       // number of those that are 0
	err   error     // why times are missing
}

// span is the time of an op.
type span struct {
	backend.Span
	begun bool // the first part has been read
}

// times holds the timestamps of one recording. An op that is split over several
// recordings has a part in each. Queries 2i and 2i+1 are the begin and the end of
// part i.
type times struct {
	profile *profile
	queries vk.QueryPool
	parts   []*span
	open    bool // the last part has no end yet
}

// maxQueries is the size of a query pool. It is enough for a recording, because a
// part has at least one command and a recording has at most maxCommands commands
// when an op begins.
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
	case !(b.limits.TimestampPeriod > 0): // also if it is NaN
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

// noTimes returns the error of a device whose timestamps cannot be used.
func (b *Backend) noTimes(format string, args ...any) error {
	return fmt.Errorf("vulkan: %s (driver %s) cannot tell how long ops take: %w; update the driver, or measure without a profile (%w)",
		b.phys.Name, driverOf(b.phys), fmt.Errorf(format, args...), errors.ErrUnsupported)
}

// stillClock is the number of equal timestamps from which on the clock counts as
// standing still. Each op has two, with a full barrier before the first.
const stillClock = 8

// check returns an error if the timestamps as a whole cannot be right.
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

// encodeTimed encodes op, with timestamps if a profile is being made.
func (e *encoder) encodeTimed(op backend.Op) error {
	p := e.b.profile
	if p == nil || e.rec.used != nil { // a Program is recorded without timestamps
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

// shader adds the shader's name to the current op's.
func (p *profile) shader(v *shaders.Variant) {
	if name := v.Name(); p.op != nil && !slices.Contains(p.op.Variants, name) {
		p.op.Variants = append(p.op.Variants, name)
	}
}

// beginTime is called before each dispatch and copy. If the current op is timed,
// it counts the command and, before the first one, records a barrier and the
// begin timestamp.
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

// endTime records the end timestamp of the part that is open, if there is one.
func (r *recording) endTime() {
	if t := r.times; t != nil && t.open {
		r.b.dev.CmdWriteTimestamp(r.cmd, vk.BottomOfPipe, t.queries, 2*len(t.parts)-1)
		t.open = false
	}
}

// readTimes reads the timestamps of a recording that has finished. It is called
// for recordings in the order in which they were submitted.
func (r *recording) readTimes() {
	t := r.times
	if t == nil || len(t.parts) == 0 || t.profile.err != nil || r.b.queue.lost != nil {
		return
	}
	p, read := t.profile, make([]uint64, 2*len(t.parts))
	written, err := r.b.dev.QueryResults(t.queries, 0, read)
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

// The device's time since the first timestamp must be at most clockFactor times
// the host's time, plus clockTolerance.
const (
	clockFactor    = 2
	clockTolerance = time.Second
)

// at converts the next timestamp to the time since the first one.
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

// queryPool returns a pool of maxQueries timestamps, a used one if there is any.
func (b *Backend) queryPool() (vk.QueryPool, error) {
	if n := len(b.queries); n > 0 {
		q := b.queries[n-1]
		b.queries = b.queries[:n-1]
		return q, nil
	}
	return b.dev.CreateQueryPool(maxQueries)
}

// ticks converts timestamps, which come in order, to times. Timestamps wrap
// around, and bits that are not valid may have any value.
type ticks struct {
	bits   uint32  // number of valid bits
	period float64 // nanoseconds per tick
	begun  bool    // there was a timestamp
	last   uint64  // the latest timestamp
	sum    uint64  // ticks since the first timestamp
}

// maxBackwards is how far a timestamp may lie before the one before it. Some
// drivers round.
const maxBackwards = time.Millisecond

// at returns the time since the first timestamp, at most the longest Duration. A
// timestamp that is at most maxBackwards before the last one counts as equal; one
// that is farther back is an error.
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

// saturated converts nanoseconds to a Duration, at most the longest one.
func saturated(ns float64) time.Duration {
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
