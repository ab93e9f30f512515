//go:build cgo

// What a test puts between a Device and its driver.

package vk

// Hooks stands between a Device and its driver, so that a test plays a driver
// that is broken, or sees what a driver is told. A nil field changes nothing.
// A Device outside of tests has none.
type Hooks struct {
	// Submit says of each submit whether its command buffers, and its fence,
	// reach the driver.
	Submit func() (commands, fence bool)

	// Wait is called before the host waits for a fence, at most so many
	// nanoseconds.
	Wait func(f Fence, nanoseconds uint64)

	// Command is called before each command is recorded; false leaves it out.
	Command func(cb CommandBuffer, c Command) bool

	// Shader returns what is compiled in place of a shader's SPIR-V words,
	// which it may change.
	Shader func(words []uint32) []uint32

	// Timestamps may change what the driver tells of queries, and whether it
	// has written them.
	Timestamps func(ticks []uint64, written bool) bool

	// Incoherent memory is mapped as a copy of the driver's: Flush and Invalidate
	// carry over what is in their ranges, and nothing else does.
	Incoherent bool

	shadows map[Memory]shadow
}

// Command is one that is recorded.
type Command struct {
	Kind CommandKind

	// Of a barrier.
	Src, Dst             Stage
	SrcAccess, DstAccess Access
}

// CommandKind is what a command does.
type CommandKind uint8

// Kinds of commands. Setting state is none.
const (
	Dispatch CommandKind = iota
	Copy
	Fill
	Update
	Barrier
	WriteTimestamp
)

// plays reports whether a command is to be recorded.
func (d *Device) records(cb CommandBuffer, k CommandKind) bool {
	return d.Hooks == nil || d.Hooks.Command == nil || d.Hooks.Command(cb, Command{Kind: k})
}

// shadow is what the host sees of incoherent memory, and the memory.
type shadow struct{ host, device []byte }

// shade gives the host's copy of memory that was just mapped.
func (p *Hooks) mapShadow(m Memory, device []byte) []byte {
	if p == nil || !p.Incoherent {
		return device
	}
	if p.shadows == nil {
		p.shadows = map[Memory]shadow{}
	}
	s := shadow{make([]byte, len(device)), device}
	for i := range s.host {
		s.host[i] = 0xa5 // neither what the device has nor zeros
	}
	p.shadows[m] = s
	return s.host
}

// carry copies a range of played incoherent memory in one direction.
func (p *Hooks) copyShadow(m Memory, offset, size uint64, toHost bool) {
	if p == nil || !p.Incoherent {
		return
	}
	s := p.shadows[m]
	if toHost {
		copy(s.host[offset:offset+size], s.device[offset:])
	} else {
		copy(s.device[offset:offset+size], s.host[offset:])
	}
}

// forget drops the copy of memory that is freed or unmapped.
func (p *Hooks) unshadow(m Memory) {
	if p != nil {
		delete(p.shadows, m)
	}
}
