package inspect

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/cli/browser"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/inspect"
	"caldera/internal/cli"
	"caldera/internal/serve"
	"caldera/internal/serve/page"
)

// serveCommand serves the page on which all views are.
type serveCommand struct {
	cli.Hardware   `group:"Hardware"`
	cli.ModelFlags `group:"Model"`
	cli.ListJSON

	Listen  string   `default:"127.0.0.1:8413" placeholder:"HOST:PORT" help:"Address to listen on; port 0: any that is free (${default}). There is no password: whoever reaches it can use the model."`
	Runs    []string `name:"run" sep:"none" placeholder:"DIR" help:"Folder of a training run that the page may show; may be given several times."`
	Open    bool     `help:"Open the page in a browser."`
	Queue   int      `default:"1000" placeholder:"N" help:"Requests that may wait for the device; more are sent away (${default})."`
	Streams int      `default:"4" placeholder:"N" help:"Texts and trainings that go on at the same time, each of which takes memory of the device; more wait (${default})."`
}

// Run serves until the process is interrupted.
func (f *serveCommand) Run(ctx context.Context) (err error) {
	if listed, err := f.List(f.ListDevices); listed || err != nil {
		return err
	}
	if f.Queue < 2 || f.Queue > 1<<20 {
		return cli.Usagef("--queue=%d: expected 2 to %d", f.Queue, 1<<20)
	}
	if f.Streams < 1 || f.Streams > 1024 {
		return cli.Usagef("--streams=%d: expected 1 to 1024", f.Streams)
	}
	for _, run := range f.Runs {
		if info, err := os.Stat(run); err != nil {
			return fmt.Errorf("--run: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("--run=%s: found a file, expected the folder of a training run", run)
		}
	}
	listener, host, err := serve.Listen(f.Listen) // before the model is loaded, which takes longer
	if err != nil {
		return usage(err)
	}
	defer listener.Close()
	flags := lookFlags{ModelFlags: f.ModelFlags}
	var sampling checkpoint.Sampling
	flags.Opened = func(c *checkpoint.Checkpoint) error {
		var err error
		if sampling, err = c.Sampling(); err != nil { // the page has settings of its own
			fmt.Fprintf(stderr, "%s serve: warning: %s: %s: tokens are drawn as without it\n", cli.Self(), c.Name, cli.Message(err))
		}
		return nil
	}
	in, done, err := flags.open(ctx, f.Hardware)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	flags.Opened = nil
	others := &others{flags: flags}
	defer func() { err = errors.Join(err, others.close()) }()
	model := serve.NewModel(in, serve.ModelOptions{Vars: Vars(), Runs: f.Runs, Others: otherDevices(in.Model.Backend.Name()), Other: others.open, Sampling: sampling})
	defer model.Close()
	server, err := serve.New(model, serve.Options{
		Host: host, Page: page.Files(), Policy: page.Policy, Log: log.New(stderr, cli.Self()+" serve: ", 0), Queue: f.Queue, Streams: f.Streams,
	})
	if err != nil {
		return err
	}
	url := serve.URL(listener, host)
	if serve.Public(listener) {
		fmt.Fprintf(stderr, "%s serve: warning: other machines can reach %v and use the model: there is no password\n", cli.Self(), listener.Addr())
	}
	fmt.Fprintf(stderr, "%s serve: the page is ready; Ctrl-C ends it\n", cli.Self())
	if _, err := fmt.Fprintln(os.Stdout, url); err != nil {
		return err
	}
	if f.Open {
		browser.Stdout = stderr // where what a browser prints belongs
		if err := browser.OpenURL(url); err != nil {
			fmt.Fprintf(stderr, "%s serve: warning: no browser opens (%v): open %s yourself\n", cli.Self(), err, url)
		}
	}
	return server.Serve(ctx, listener)
}

// otherDevices are the devices of all backends, apart from one.
func otherDevices(but string) (specs []string) {
	for _, name := range backend.Names() {
		devices, _ := backend.Devices(name) // a backend that has none is nothing to compare with
		for _, d := range devices {
			if spec := d.Spec(); spec != but && spec != but+":0" {
				specs = append(specs, spec)
			}
		}
	}
	return specs
}

// others loads the model on another device for comparisons, and keeps it until yet
// another one is asked for.
type others struct {
	flags lookFlags
	which string
	in    *inspect.Inspector
	done  func() error
}

func (o *others) open(ctx context.Context, which string) (*inspect.Inspector, error) {
	if o.which == which {
		return o.in, nil
	}
	if err := o.close(); err != nil {
		return nil, err
	}
	in, done, err := o.flags.open(ctx, cli.Hardware{Backend: "auto", Device: which})
	if err != nil {
		return nil, err
	}
	o.which, o.in, o.done = which, in, done
	return in, nil
}

func (o *others) close() error {
	if o.which == "" {
		return nil
	}
	o.which = ""
	return o.done()
}
