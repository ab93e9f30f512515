//go:build cgo

// Hooks with which a test intercepts calls from a Device to its driver.

package vk

// Hooks intercept calls from a Device to its driver. A test uses them to simulate a
// broken driver, or to watch the calls. A nil field changes nothing. A Device
// outside of tests has no hooks.
type Hooks struct {
	// Submit is called at each submit. It says whether the command buffers, and
	// whether the fence, are passed to the driver.
	Submit func() (commands, fence bool)

	// Wait is called before the host waits for a fence. nanoseconds is the timeout.
	Wait func(f Fence, nanoseconds uint64)

	// Command is called before each command is recorded. If it returns false the
	// command is left out.
	Command func(cb CommandBuffer, c Command) bool

	// Shader is called with the SPIR-V words of each shader, which it may change. It
	// returns the words to compile.
	Shader func(words []uint32) []uint32

	// Timestamps is called with the timestamps that were read, which it may change,
	// and with whether the driver has written them. It returns the latter.
	Timestamps func(ticks []uint64, written bool) bool

	// Window is called instead of each call for a window's surface and swapchain. It
	// returns the call's result. made makes the call and returns what the driver says.
	Window func(call string, made func() Result) Result

	// Incoherent simulates incoherent memory: the host sees a copy of mapped memory.
	// Only Flush and Invalidate copy between the two.
	Incoherent bool

	shadows map[Memory]shadow
}

// Command is a command that is recorded.
type Command struct {
	Kind CommandKind

	Pipeline Pipeline // of a dispatch

	// Of a barrier.
	Src, Dst             Stage
	SrcAccess, DstAccess Access
}

// CommandKind is what a command does.
type CommandKind uint8

// Kinds of commands. Commands that set state have no kind.
const (
	Dispatch CommandKind = iota
	Copy
	Fill
	Update
	Barrier
	WriteTimestamp
)

// records calls the hook Command. It reports whether the command is to be recorded.
func (d *Device) records(cb CommandBuffer, c Command) bool {
	return d.Hooks == nil || d.Hooks.Command == nil || d.Hooks.Command(cb, c)
}

// window makes a call for a window's surface or swapchain, or lets the hook do it.
func (d *Device) window(call string, made func() Result) Result {
	if d.Hooks == nil || d.Hooks.Window == nil {
		return made()
	}
	return d.Hooks.Window(call, made)
}

// shadow is simulated incoherent memory: the host's copy, and the memory itself.
type shadow struct{ host, device []byte }

// mapShadow returns what the host sees of memory that was just mapped.
func (p *Hooks) mapShadow(m Memory, device []byte) []byte {
	if p == nil || !p.Incoherent {
		return device
	}
	if p.shadows == nil {
		p.shadows = map[Memory]shadow{}
	}
	s := shadow{make([]byte, len(device)), device}
	for i := range s.host {
		s.host[i] = 0xa5 // neither the memory's content nor zeros
	}
	p.shadows[m] = s
	return s.host
}

// copyShadow copies a range between the host's copy and the memory.
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

// unshadow drops the host's copy of memory that is freed.
func (p *Hooks) unshadow(m Memory) {
	if p != nil {
		delete(p.shadows, m)
	}
}
