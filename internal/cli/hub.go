package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"caldera/gpt/checkpoint"
	"caldera/internal/hub"
	"caldera/internal/printable"
)

// Local returns the path of the model that a user calls name. A path that exists is meant as
// such; what is the name of a model on Hugging Face's hub is fetched into the cache. Any other
// name is returned as it is. What is fetched is told to log.
func Local(ctx context.Context, name string, log io.Writer) (path string, err error) {
	n, isName, err := HubName(name)
	if !isName || err != nil {
		return name, err
	}
	path, err = Fetch(ctx, n, log)
	if err != nil && !n.HasOwner() && ctx.Err() == nil { // perhaps a path with a mistake
		if n.Part != "" {
			_, missing := checkpoint.Open(name) // tells of names that other programs have
			return "", fmt.Errorf("%w; as a model of the hub: %w", missing, err)
		}
		return "", fmt.Errorf("model %s: %w here, and as a model of the hub: %w", name, syscall.ENOENT, err)
	}
	return path, err
}

// HubName reads the name of a model on Hugging Face's hub. isName is false for any other
// text, and for a path that exists.
func HubName(name string) (n hub.Name, isName bool, err error) {
	if _, err := os.Lstat(name); err == nil {
		return n, false, nil
	}
	if n, isName, err = hub.Parse(name); err != nil {
		err = UsageError{err}
	}
	return n, isName, err
}

// Fetch makes sure that a model is in the cache, and returns its path.
func Fetch(ctx context.Context, n hub.Name, log io.Writer) (path string, err error) {
	place, err := hub.FromEnvironment()
	if err != nil {
		return "", err
	}
	bar := &fetching{name: n.String(), log: log}
	defer bar.end()
	m, err := place.Fetch(ctx, n, hub.Options{Progress: bar.step, Log: func(line string) {
		bar.end()
		fmt.Fprintln(log, printable.Text(line))
	}})
	return m.Path, err
}

// fetching tells how much of a model is there: a line when it is known how large it is, and a
// bar where standard error is a terminal.
type fetching struct {
	name  string
	log   io.Writer
	total int64
	file  string
	bar   *progressbar.ProgressBar
}

func (f *fetching) step(file string, done, total int64) {
	if total != f.total {
		f.end()
		f.total = total
		fmt.Fprintf(f.log, "fetching %s: %s\n", f.name, humanize.Bytes(uint64(total)))
	}
	if file != f.file {
		f.end()
		f.file = file
	}
	if f.log != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	if f.bar == nil {
		f.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionFullWidth(), progressbar.OptionShowBytes(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100e6), progressbar.OptionSetDescription(path.Base(file)))
	}
	f.bar.Set64(done)
}

// end takes the bar away.
func (f *fetching) end() {
	if f.bar != nil {
		f.bar.Clear()
		f.bar = nil
	}
}
