package main

import (
	"context"
	"io"
	"os"

	"caldera/internal/bench"
	"caldera/internal/cli"
)

type compareCommand struct {
	Files  []string `arg:"" placeholder:"FILE" help:"Results that bench -o json wrote. One will do if it has several devices."`
	Plot   string   `placeholder:"FILE" help:"Draw the figures and their deviations to a file, as SVG. It appears when all is written."`
	Output string   `placeholder:"FILE" help:"Write the table to a file in place of standard output."`
}

// Run reads the files and writes table and plot.
func (f *compareCommand) Run(context.Context) error {
	var files []bench.File
	for _, path := range f.Files {
		records, err := bench.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, bench.File{Path: path, Records: records})
	}
	c, err := bench.Compare(files)
	if err != nil {
		return err
	}
	if f.Plot != "" {
		if err := save("--plot", f.Plot, c.WriteSVG); err != nil {
			return err
		}
	}
	if f.Output != "" {
		return save("--output", f.Output, c.Write)
	}
	return c.Write(os.Stdout)
}

// save writes a file that a flag names.
func save(flag, path string, write func(io.Writer) error) error {
	file, err := create(path)
	if err != nil {
		return cli.Usagef("%s: %w", flag, err)
	}
	defer file.discard()
	if err := write(file); err != nil {
		return err
	}
	return file.commit()
}
