package cli

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/term"

	"caldera/internal/table"
)

// Wide is a flag that has tables written whole.
type Wide bool

var wide atomic.Bool // the flag was given

// AfterApply is called by kong where the flag is given.
func (w Wide) AfterApply() error {
	wide.Store(bool(w))
	return nil
}

// columns is what tables fit where nothing else is known.
const columns = 100

// wideNote stands below tables that were fitted.
const wideNote = "Wide tables are split here, and what ends in … is cut: --wide writes them whole."

// Columns is how wide tables may be that go to w: 100 characters, or as many as its terminal has if they are more; 0
// says that --wide was given, and any width will do.
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
