package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"caldera/internal/bench"
	"caldera/internal/cli"
)

// outputFlags say what becomes of results.
type outputFlags struct {
	Format string `name:"output-format" short:"o" enum:"${formats}" default:"md" placeholder:"FORMAT" help:"md: Markdown tables. json: an array with llama-bench's field names, which bench compare reads. csv: the same without lists. bench: Go benchmark lines for benchstat (${default})."`
	Output string `placeholder:"FILE" help:"Write to a file in place of standard output. It appears when all is written."`
}

// report measures and writes the results. What was measured before an error or
// Ctrl-C is written all the same.
func (f *outputFlags) report(measure func() ([]bench.Record, error)) (err error) {
	host := bench.NewHost(revision())
	out := io.Writer(os.Stdout)
	if f.Output != "" {
		// Made now, so that a wrong path is told before the work is done.
		file, err := create(f.Output)
		if err != nil {
			return cli.Usagef("--output: %w", err)
		}
		defer file.discard()
		out = file
	}
	records, err := measure()
	if err == nil && len(records) == 0 {
		err = errors.New("nothing was measured: no device can do what was asked for")
	}
	if err != nil && len(records) == 0 {
		return err
	}
	host.Mark(records)
	wrote := bench.Write(out, f.Format, host, records)
	if file, ok := out.(*file); ok && wrote == nil {
		wrote = file.commit()
	}
	return errors.Join(err, wrote)
}

// file is one that takes its name only when it is whole: until commit there
// is the old one, or none.
type file struct {
	*os.File
	path string
}

func create(path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", path)
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%016x.tmp", path, rand.Uint64()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &file{f, path}, nil
}

// commit gives the file its name.
func (f *file) commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), f.path)
}

// discard removes the file, unless it has been committed.
func (f *file) discard() {
	f.Close()
	os.Remove(f.Name())
}
