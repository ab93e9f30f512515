// Command bench measures how fast GPTs run on this machine's devices:
//
//	bench --shape=gpt2 --backend=cpu,vulkan --dtype=f32,f16
//
// main.go has the flags, run.go measures and writes, progress.go tells on
// standard error how far it is, output.go is the file of --output. What is
// measured, and how, is in package bench.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
	"caldera/models"
)

type flags struct {
	Backend     []string `group:"Hardware" placeholder:"NAME" help:"Backends to measure: cpu, vulkan (default: every device that is real hardware; a software driver only if its backend is named and has nothing else)."`
	Device      []string `group:"Hardware" placeholder:"WHICH" help:"Devices to measure: vulkan:1, vulkan:radeon; with one --backend its index, UUID or part of its name."`
	ListDevices bool     `group:"Hardware" help:"List the devices of every backend, and stop."`
	Threads     int      `group:"Hardware" short:"t" placeholder:"N" help:"Threads of the CPU backend (default: one a core)."`

	Model []string `group:"Model" short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout, or GGUF files (default: the embedded model, ${embedded})."`
	Shape []string `group:"Model" placeholder:"NAME" help:"Models of these shapes with random weights: gpt2, gpt2-medium, gpt2-large, gpt2-xl."`
	DType []string `group:"Model" name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as f32 or f16; both for one after the other (auto: as the checkpoint stores them, shapes as f32)."`

	Prompt      []int `group:"Test" short:"p" placeholder:"N" help:"Measure reading prompts of N tokens; 0: none (default: ${prompt}, or what the context holds)."`
	Gen         []int `group:"Test" name:"n-gen" short:"n" placeholder:"N" help:"Measure generating N tokens; 0: none (default: ${gen}, or what the context holds)."`
	Repetitions int   `group:"Test" short:"r" default:"5" placeholder:"N" help:"How often each test is repeated, after a warm-up (${default})."`

	Format string `group:"Output" name:"output-format" short:"o" enum:"md,json" default:"md" placeholder:"FORMAT" help:"md: Markdown tables. json: an array with llama-bench's field names (${default})."`
	Output string `group:"Output" placeholder:"FILE" help:"Write to a file in place of standard output. It appears when all is written."`
}

// job is what the flags ask for.
type job struct {
	devices []backend.Device
	dtypes  []backend.DType
	models  []bench.Model
	tests   [][]bench.Test // of each model
}

// job checks all that can be checked before anything is measured.
func (f *flags) job() (j job, err error) {
	if f.Repetitions < 1 || f.Repetitions > 10000 {
		return j, cli.Usagef("-r %d: expected 1 to 10000 repetitions", f.Repetitions)
	}
	if f.Threads < 0 || f.Threads > 4096 {
		return j, cli.Usagef("--threads=%d: expected 1 to 4096", f.Threads)
	}
	if f.Threads > 0 {
		runtime.GOMAXPROCS(f.Threads)
	}
	for _, name := range f.DType {
		d := backend.None // as stored
		if name != "auto" {
			if d, err = backend.ParseDType(name); err != nil || d == backend.I32 {
				return j, cli.Usagef("--dtype=%s: expected f32, f16 or auto", name)
			}
		}
		j.dtypes = append(j.dtypes, d)
	}
	if j.models, err = f.models(); err != nil {
		return j, err
	}
	for _, m := range j.models {
		tests, err := bench.Tests(m.Config, f.Prompt, f.Gen)
		if err != nil {
			return j, cli.Usagef("model %s: %w", m.Name, err)
		}
		j.tests = append(j.tests, tests)
	}
	var skipped []error
	j.devices, skipped, err = bench.Devices(f.Backend, f.Device)
	for _, why := range skipped {
		fmt.Fprintf(os.Stderr, "bench: not measured: %v\n", why)
	}
	if err != nil {
		return j, cli.UsageError{Err: err}
	}
	return j, nil
}

func (f *flags) models() (list []bench.Model, err error) {
	if len(f.Model)+len(f.Shape) == 0 {
		m, err := bench.Embedded()
		return []bench.Model{m}, err
	}
	for _, dir := range f.Model {
		m, err := bench.Checkpoint(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	for _, name := range f.Shape {
		m, err := bench.Shape(name)
		if err != nil {
			return nil, cli.Usagef("--shape=%s: %w", name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// commit is set by the linker where the go command does not stamp builds:
// go build -ldflags "-X main.commit=…".
var commit string

// revision is the commit that this program was built from, "-dirty" behind it
// where files had been changed; empty if unknown.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	r := settings["vcs.revision"]
	r = r[:min(len(r), 12)]
	if r != "" && settings["vcs.modified"] == "true" {
		r += "-dirty"
	}
	return r
}

func main() {
	f := &flags{}
	os.Exit(cli.Main(f, "Measure how fast GPTs run on the devices of this machine.",
		func(ctx context.Context) error { return run(ctx, f) },
		kong.Vars{"embedded": models.Name, "prompt": fmt.Sprint(bench.DefaultPrompt), "gen": fmt.Sprint(bench.DefaultGen)}))
}
