// Package table makes tables fit a line: one that is too wide goes on below itself, in parts that each begin with the
// columns that tell its rows apart.
package table

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minCell is the least that a cell is cut to.
const minCell = 12

// Part is some columns of a table.
type Part struct {
	Columns []int // of the table
	Rows    [][]string
}

// Parts are the parts of a table of equal rows, the first of them the heads, whose columns have gap characters between
// them: as few as fit into width, and the table itself where all of it does. Cells are cut only where a column does
// not fit beside those that tell the rows apart; changed is whether the table is another than it was.
func Parts(rows [][]string, gap, width int) (parts []Part, changed bool) {
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
	keys := keyColumns(rows, widths, width/2)
	for line(keys) > max(min(width*2/3, width-gap-minCell), len(keys)*(minCell+gap)-gap) { // the widest gives
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
			columns = append(slices.Clone(keys), c)
		}
	}
	return append(parts, pick(rows, columns, widths)), true
}

// measure is the width of each column.
func measure(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// keyColumns are those that tell the rows apart: of those with words, from the left, each that tells more of them
// apart. Columns wider than limit are taken only where there is nothing else.
func keyColumns(rows [][]string, widths []int, limit int) []int {
	var keys []int
	apart := 1 // how many rows the keys tell apart
	for _, wide := range []bool{false, true} {
		for c := range rows[0] {
			if apart == len(rows)-1 || !words(rows, c) || (widths[c] > limit) != wide {
				continue
			}
			seen := map[string]bool{}
			for _, row := range rows[1:] {
				var key strings.Builder
				for _, k := range append(slices.Clone(keys), c) {
					key.WriteString(row[k] + "\x00")
				}
				seen[key.String()] = true
			}
			if len(seen) > apart {
				keys, apart = append(keys, c), len(seen)
			}
		}
	}
	if len(keys) == 0 {
		keys = []int{0}
	}
	slices.Sort(keys)
	return keys
}

// words is whether a column is of words and not of numbers.
func words(rows [][]string, c int) bool {
	for _, row := range rows[1:] {
		if r, _ := utf8.DecodeRuneInString(row[c]); unicode.IsLetter(r) {
			return true
		}
	}
	return false
}

// pick has some columns of all rows, cut to widths.
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

// Plain is a table without rules, its columns gap spaces apart.
func Plain(rows [][]string, gap int) string {
	widths := measure(rows)
	var s strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[i]+gap, cell)
		}
		s.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return s.String()
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return strings.TrimRight(string(runes[:width-1]), " ") + "…"
}
