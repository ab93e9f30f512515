// Package trace shows where a model spends its time. It adds up the spans of
// [backend.Profile] in a table, or writes them as a time line for chrome://tracing
// and Perfetto.
//
// table.go makes the table, chrome.go writes the time line. The work of an op is that
// of [backend.Cost].
package trace

import (
	"fmt"

	"caldera/backend"
)

// Pass is one profile: of a prompt, or of a decode step.
type Pass struct {
	Name  string
	Spans []backend.Span

	// Keys is the number of positions in the cache at the end of the pass, of each
	// sequence. The operands of Attention do not say it. 0: the cache counts as full.
	// Where it is in blocks, whole blocks count.
	Keys int
}

// cost returns the work of a span of the pass. Attention reads only the keys and
// values that are in the cache.
func (p Pass) cost(s backend.Span) (flops, bytes int64) {
	op := s.Work
	if op == nil { // the backend did not set it
		return 0, 0
	}
	if a, ok := op.(*backend.Attention); ok && p.Keys > 0 {
		seen := *a
		if keys := min(p.Keys, a.K.Dim(-2)); a.Table.Absent() {
			seen.K, seen.V = a.K.Slice(-2, 0, keys), a.V.Slice(-2, 0, keys)
		} else {
			block := a.K.Dim(-2)
			seen.Table = a.Table.Slice(-1, 0, min((p.Keys+block-1)/block, a.Table.Dim(-1)))
		}
		op = &seen
	}
	return backend.Cost(op)
}

// Check returns an error if times cannot be right: if one is negative, or all are 0.
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

// Track has the passes of one model on one device, in order.
type Track struct {
	Name   string // "vulkan:0 llvmpipe, gpt2 f16"
	Passes []Pass
}
