package bench

import (
	"context"
	"fmt"
	"io"

	"caldera/internal/atomicfile"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/plot"
)

type compareCommand struct {
	Files  []string `arg:"" placeholder:"FILE" help:"Results that bench -o json wrote. One will do if it has several devices."`
	Plot   string   `placeholder:"FILE" help:"Draw the figures and their deviations to a file whose name ends in .svg or .png. It appears when all is written."`
	Agree  bool     `help:"Tell whether two runs on the same device agree, given how their repetitions scatter (Welch's t test); exit code 1 where they do not."`
	Output string   `placeholder:"FILE" help:"Write the table to a file in place of standard output."`
}

// Run reads the files and writes table and plot.
func (f *compareCommand) Run(context.Context) error {
	if err := distinct("--output", f.Output, "--plot", f.Plot); err != nil {
		return err
	}
	if f.Agree && (len(f.Files) != 2 || f.Plot != "") {
		return cli.Usagef("--agree: expected two files and no --plot, found %d", len(f.Files))
	}
	format, err := plot.FormatOf(f.Plot)
	if err != nil {
		return cli.Usagef("--plot=%w", err)
	}
	picture, err := create("--plot", f.Plot)
	if err != nil {
		return err
	}
	defer discard(picture)
	output, err := create("--output", f.Output)
	if err != nil {
		return err
	}
	defer discard(output)
	var files []result.File
	for _, path := range f.Files {
		records, err := result.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, result.File{Path: path, Records: records})
	}
	if f.Agree {
		return f.agree(files, output)
	}
	c, err := result.Compare(files)
	if err != nil {
		return err
	}
	if picture != nil {
		if err := write(picture, func(w io.Writer) error { return c.WritePlot(w, format) }); err != nil {
			return err
		}
	}
	return write(output, c.Write)
}

// agree writes whether two runs agree, and fails where they do not.
func (f *compareCommand) agree(files []result.File, output *atomicfile.File) error {
	a, err := result.Agree(files[0], files[1])
	if err != nil {
		return err
	}
	if err := write(output, a.Write); err != nil {
		return err
	}
	if a.Differ > 0 {
		return fmt.Errorf("%s and %s differ in %d of the figures by more than chance explains", f.Files[0], f.Files[1], a.Differ)
	}
	return nil
}
