// Package trace shows where a model spends its time. It adds up the spans of
// [backend.Profile] in a table, or writes them as a time line for chrome://tracing
// and Perfetto.
//
// table.go adds up, chrome.go writes the time line. The work of an op is what
// [backend.Cost] says.
package trace

import (
	"fmt"

	"caldera/backend"
)

// Pass is what was profiled together: a prompt, a step of decoding.
type Pass struct {
	Name  string
	Spans []backend.Span

	// Keys is the number of positions that are in the cache at the end of the
	// pass, which the operands of an attention do not tell. 0: all are taken
	// to be in use.
	Keys int
}

// cost is the work of a span of the pass. An attention reads only the keys and
// values that are in the cache.
func (p Pass) cost(s backend.Span) (flops, bytes int64) {
	op := s.Work
	if op == nil { // the backend did not say
		return 0, 0
	}
	if a, ok := op.(*backend.Attention); ok && 0 < p.Keys && p.Keys < a.K.Dim(-2) {
		seen := *a
		seen.K, seen.V = a.K.Slice(-2, 0, p.Keys), a.V.Slice(-2, 0, p.Keys)
		op = &seen
	}
	return backend.Cost(op)
}

// Check reports times that cannot be right: a negative one, or ops of which none
// took any time.
func (p Pass) Check() error {
	none := len(p.Spans) > 0
	for i, s := range p.Spans {
		if s.Begin < 0 || s.Duration < 0 || s.Begin+s.Duration < 0 {
			return fmt.Errorf("%s: op %d (%s) begins at %v and takes %v, expected times from 0 on: the backend's clock is wrong",
				p.Name, i, s.Op, s.Begin, s.Duration)
		}
		none = none && s.Duration == 0
	}
	if none {
		return fmt.Errorf("%s: none of its %d ops took any time: the backend's clock stands still", p.Name, len(p.Spans))
	}
	return nil
}

// Track is passes of one model on one device, in order.
type Track struct {
	Name   string // "vulkan:0 llvmpipe, gpt2 f16"
	Passes []Pass
}
