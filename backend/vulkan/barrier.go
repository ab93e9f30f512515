//go:build cgo

package vulkan

// hazards finds out which commands need a barrier before them. It holds the
// byte ranges that commands have accessed since the last barrier. A command
// needs a barrier if it writes a range that one of them accessed, or accesses a
// range that one of them wrote.
//
// Barriers are global memory barriers: they cover all earlier commands. Buffer
// barriers would be finer, but the drivers that were tried treat them the same.
type hazards struct {
	open   map[uint64][]touch // accesses since the last barrier, by VkBuffer
	count  int                // number of touches in open
	stages stage              // of the commands since the last barrier
}

// touch is a range of bytes that a command reads or writes.
type touch struct {
	buffer   uint64 // VkBuffer
	from, to uint64
	write    bool
}

// stage is a set of pipeline stages.
type stage uint8

const (
	compute stage = 1 << iota
	transfer
)

// maxOpen bounds the number of touches that add compares with. One more barrier
// costs less than a longer search.
const maxOpen = 1024

// add records the touches of the next command. If the command needs a barrier,
// add returns the stages that the barrier must wait for, else 0.
func (h *hazards) add(s stage, touches []touch) (after stage) {
	if h.count > maxOpen || h.conflicts(touches) {
		after = h.stages
		h.reset()
	}
	if h.open == nil {
		h.open = map[uint64][]touch{}
	}
	for _, t := range touches {
		h.open[t.buffer] = append(h.open[t.buffer], t)
	}
	h.count += len(touches)
	h.stages |= s
	return after
}

func (h *hazards) conflicts(touches []touch) bool {
	for _, t := range touches {
		for _, o := range h.open[t.buffer] {
			if (t.write || o.write) && t.from < o.to && o.from < t.to {
				return true
			}
		}
	}
	return false
}

// reset forgets all touches. It is called where a barrier is recorded.
func (h *hazards) reset() {
	for b, open := range h.open {
		h.open[b] = open[:0]
	}
	h.count, h.stages = 0, 0
}
