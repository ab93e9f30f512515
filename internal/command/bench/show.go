package bench

import (
	"context"
	"fmt"
	"io"
	"strings"

	"caldera/internal/bench/result"
	"caldera/internal/cli"
)

type showCommand struct {
	Files  []string `arg:"" placeholder:"FILE" help:"Results that bench -o json wrote; several with -o summary."`
	Format string   `name:"output-format" short:"o" enum:"${formats},${summary}" default:"md" placeholder:"FORMAT" help:"As of the commands that measure: md, json, csv, bench; or summary: a table of speeds and shares with a row for each model, device and type (${default})."`
	Output string   `placeholder:"FILE" help:"Write to a file in place of standard output. It appears when all is written."`
}

// Run writes results as they would have been written when they were measured.
func (f *showCommand) Run(context.Context) error {
	if len(f.Files) > 1 && f.Format != result.Summary {
		return cli.Usagef("%d files: expected one, or several with -o summary; bench compare lays files side by side", len(f.Files))
	}
	output, err := create("--output", f.Output)
	if err != nil {
		return err
	}
	defer discard(output)
	var records []result.Record
	for _, path := range f.Files {
		more, err := result.ReadFile(path)
		if err != nil {
			return err
		}
		records = append(records, more...)
	}
	err = write(output, func(w io.Writer) error { return result.Write(w, f.Format, records) })
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(f.Files, ", "), err)
	}
	return nil
}
