package gpulab

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"caldera/internal/table"
)

// changed are the programs whose kernels the page of changes shows.
var changed = []string{
	"gpt2 f16 decode", "gpt2 q8_0 decode", "gpt2 q4_0 decode", "gpt2-xl f16 decode", "llama-3.2-1b f16 decode", "llama-3.2-1b q8_0 decode",
	"gpt2 f16 prefill", "gpt2 q4_0 prefill", "gpt2-xl f16 prefill", "llama-3.2-1b f16 prefill",
}

// WriteChanges writes a page that lays the kernels of before and after side by side, on the cards
// that both have: docs/results/gpus-change.md.
func WriteChanges(w io.Writer, before, after []Report) error {
	var s strings.Builder
	s.WriteString(`# Kernels before and after

What each program dispatched before the kernels were rewritten (commit 82f7405), and what it dispatches now, on the cards that
` + "`make test`" + ` plays; the same reading of the same drivers. ` + "`make results-gpus`" + ` writes this page from gpus.json and gpus-before.json.

A cell has pipelines × instructions / bytes of loads from global memory that a lane has in flight when it waits for one, at most, in
an innermost loop of the machine code, or in all of it where it has no loop; the least and the most of several pipelines. **!** marks
vector registers that are spilled to memory, **–** a kernel that is not dispatched. Instructions are those of the whole kernel,
whether they run once or in each turn of a loop: [performance.md](../performance.md) has what a weight takes.
`)
	var cards []Card
	for _, c := range Cards {
		if find(before, c) != nil && find(after, c) != nil {
			cards = append(cards, c)
		}
	}
	for _, use := range changed {
		head := []string{"kernel"}
		rows := map[string][]string{}
		for _, c := range cards {
			for when, r := range []*Report{find(before, c), find(after, c)} {
				head = append(head, c.Name+[]string{" before", " after"}[when])
				for name, cell := range cellsOf(r.Kernels, use) {
					if rows[name] == nil {
						rows[name] = slices.Repeat([]string{"–"}, 2*len(cards))
					}
					rows[name][len(head)-2] = cell
				}
			}
		}
		if len(rows) == 0 {
			continue
		}
		lines := [][]string{head}
		for name, cells := range rows {
			lines = append(lines, append([]string{name}, cells...))
		}
		slices.SortFunc(lines[1:], func(a, b []string) int { return strings.Compare(a[0], b[0]) })
		fmt.Fprintf(&s, "\n## %s\n\n%s", use, table.Markdown(lines, make([]bool, len(head))))
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// cellsOf are the kernels that a program dispatches, by name; those that differ in constants
// alone are in one cell.
func cellsOf(kernels []Kernel, use string) map[string]string {
	of := map[string][]Kernel{}
	for _, k := range kernels {
		if slices.Contains(k.Uses, use) {
			of[k.Name] = append(of[k.Name], k)
		}
	}
	cells := map[string]string{}
	for name, all := range of {
		span := func(number func(Kernel) int) string {
			var n []int
			for _, k := range all {
				n = append(n, number(k))
			}
			if low, high := slices.Min(n), slices.Max(n); low != high {
				return fmt.Sprintf("%d–%d", low, high)
			}
			return fmt.Sprint(n[0])
		}
		cell := fmt.Sprintf("%d × %s / %s", len(all), span(func(k Kernel) int { return k.Instructions }), span(func(k Kernel) int { return k.InFlight }))
		spilled := 0
		for _, k := range all {
			spilled = max(spilled, k.Spilled)
		}
		if spilled > 0 {
			cell += fmt.Sprintf(" !%d", spilled)
		}
		cells[name] = cell
	}
	return cells
}
