package table

import (
	"fmt"
	"strings"
)

// Markdown returns a table in Markdown. Its cells are padded, so that it is readable as text too. Columns for which
// right is true are aligned right; right may be nil. Cells must not contain line breaks or bars.
func Markdown(rows [][]string, right []bool) string {
	widths := measure(rows)
	ends := func(i int) bool { return i < len(right) && right[i] }
	var s strings.Builder
	for n, row := range rows {
		for i, cell := range row {
			padded := pad(cell, widths[i])
			if ends(i) {
				padded = padded[len(cell):] + cell
			}
			fmt.Fprintf(&s, "| %s ", padded)
		}
		s.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			if ends(i) {
				fmt.Fprintf(&s, "|%s:", strings.Repeat("-", width+1))
			} else {
				fmt.Fprintf(&s, "|%s", strings.Repeat("-", width+2))
			}
		}
		s.WriteString("|\n")
	}
	return s.String()
}

// Fit changes the tables of Markdown in a text so that they fit into width, and adds note at the end if it changed one.
// With width 0 it returns the text unchanged.
func Fit(text string, width int, note string) string {
	if width <= 0 {
		return text
	}
	var s strings.Builder
	var block []string
	changed := false
	end := func() {
		fitted, other := fitBlock(block, width)
		s.WriteString(fitted)
		changed = changed || other
		block = nil
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			block = append(block, line)
			continue
		}
		end()
		s.WriteString(line)
	}
	end()
	if changed {
		s.WriteString("\n" + note + "\n")
	}
	return s.String()
}

// fitBlock fits consecutive lines that begin with a bar, if they are a table.
func fitBlock(lines []string, width int) (text string, changed bool) {
	text = strings.Join(lines, "")
	if len(lines) < 2 || strings.Trim(lines[1], "|-:\n") != "" {
		return text, false
	}
	var rows [][]string
	for i, line := range lines {
		if i == 1 {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSuffix(line, "\n"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(rows) > 0 && len(cells) != len(rows[0]) {
			return text, false
		}
		rows = append(rows, cells)
	}
	var right []bool
	for _, rule := range strings.Split(strings.Trim(strings.TrimSuffix(lines[1], "\n"), "|"), "|") {
		right = append(right, strings.HasSuffix(rule, ":"))
	}
	if len(right) != len(rows[0]) {
		return text, false
	}
	parts, changed := Parts(rows, 3, width-4)
	if !changed {
		return text, false
	}
	var out []string
	for _, part := range parts {
		var ends []bool
		for _, c := range part.Columns {
			ends = append(ends, right[c])
		}
		out = append(out, Markdown(part.Rows, ends))
	}
	return strings.Join(out, "\n"), true
}
