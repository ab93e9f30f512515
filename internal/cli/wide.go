package cli

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/term"

	"caldera/internal/table"
)

// Wide is the flag --wide: tables are not fitted to the terminal.
type Wide bool

var wide atomic.Bool // the flag was given

// AfterApply is called by kong where the flag is given.
func (w Wide) AfterApply() error {
	wide.Store(bool(w))
	return nil
}

// columns is the width of tables if that of the terminal is not known.
const columns = 100

// wideNote is printed below tables that were fitted.
const wideNote = "Wide tables are split here, and what ends in … is cut: --wide writes them whole."

// Columns returns the largest width of tables that are written to w: 100 characters, or the width of its terminal if
// that is larger. It is 0, for any width, if --wide was given.
func Columns(w io.Writer) int {
	if wide.Load() {
		return 0
	}
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return max(columns, width)
		}
	}
	return columns
}

// WriteTables writes a text with tables in Markdown to w, so that they fit it.
func WriteTables(w io.Writer, text func(io.Writer) error) error {
	var whole bytes.Buffer
	failed := text(&whole)
	if _, err := io.WriteString(w, table.Fit(whole.String(), Columns(w), wideNote)); err != nil {
		return err
	}
	return failed
}
