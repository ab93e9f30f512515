// Package table fits tables to the width of a line. A table that is too wide is split into parts, one below the other.
// Each part begins with the key columns: those that identify a row.
package table

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// minCell is the smallest width that a cell is cut to.
const minCell = 12

// Part is some columns of a table.
type Part struct {
	Columns []int // of the table
	Rows    [][]string
}

// Parts splits a table into as few parts as fit into width; one if all of it fits. All rows have the same length, and
// the first row has the heads. gap is the number of cells of a terminal between columns. Cells are cut only if a column
// does not fit beside the key columns, which are columns with words. changed reports whether the table was split or cut.
func Parts(rows [][]string, gap, width int) (parts []Part, changed bool) {
	return split(rows, gap, width, func(widths []int) []int { return keyColumns(rows, widths, width/2) })
}

// PartsByFirst is Parts for a table whose first columns tell its rows apart, whether they have words or numbers.
func PartsByFirst(rows [][]string, gap, width int) (parts []Part, changed bool) {
	return split(rows, gap, width, func(widths []int) []int { return firstColumns(rows, widths, gap, width/2) })
}

func split(rows [][]string, gap, width int, keysOf func(widths []int) []int) (parts []Part, changed bool) {
	widths := measure(rows)
	line := func(columns []int) int {
		sum := gap * (len(columns) - 1)
		for _, c := range columns {
			sum += widths[c]
		}
		return sum
	}
	all := make([]int, len(rows[0]))
	for i := range all {
		all[i] = i
	}
	if line(all) <= width {
		return []Part{{all, rows}}, false
	}
	keys := keysOf(widths)
	for line(keys) > max(min(width*2/3, width-gap-minCell), len(keys)*(minCell+gap)-gap) { // narrow the widest one
		widest := slices.MaxFunc(keys, func(a, b int) int { return widths[a] - widths[b] })
		if widths[widest] <= minCell {
			break
		}
		widths[widest]--
	}
	for c := range widths {
		if !slices.Contains(keys, c) {
			widths[c] = min(widths[c], max(minCell, width-line(keys)-gap))
		}
	}
	var columns []int // of the part that is being made
	for c := range all {
		if slices.Contains(columns, c) {
			continue
		}
		if len(columns) == 0 {
			columns = []int{c}
		} else if line(append(slices.Clone(columns), c)) <= width {
			columns = append(columns, c)
		} else {
			parts = append(parts, pick(rows, columns, widths))
			columns = slices.Clone(keys)
			if !slices.Contains(keys, c) {
				columns = append(columns, c)
			}
		}
	}
	return append(parts, pick(rows, columns, widths)), true
}

// Width is how many cells of a terminal a text takes: characters of East Asia and most emoji take two, and marks that
// are combined with a letter none.
func Width(s string) int { return uniseg.StringWidth(s) }

// pad is s with spaces up to so many cells.
func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-Width(s))) }

// measure returns the width of each column.
func measure(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], Width(cell))
		}
	}
	return widths
}

// firstColumns returns columns that identify a row: from the left, each one that makes more rows differ, as long as all
// of them fit into limit.
func firstColumns(rows [][]string, widths []int, gap, limit int) (keys []int) {
	apart, line := 1, -gap
	for c := range rows[0] {
		if apart == len(rows)-1 || line+gap+widths[c] > limit {
			break
		}
		if n := different(rows, append(slices.Clone(keys), c)); n > apart {
			keys, apart, line = append(keys, c), n, line+gap+widths[c]
		}
	}
	if len(keys) == 0 {
		keys = []int{0}
	}
	return keys
}

// different is how many rows are different in these columns.
func different(rows [][]string, columns []int) int {
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		var key strings.Builder
		for _, c := range columns {
			key.WriteString(row[c] + "\x00")
		}
		seen[key.String()] = true
	}
	return len(seen)
}

// keyColumns returns the columns that identify a row. Of the columns with words, from the left, it takes each one that
// makes more rows differ. It takes columns wider than limit only if there are no others.
func keyColumns(rows [][]string, widths []int, limit int) []int {
	var keys []int
	apart := 1 // number of different rows, by the keys so far
	for _, wide := range []bool{false, true} {
		for c := range rows[0] {
			if apart == len(rows)-1 || !words(rows, c) || (widths[c] > limit) != wide {
				continue
			}
			if n := different(rows, append(slices.Clone(keys), c)); n > apart {
				keys, apart = append(keys, c), n
			}
		}
	}
	if len(keys) == 0 {
		keys = []int{0}
	}
	slices.Sort(keys)
	return keys
}

// words reports whether a column has words and not numbers.
func words(rows [][]string, c int) bool {
	for _, row := range rows[1:] {
		if r, _ := utf8.DecodeRuneInString(row[c]); unicode.IsLetter(r) {
			return true
		}
	}
	return false
}

// pick returns some columns of all rows, cut to widths.
func pick(rows [][]string, columns, widths []int) Part {
	out := Part{Columns: columns}
	for _, row := range rows {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cut(row[c], widths[c]))
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}

// Plain returns a table without lines between the cells, with gap spaces between columns.
func Plain(rows [][]string, gap int) string {
	widths := measure(rows)
	var s strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(pad(cell, widths[i]+gap))
		}
		s.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return s.String()
}

func cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	var out strings.Builder
	used := 1 // by the mark at the end
	for g := uniseg.NewGraphemes(s); g.Next() && used+g.Width() <= width; used += g.Width() {
		out.WriteString(g.Str())
	}
	return strings.TrimRight(out.String(), " ") + "…"
}
