//go:build cgo

package vulkan

// hazards finds the places where commands need a barrier between them. It
// holds what was touched since the last one; a barrier covers all of that, so
// a command needs one when it writes what they touched, or touches what they wrote.
//
// Barriers are global memory barriers: no driver at hand makes anything finer
// of a buffer barrier, and one of them settles all that is open.
type hazards struct {
	open   map[uint64][]touch // by VkBuffer
	count  int                // touches in open
	stages stage              // of the commands since the last barrier
}

// touch is a range of bytes that a command may read or write.
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

// maxOpen bounds the search through open. A barrier more costs less than a
// longer search.
const maxOpen = 1024

// add tells of the next command's touches. If it must wait for earlier ones,
// after is the stages that the barrier must wait for, else 0.
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

// reset forgets everything: a barrier has settled it.
func (h *hazards) reset() {
	for b, open := range h.open {
		h.open[b] = open[:0]
	}
	h.count, h.stages = 0, 0
}
