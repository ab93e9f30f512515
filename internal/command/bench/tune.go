package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/printable"
	"caldera/internal/table"
)

type tuneCommand struct {
	hardwareFlags `group:"Hardware"`

	modelFlags  `group:"Test"`
	Prompt      int `group:"Test" short:"p" aliases:"n-prompt" default:"512" placeholder:"N" help:"Tune the reading of N tokens at once too; 0 for none (${default})."`
	Batch       int `group:"Test" short:"b" default:"0" placeholder:"N" help:"Tune a token of each of N sequences at once too; 0 for none (${default})."`
	repetitions `group:"Test"`

	Show  bool `group:"Output" xor:"what" help:"Show what was measured before, and stop."`
	Reset bool `group:"Output" xor:"what" help:"Remove what was measured before, and stop."`
}

// Run tunes one device after the other.
func (f *tuneCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	if f.Prompt < 0 || f.Prompt > 1<<20 {
		return cli.Usagef("-p %d: expected 0 to %d tokens", f.Prompt, 1<<20)
	}
	if f.Batch < 0 || f.Batch == 1 || f.Batch > 512 {
		return cli.Usagef("-b %d: expected 0, or 2 to 512 sequences", f.Batch)
	}
	var models []bench.Model
	dtypes, err := f.dtypes()
	if err != nil {
		return err
	}
	if !f.Show && !f.Reset {
		if models, err = f.models(ctx); err != nil {
			return err
		}
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	var failed error
	some := false
	for _, d := range devices {
		measured, err := f.on(ctx, d, models, dtypes)
		some, failed = some || measured, errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil && !some {
		return errors.New("nothing was tuned: no device has several ways to compute an op")
	}
	return failed
}

// on tunes one device, or shows or removes what was measured on it. some tells that there was
// something to do.
func (f *tuneCommand) on(ctx context.Context, d backend.Device, models []bench.Model, dtypes []backend.DType) (some bool, err error) {
	device, err := bench.Open(d)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	switch {
	case f.Reset:
		return true, device.ForgetTuned()
	case f.Show:
		list, path, err := device.Tuned()
		if err == nil {
			err = writeTuned(os.Stdout, d, path, list)
		}
		return true, err
	}
	describe(device)
	for _, m := range models {
		for _, dtype := range dtypes {
			bar := newProgress(strings.Join(strings.Fields(d.Spec()+" tune "+m.Name), " "), dtype)
			o := bench.TuneOptions{Prompt: f.Prompt, Sequences: f.Batch}
			if m.Config.Context > 0 {
				o.Prompt = min(o.Prompt, m.Config.Context-2)
			}
			o.Repetitions, o.DType, o.Progress = f.Repetitions, dtype, bar.step
			list, path, e := device.Tune(ctx, m, o)
			bar.end()
			if len(list) > 0 {
				some = true
				err = errors.Join(err, writeTuned(os.Stdout, d, path, list))
			}
			if errors.Is(e, result.ErrUnsupported) {
				notMeasured(cli.WithFlags(e, "-b %d"))
				continue
			}
			err = errors.Join(err, cli.WithFlags(e, "-b %d"))
			if ctx.Err() != nil || errors.Is(e, backend.ErrDeviceLost) || errors.Is(e, bench.ErrNoPlace) {
				return some, err
			}
		}
	}
	return some, err
}

// writeTuned writes measurements as a table, with the file that has them below; none: path is empty.
func writeTuned(w io.Writer, d backend.Device, path string, list []backend.Tuned) error {
	at := printable.Text(path)
	if path == "" {
		at = "not stored"
	}
	if len(list) == 0 {
		if path == "" {
			at = "there is no place for it"
		}
		_, err := fmt.Fprintf(w, "%s: nothing was tuned (%s)\n", d.Spec(), at)
		return err
	}
	rows := [][]string{{"op", "by the rule", "µs", "fastest", "µs", "×"}}
	for _, c := range list {
		rows = append(rows, []string{
			printable.Text(c.Of), printable.Text(c.Rule), fmt.Sprintf("%.1f", 1e6*c.RuleSeconds), printable.Text(c.Way), fmt.Sprintf("%.1f", 1e6*c.Seconds),
			fmt.Sprintf("%.2f", c.RuleSeconds/c.Seconds),
		})
	}
	_, err := fmt.Fprintf(w, "%s\n%s: %s\n", table.Markdown(rows, []bool{false, false, true, false, true, true}), d.Spec(), at)
	return err
}
