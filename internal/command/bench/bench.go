// Package bench is the command that measures how fast GPTs run on this machine's
// devices:
//
//	bench --shape=gpt2 --backend=cpu,vulkan --dtype=f32,f16
//	bench ops --shape=gpt2
//	bench show here.json
//	bench compare here.json there.json
//
// Each command below bench has a file of its name. job.go has what those that
// measure do in common: the loop over devices, models and dtypes. hardware.go and
// models.go have flags that several share, output.go writes results, progress.go
// shows progress on standard error. The measuring itself is in package bench.
package bench

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt/model"
	"caldera/internal/bench"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
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
	Tune       tuneCommand       `cmd:"" help:"Measure which of several ways to compute the products of a model is the fastest on a device, and have it taken from then on."`
	Show       showCommand       `cmd:"" help:"Write results that were saved as JSON as tables, or in another format."`
	Compare    compareCommand    `cmd:"" help:"Lay results of several machines or devices side by side, in a table and a plot."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "bench", Help: "Measure how fast GPTs run on the devices of this machine.", Flags: &commands{}, Child: bench.Child, Foreign: foreign,
		Arguments: "expected flags, or one of the commands run, ops, overhead, startup, perplexity, train, peers, tune, show and compare",
		Vars: cli.Vars(kong.Vars{
			"embedded": models.Name, "prompt": fmt.Sprint(bench.DefaultPrompt), "gen": fmt.Sprint(bench.DefaultGen),
			"formats": strings.Join(result.Formats, ","), "summary": result.Summary, "ops": strings.Join(bench.OpNames(), ", "),
			"peers": strings.Join(peer.Names(), ", "), "trainers": strings.Join(peer.TrainNames(), ", "), "shapes": strings.Join(model.ShapeNames(), ", "),
		}),
	}
}

// foreign are flags of llama-bench and others that have another name here, or none.
var foreign = cli.Foreign(map[string]string{
	"--device":      "-dev",
	"--cache-type":  "-ctk -ctv --cache-type-k --cache-type-v",
	"--model":       "--model-path --model-name-or-path -hf --hf-repo",
	"--repetitions": "--reps --iterations",
	"--parallel":    "-npl -np --n-parallel --sequences",
	"--backend=cpu": "--cpu --no-cuda --use-cpu",
	cli.HubToken:    "-hft --hf-token",
	"name the file behind the model: -m org/name:file": "-hff --hf-file",
	"the whole model is on one device, and how it runs there is chosen by itself: leave it out": "-ngl --n-gpu-layers --gpu-layers -fa --flash-attn -ub --ubatch-size" +
		" --batch-size -sm --split-mode -mg --main-gpu -ts --tensor-split -nkvo --no-kv-offload -mmp --mmap -ot --override-tensor -embd --embeddings -rpc --rpc" +
		" --numa --prio --poll --delay -C --cpu-mask --cpu-strict --no-op-offload -nopo -ncmoe --n-cpu-moe --compile",
	"prompts and generation are measured each by itself, with -p and -n; for generation behind a prompt see -d": "-pg",
	"results go to standard output, and all else to standard error: leave it out":                               "-oe --output-err",
	"progress is shown on a terminal by itself: leave it out":                                                   "--progress",
})
