package view

import (
	"encoding/csv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// WriteCSV writes a table so that no spreadsheet computes with its cells: text that
// would be a formula gets an apostrophe before it, which spreadsheets take for "this
// is text". Numbers stay as they are.
// https://owasp.org/www-community/attacks/CSV_Injection
func WriteCSV(w io.Writer, t Tabler) error {
	c := csv.NewWriter(w)
	for _, row := range t.Table() {
		row = slices.Clone(row)
		for i, cell := range row {
			if formula(cell) {
				row[i] = "'" + cell
			}
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func formula(cell string) bool {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return false
	}
	v, err := strconv.ParseFloat(cell, 64)
	return err != nil || math.IsInf(v, 0)
}
