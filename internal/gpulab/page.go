package gpulab

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"caldera/internal/table"
)

// WritePage writes reports as docs/results/gpus.md has them: for each maker a table of kernels
// and cards.
func WritePage(w io.Writer, reports []Report) error {
	var s strings.Builder
	s.WriteString(`# Kernels on GPUs

What the compilers of GPU drivers make of Caldera's kernels, on cards that are played (scripts/gpulab.sh): no result, and no
speed. ` + "`make results-gpus`" + ` writes this page and the JSON beside it: each pipeline that decoding, prefill, batches and
training of gpt2, gpt2-xl and a Llama dispatch, as Session, Batch and Trainer record them.

A cell has registers of a lane (of 32 bits; of Intel those of a thread, of 32 bytes) / subgroups that a SIMD unit (AMD) or multiprocessor (NVIDIA) holds at once / instructions /
bytes of loads from global memory that a lane has in flight when it waits for one, at most, in an innermost loop of the machine code.
**!** marks vector registers that are spilled to memory, **–** what the driver does not tell, or no use of the kernel on that card.
Of AMD's cards spills and a low occupancy fail the tests (internal/gpulab/floor.go), and of Intel's spills. NVIDIA's figures are of
Mesa's compiler, not of NVIDIA's own.

`)
	for _, c := range Cards {
		if r := find(reports, c); r != nil {
			fmt.Fprintf(&s, "- %s: %s, %d pipelines with the conformance suite's\n", c.Name, r.Device, r.Pipelines)
		}
	}
	for _, m := range []Maker{AMD, NVIDIA, Intel, Apple, Qualcomm} {
		writeMaker(&s, m, reports)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func find(reports []Report, c Card) *Report {
	if i := slices.IndexFunc(reports, func(r Report) bool { return r.Card == c.Name }); i >= 0 {
		return &reports[i]
	}
	return nil
}

// writeMaker writes the table of a maker's cards.
func writeMaker(s *strings.Builder, m Maker, reports []Report) {
	type row struct {
		kernel string
		uses   []string
		cells  map[string]string
	}
	rows := map[string]*row{}
	var cards []string
	for _, c := range Cards {
		r := find(reports, c)
		if c.Maker != m || r == nil {
			continue
		}
		cards = append(cards, c.Name)
		for _, k := range r.Kernels {
			id := k.Name
			if k.Spec != "" {
				id += " {" + k.Spec + "}"
			}
			if rows[id] == nil {
				rows[id] = &row{id, nil, map[string]string{}}
			}
			for _, u := range k.Uses {
				if _, u, _ = cutLast(u); !slices.Contains(rows[id].uses, u) {
					rows[id].uses = append(rows[id].uses, u)
				}
			}
			if had := rows[id].cells[c.Name]; had == "" || strings.Contains(k.cell(), "!") { // of several subgroup sizes the first
				rows[id].cells[c.Name] = k.cell()
			}
		}
	}
	if cards == nil {
		return
	}
	var sorted []*row
	for _, r := range rows {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b *row) int { return strings.Compare(a.kernel, b.kernel) })
	lines := [][]string{append([]string{"kernel", "used by"}, cards...)}
	for _, r := range sorted {
		slices.Sort(r.uses)
		line := []string{r.kernel, strings.Join(r.uses, " ")}
		for _, c := range cards {
			cell := r.cells[c]
			if cell == "" {
				cell = "–"
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	fmt.Fprintf(s, "\n## %s\n\n%s", m, table.Markdown(lines, make([]bool, len(lines[0]))))
}

// cell is the kernel's numbers for people.
func (k Kernel) cell() string {
	number := func(n int) string {
		if n == 0 {
			return "–"
		}
		return fmt.Sprint(n)
	}
	text := fmt.Sprintf("%s / %s / %d / %s", number(k.Registers), number(k.Occupancy), k.Instructions, number(k.InFlight))
	if k.Spilled > 0 {
		text += fmt.Sprintf(" !%d", k.Spilled)
	}
	return text
}

// cutLast cuts s around its last space.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, " ")
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
