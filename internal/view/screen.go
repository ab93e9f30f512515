package view

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/dustin/go-humanize"

	"caldera/inspect"
	"caldera/internal/printable"
	"caldera/internal/table"
)

// Screen is where text is written.
type Screen struct {
	W       io.Writer
	Color   bool // escape sequences of terminals may be used
	Columns int  // width of a line; 0: any
}

// Escape sequences (ECMA-48, select graphic rendition).
const (
	reset = "\x1b[0m"
	faint = "\x1b[2m"
	bold  = "\x1b[1m"
)

// Print writes a line.
func (s *Screen) Print(format string, args ...any) error {
	_, err := fmt.Fprintf(s.W, format+"\n", args...)
	return err
}

// Faint is text that is less important.
func (s *Screen) Faint(text string) string { return s.with(faint, text) }

// Bold is text that is more important.
func (s *Screen) Bold(text string) string { return s.with(bold, text) }

// Note writes an explanation, broken into lines between its words.
func (s *Screen) Note(text string) error {
	line := ""
	for _, word := range strings.Fields(text) {
		if s.Columns > 0 && line != "" && table.Width(line)+1+table.Width(word) > s.Columns {
			if err := s.Print("%s", s.Faint(line)); err != nil {
				return err
			}
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return s.Print("%s", s.Faint(line))
}

// Fits reports whether a table fits into a line.
func (s *Screen) Fits(rows [][]string) bool {
	if s.Columns == 0 {
		return true
	}
	_, changed := table.PartsByFirst(rows, tableGap, s.Columns)
	return !changed
}

// Shade is text on a ground that is the darker the larger share is, 0 to 1: of 24
// greys of a terminal of 256 colours. There is no ground for NaN.
func (s *Screen) Shade(share float64, text string) string {
	if math.IsNaN(share) {
		return s.Faint(text)
	}
	grey := 255 - int(23*min(max(share, 0), 1))
	ink := 16
	if share > 0.5 {
		ink = 231
	}
	return s.with(fmt.Sprintf("\x1b[48;5;%dm\x1b[38;5;%dm", grey, ink), text)
}

func (s *Screen) with(sequence, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return sequence + text + reset
}

// tableGap is how many cells of the terminal are between two columns of a table.
const tableGap = 2

// Table writes rows, of which the first has the heads, in columns. It is split where it
// is too wide: the first columns that tell rows apart stand beside each part.
func (s *Screen) Table(rows [][]string) error {
	parts := []table.Part{{Rows: rows}}
	if s.Columns > 0 {
		parts, _ = table.PartsByFirst(rows, tableGap, s.Columns)
	}
	for i, p := range parts {
		if i > 0 {
			if err := s.Print(""); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(s.W, table.Plain(p.Rows, tableGap)); err != nil {
			return err
		}
	}
	return nil
}

// Bar is a bar of at most width characters for a share of 0 to 1, in eighths. There is
// none for NaN.
func Bar(share float64, width int) string {
	if math.IsNaN(share) {
		return ""
	}
	eighths := int(min(max(share, 0), 1)*float64(width)*8 + 0.5)
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return bar
}

// Quote is a token as text shows it: quoted, so that spaces and line breaks are seen.
func Quote(t inspect.Token) string {
	return `"` + strings.ReplaceAll(printable.Text(t.Text), `"`, `\"`) + `"`
}

// count is a number with its thousands parted.
func count[N int | int64](n N) string { return humanize.Comma(int64(n)) }

// percent is a share of 0 to 1.
func percent(share inspect.Float) string { return fmt.Sprintf("%.2f %%", 100*float64(share)) }

// number is a number for CSV, as the JSON has it.
func number(f inspect.Float) string {
	p, _ := f.MarshalJSON() // which has no error
	return string(p)
}
