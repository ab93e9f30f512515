// Command bench measures how fast GPTs run on this machine's devices:
//
//	bench --shape=gpt2 --backend=cpu,vulkan --dtype=f32,f16
//	bench ops --shape=gpt2
//	bench show here.json
//	bench compare here.json there.json
//
// Each command below bench has a file of its name: its flags and its wiring.
// hardware.go and models.go are flags that several share, output.go is where
// results go, progress.go tells on standard error how far it is. What is
// measured, and how, is in package bench.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt"
	"caldera/internal/bench"
	"caldera/internal/cli"
	"caldera/models"
)

type commands struct {
	Wide cli.Wide `help:"Write tables whole, however wide. Those of --output always are."`

	Run        runCommand        `cmd:"" default:"withargs" help:"Measure prompt processing and text generation, in tokens a second."`
	Ops        opsCommand        `cmd:"" help:"Measure single ops, in GB/s and GFLOP/s."`
	Overhead   overheadCommand   `cmd:"" help:"Measure what a device costs beside the work: dispatches, barriers, submits, the host's part."`
	Startup    startupCommand    `cmd:"" help:"Measure the time from the start of a process to its first token, with cold and warm caches of compiled pipelines."`
	Perplexity perplexityCommand `cmd:"" help:"Measure how well a model foretells a text, by dtype and device, and how far it is from a saved run."`
	Train      trainCommand      `cmd:"" help:"Measure training, in tokens a second, beside PyTorch by turns."`
	Peers      peersCommand      `cmd:"" help:"Measure beside other programs that run GPTs, by turns: node-llama-cpp, PyTorch."`
	Show       showCommand       `cmd:"" help:"Write results that were saved as JSON as tables, or in another format."`
	Compare    compareCommand    `cmd:"" help:"Lay results of several machines or devices side by side, in a table and a plot."`
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
	if bench.IsStartupChild() {
		os.Exit(bench.StartupChild())
	}
	os.Exit(cli.Commands(&commands{}, "Measure how fast GPTs run on the devices of this machine.", kong.Vars{
		"embedded": models.Name, "prompt": fmt.Sprint(bench.DefaultPrompt), "gen": fmt.Sprint(bench.DefaultGen),
		"formats": strings.Join(bench.Formats, ","), "summary": bench.Summary, "ops": strings.Join(bench.OpNames(), ", "),
		"peers": strings.Join(bench.PeerNames(), ", "), "trainers": strings.Join(bench.TrainPeerNames(), ", "), "shapes": strings.Join(gpt.ShapeNames(), ", "),
	}))
}
