package inspect

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"caldera/internal/atomicfile"
	"caldera/internal/cli"
	"caldera/internal/plot"
	"caldera/internal/view"
)

// outputFlags say how the answer is written.
type outputFlags struct {
	JSON   bool   `name:"json" help:"Print one JSON object in place of text."`
	Output string `short:"o" placeholder:"FILE" help:"Write a picture (FILE.svg, FILE.png), a table (FILE.csv) or the JSON (FILE.json) in place of text."`
	Color  string `enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Use colours: auto (on a terminal, unless NO_COLOR is set), always or never (${default})."`
}

// check reports flags that do not go together, before anything is computed.
func (f *outputFlags) check() error {
	if f.Output == "" {
		return nil
	}
	if f.JSON {
		return cli.Usagef("both --json and --output=%s: give one of them", f.Output)
	}
	switch strings.ToLower(filepath.Ext(f.Output)) {
	case ".svg", ".png", ".csv", ".json":
		return nil
	}
	return cli.Usagef("--output=%s: expected a name that ends in .svg, .png, .csv or .json", f.Output)
}

// write writes the answer as the flags ask for.
func (f *outputFlags) write(a *view.Answer) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Output != "" {
		return f.save(a)
	}
	if f.JSON {
		return view.WriteJSON(os.Stdout, a)
	}
	return a.Text(&view.Screen{W: os.Stdout, Color: f.colored(), Columns: cli.Columns(os.Stdout)})
}

// save writes the file.
func (f *outputFlags) save(a *view.Answer) error {
	ext := strings.ToLower(filepath.Ext(f.Output))
	write := func(w io.Writer) error { return view.WriteJSON(w, a) }
	switch ext {
	case ".csv":
		t, ok := a.Result.(view.Tabler)
		if !ok {
			return cli.Usagef("--output=%s: %s is no table: expected a name that ends in .json", f.Output, a.View)
		}
		write = func(w io.Writer) error { return view.WriteCSV(w, t) }
	case ".svg", ".png":
		d, ok := a.Result.(view.Drawer)
		if !ok {
			return cli.Usagef("--output=%s: there is no picture of %s: expected a name that ends in .csv or .json", f.Output, a.View)
		}
		write = func(w io.Writer) error { return d.Draw(w, plot.Format(ext[1:])) }
	}
	if err := atomicfile.Write(f.Output, write); err != nil {
		return usage(err)
	}
	_, err := fmt.Fprintf(stderr, "wrote %s\n", f.Output)
	return err
}

// colored follows no-color.org.
func (f *outputFlags) colored() bool {
	if f.Color != "auto" {
		return f.Color == "always"
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
}
