package bench

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"caldera/internal/atomicfile"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/version"
)

// outputFlags say what becomes of results.
type outputFlags struct {
	Format string `name:"output-format" short:"o" enum:"${formats}" default:"md" placeholder:"FORMAT" help:"md: Markdown tables. json: an array with llama-bench's field names, which bench show and compare read. csv: the same without lists. bench: Go benchmark lines for benchstat (${default})."`
	Output string `placeholder:"FILE" help:"Write to a file in place of standard output. It appears when all is written."`
}

// report measures and writes the results. What was measured before an error or
// Ctrl-C is written all the same.
func (f *outputFlags) report(measure func() ([]result.Record, error)) (err error) {
	host := result.NewHost(version.Commit())
	// Made now, so that a wrong path is told before the work is done.
	file, err := create("--output", f.Output)
	if err != nil {
		return err
	}
	defer discard(file)
	records, err := measure()
	if err == nil && len(records) == 0 {
		err = errors.New("nothing was measured: no device can do what was asked for")
	}
	if err == nil && !slices.ContainsFunc(records, func(r result.Record) bool { return result.Failure(r) == nil }) {
		err = errors.New("no peer was measured: the lines above say what each lacks")
	}
	if err != nil && len(records) == 0 {
		return err
	}
	host.Mark(records)
	return errors.Join(err, write(file, func(w io.Writer) error { return result.Write(w, f.Format, records) }))
}

// distinct reports flags that name one file: the last to be written would
// replace the others.
func distinct(flagsAndPaths ...string) error {
	flags := map[string]string{}
	for pair := range slices.Chunk(flagsAndPaths, 2) {
		flag, path := pair[0], filepath.Clean(pair[1])
		if pair[1] == "" {
			continue
		}
		if other, ok := flags[path]; ok {
			return cli.Usagef("%s and %s both name %s: expected a file for each", other, flag, path)
		}
		flags[path] = flag
	}
	return nil
}

// create begins the file that a flag names; nil where it names none.
func create(flag, path string) (*atomicfile.File, error) {
	if path == "" {
		return nil, nil
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, cli.Usagef("%s: %w", flag, err)
	}
	return file, nil
}

func discard(file *atomicfile.File) {
	if file != nil {
		file.Discard()
	}
}

// write writes to a file of create, or to standard output, and ends it.
func write(file *atomicfile.File, content func(io.Writer) error) error {
	if file == nil {
		return cli.WriteTables(os.Stdout, content)
	}
	if err := content(file); err != nil {
		return err
	}
	return file.Commit()
}
