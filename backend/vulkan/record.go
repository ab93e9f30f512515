//go:build cgo

package vulkan

import (
	"maps"
	"slices"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// program is a list of ops, recorded as command buffers that can be submitted
// many times, also while an earlier run is in flight.
type program struct {
	b         *Backend
	ops       []backend.Op // for Profile, which records them anew
	segments  []segment
	resources resources
	used      map[*buffer]struct{} // while it is being recorded
	buffers   []*buffer            // that it uses
	frees     uint64               // of the backend, when none of these was freed
	last      uint64               // serial of the last run
	closed    bool
}

// segment is a command buffer with at most as much work as one submit may have.
type segment struct {
	cmd  vk.CommandBuffer
	what string
}

// Record implements [backend.Recorder].
func (b *Backend) Record(ops ...backend.Op) (backend.Program, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	b.startPipelines(ops)
	for {
		p, t, err := b.record(ops)
		wrong, unsettled := b.settleAll(t)
		if err == nil && (wrong || unsettled != nil) {
			p.release()
			err = unsettled
		}
		if wrong && unsettled == nil { // kernels that were taken: others take their place
			continue
		}
		if err != nil {
			return nil, wrapError("recording %w", err)
		}
		b.programs[p] = struct{}{}
		return p, nil
	}
}

// record is Record, but for checking the pipelines that it has taken for the first time.
// After an error the program is nil.
func (b *Backend) record(ops []backend.Op) (_ *program, _ *taken, err error) {
	p := &program{b: b, ops: backend.Freeze(ops), used: map[*buffer]struct{}{}, resources: resources{b: b}}
	e := encoder{b: b, full: p.next, taken: &taken{}}
	err = p.next(&e)
	if err == nil {
		err = e.encodeAll(ops)
	}
	if err == nil {
		err = p.end(&e)
	}
	if err != nil {
		if e.rec != nil {
			_ = p.end(&e) // a command buffer must be ended before it is reused
		}
		p.release()
		return nil, e.taken, err
	}
	p.buffers, p.used = slices.Collect(maps.Keys(p.used)), nil
	return p, e.taken, nil
}

// next ends the current segment, if there is one, and begins another.
func (p *program) next(e *encoder) error {
	if e.rec != nil {
		if err := p.end(e); err != nil {
			return err
		}
	}
	rec, err := p.b.newRecording(vk.Simultaneous)
	if err != nil {
		return err
	}
	rec.used, rec.resources = p.used, p.resources
	e.rec = rec
	return nil
}

func (p *program) end(e *encoder) error {
	rec := e.rec
	e.rec = nil
	p.keep(rec)
	return rec.end()
}

// keep adds a recording to the program as a segment.
func (p *program) keep(rec *recording) {
	p.resources = rec.resources
	p.segments = append(p.segments, segment{rec.cmd, rec.what()})
}

// Run implements [backend.Program].
func (p *program) Run() error {
	b := p.b
	if err := b.ready(); err != nil {
		return err
	}
	if p.closed {
		return wrapError("the program is closed: %w", backend.ErrClosed)
	}
	if p.frees != b.frees {
		for _, buf := range p.buffers {
			if buf.freed {
				return wrapError("a program cannot run: %w (it had %d bytes)", backend.ErrFreed, buf.size)
			}
		}
		p.frees = b.frees
	}
	if b.profile != nil {
		return b.Run(p.ops...) // the same dispatches, with timestamps
	}
	defer func() { // also if a later segment failed: the earlier ones run
		for _, buf := range p.buffers {
			buf.lastUse = max(buf.lastUse, p.last)
		}
	}()
	for _, s := range p.segments {
		if err := b.submit(s.what, s.cmd); err != nil {
			return wrapError("%w", err)
		}
		p.last = b.queue.last
	}
	return b.validationError()
}

// Close implements [backend.Program].
func (p *program) Close() error {
	if p.closed || p.b.closed {
		return nil
	}
	p.closed = true
	delete(p.b.programs, p)
	p.b.queue.after(p.last, p.release)
	return nil
}

// release frees everything that the program owns. It must not be running.
func (p *program) release() {
	p.resources.release()
	for _, s := range p.segments {
		p.b.queue.recycle(s.cmd)
	}
	p.segments = nil
}
