package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
	"caldera/internal/plot"
	"caldera/internal/train"
)

type runCommand struct {
	cli.Hardware `group:"Hardware"`
	cli.ListJSON `group:"Hardware"`
	sourceFlags  `group:"Data"`
	modelFlags   `group:"Model"`
	trainFlags   `group:"Training"`
	outputFlags  `group:"Output"`
}

type modelFlags struct {
	Init   string   `aliases:"init-from" default:"scratch" placeholder:"FROM" help:"Begin with random weights (scratch), go on with the newest checkpoint of --out_dir (resume), or fine-tune a checkpoint: a directory, a GGUF file, or a model of Hugging Face's hub (${default})."`
	LoRA   []string `name:"lora" sep:"none" placeholder:"PATH" help:"Go on with a LoRA adapter beside the weights of --init, which stay as they are: a directory as PEFT has it, the folder of a training run, or a GGUF file. Its rank, alpha and matrices stay as they are."`
	Family *string  `enum:"${families}" placeholder:"NAME" help:"Family of a new model: ${families} (gpt2)."`
	NLayer *int     `name:"n-layer" placeholder:"N" help:"Blocks of a new model (4)."`
	NHead  *int     `name:"n-head" placeholder:"N" help:"Attention heads of a block (4)."`
	NKV    *int     `name:"n-kv-head" placeholder:"N" help:"Heads of keys and values, of which each serves several attention heads, in a family that has such (as many as attention heads)."`
	NEmbd  *int     `name:"n-embd" placeholder:"N" help:"Width: numbers that stand for a token (128)."`
}

type outputFlags struct {
	OutDir   string `short:"o" default:"out" placeholder:"DIR" help:"Write checkpoints, log.jsonl and loss.svg to a directory (${default})."`
	Plot     string `placeholder:"FILE" help:"Draw the losses to a file whose name ends in .svg or .png (default: loss.svg in --out_dir)."`
	EvalOnly bool   `help:"Print the validation loss of what --init names, and stop."`
	Force    bool   `help:"Begin anew in a directory that has a run, which is deleted when the new one has saved its first checkpoint; also replace the file of --plot."`
}

// How a run begins, beside a checkpoint's path.
const (
	scratch = "scratch"
	resume  = "resume"
)

// job is a run on its way: what flags and a checkpoint came to.
type job struct {
	*runCommand
	dir      train.Dir
	replaces bool   // a run, or a plot, that is there
	plot     string // absolute path of the picture; empty: loss.svg in dir
	options  train.Options
	state    train.State            // of the run that goes on; Step 0 for a new one
	from     string                 // directory of the checkpoint that it goes on with
	init     *checkpoint.Checkpoint // whose weights it begins with; nil for random ones
	adapter  *checkpoint.Adapter    // that learns beside these; nil where they learn
	lora     checkpoint.LoRA        // its settings

	data      *train.Data
	record    train.DataRecord
	tokenizer *tokenizer.Tokenizer // nil where there are ids only
	extras    checkpoint.Extras    // of init, where the model itself is saved
	progress  *progress
}

// Run trains a model.
func (f *runCommand) Run(ctx context.Context) (failed error) {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if len(f.Data) == 0 && f.Init != resume {
		return cli.Usagef("there is no data: expected --data with texts or token ids to learn from, or a command, such as %[1]s tokenizer; see %[1]s --help", cli.Self())
	}
	if _, err := plot.FormatOf(f.Plot); err != nil {
		return cli.Usagef("--plot=%w", err)
	}
	j := &job{runCommand: f, dir: train.Dir(f.OutDir), progress: newProgress()}
	defer func() { failed = errors.Join(failed, j.close()) }()
	if !f.EvalOnly {
		lock, undo, err := j.openDir()
		if err != nil {
			return err
		}
		defer func() {
			lock.Close()
			if failed != nil {
				undo()
			}
		}()
	}
	if err := j.begin(ctx); err != nil {
		return err
	}
	b, _, err := f.Hardware.Open(os.Stderr)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, b.Close()) }()
	if err := j.open(ctx); err != nil {
		return err
	}
	m, err := j.load(ctx, b)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, m.Close()) }()
	g, err := train.NewGPT(m, j.tokenizer, j.options)
	if err != nil {
		return err
	}
	defer g.Close()
	g.Extras, g.LoRA = j.extras, j.lora
	return j.run(ctx, g)
}

// openDir makes the output directory, locks it, and reports what must not be
// replaced. undo takes the directory away again if it was made here and is empty.
func (j *job) openDir() (lock *os.File, undo func(), err error) {
	if j.OutDir == "" {
		return nil, nil, cli.Usagef("--out_dir is empty: expected the name of a directory to write")
	}
	undo = func() {}
	there, err := cli.OutputDir(j.OutDir)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Lstat(j.dir.Path("adapter_config.json")); err == nil && j.Init != resume {
		return nil, nil, fmt.Errorf("%s is an adapter, which a run would be mixed with: choose another --out_dir", j.OutDir)
	}
	if !there && j.Init != resume {
		if err := os.MkdirAll(j.OutDir, 0o777); err != nil {
			return nil, nil, err
		}
		undo = func() { os.Remove(j.OutDir) } // which removes it only if it is empty
	}
	if lock, err = j.dir.Lock(); err != nil {
		return nil, nil, err
	}
	if j.Init != resume {
		err = j.checkFree()
	}
	if err == nil {
		err = j.dir.Sweep()
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return lock, undo, nil
}

// checkFree reports what a new run would write over, unless that is wanted.
func (j *job) checkFree() error {
	there, checkpoint, err := j.dir.Occupied()
	switch {
	case err != nil || there == "":
		return err
	case j.Force:
		j.replaces = true
		return nil
	case checkpoint:
		return fmt.Errorf("%s is there already: continue it with --init=resume, choose another --out_dir, or replace it with --force", there)
	}
	return fmt.Errorf("%s is there already, without a checkpoint that it belongs to: move it away, choose another --out_dir, or replace it with --force", there)
}

// begin opens what the run begins with, and settles the options.
func (j *job) begin(ctx context.Context) (err error) {
	switch j.Init {
	case "":
		return cli.Usagef("--init is empty: expected scratch, resume, or a checkpoint")
	case scratch:
		j.options = scratchOptions
	case resume:
		if j.from, j.state, err = j.dir.OpenState(); err != nil {
			return err
		}
		if j.from == "" {
			return fmt.Errorf("%s has no checkpoint to resume from: begin with --init=scratch, or name another --out_dir", j.OutDir)
		}
		j.options = j.state.Options
		if j.init, err = checkpoint.Open(j.initPath()); err == nil {
			err = j.checkBase()
		}
	default:
		if j.options = tuneOptions; deref(j.LoRARank, 0) > 0 || len(j.LoRA) > 0 {
			j.options = adapterOptions
		}
		j.init, err = cli.ModelFlags{Model: j.Init}.Open(ctx, os.Stderr)
	}
	if err == nil {
		err = j.beginAdapter()
	}
	if err != nil {
		return err
	}
	if j.init != nil && j.Init != resume {
		j.options.BlockSize = min(j.options.BlockSize, j.init.Config.Context)
	}
	if err := j.trainFlags.apply(&j.options); err != nil {
		return err
	}
	if err := j.options.Validate(); err != nil {
		return cli.UsageError{Err: err}
	}
	if err := j.checkPlot(); err != nil {
		return err
	}
	if err := j.openAdapter(); err != nil {
		return err
	}
	if j.init == nil {
		return nil
	}
	if err := j.checkFixed(j.init.Config); err != nil {
		return err
	}
	return j.readExtras()
}

// readExtras reads what is saved with the model, and tells what of it is lost: at the first save a run has learned
// something that an error would lose.
func (j *job) readExtras() (err error) {
	if j.EvalOnly || j.adapter != nil {
		return nil // no model is saved
	}
	j.extras, err = j.init.Extras(func(what string) { fmt.Fprintf(os.Stderr, "%s: warning: %s\n", cli.Self(), what) })
	if err != nil {
		err = fmt.Errorf("%s: a chat template cannot be read, and would be lost: %w: mend that file, or take it out", j.init.Path, err)
	}
	return err
}

// checkPlot reports a picture that the run did not draw, unless it is to be
// replaced.
func (j *job) checkPlot() (err error) {
	if j.EvalOnly || j.Plot == "" {
		return nil // loss.svg is looked at by checkFree
	}
	if j.plot, err = filepath.Abs(j.Plot); err != nil {
		return err
	}
	info, err := os.Stat(j.plot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is there and is no regular file: expected the name of a picture for --plot", j.Plot)
	case j.dir.Drew(j.state, j.plot):
		return nil
	case !j.Force:
		return fmt.Errorf("%s is there already, and this run did not draw it: move it away, choose another --plot, or replace it with --force", j.Plot)
	}
	j.replaces = j.replaces || j.Init != resume
	return nil
}

// checkFixed reports flags that ask for another model than there is, or that a
// run cannot change on its way.
func (j *job) checkFixed(c model.Config) error {
	for _, x := range []struct {
		name  string
		asked *int
		is    int
	}{
		{"n_layer", j.NLayer, c.Layers}, {"n_head", j.NHead, c.Heads}, {"n_kv_head", j.NKV, c.KVHeads}, {"n_embd", j.NEmbd, c.Width}, {"vocab_size", j.VocabSize, c.Vocab},
	} {
		if x.asked != nil && *x.asked != x.is {
			return cli.Usagef("--%s=%d: the checkpoint has %d, which cannot change: leave the flag out, or begin with --init=scratch", x.name, *x.asked, x.is)
		}
	}
	if j.Family != nil && *j.Family != c.Family {
		return cli.Usagef("--family=%s: the checkpoint is of %s, which cannot change: leave the flag out, or begin with --init=scratch", *j.Family, c.Family)
	}
	if j.Char {
		return cli.Usagef("--char is for --init=scratch: the tokenizer is the checkpoint's")
	}
	if n := j.options.BlockSize; n > c.Context {
		return cli.Usagef("--block_size=%d: the checkpoint has a context of %d: expected at most as much", n, c.Context)
	}
	if j.Init != resume {
		return nil
	}
	s := j.state
	if n := s.Options.BlockSize; j.options.BlockSize != n {
		return cli.Usagef("--block_size=%d: the run began with %d, which cannot change on resume", j.options.BlockSize, n)
	}
	if o := s.Options; j.options.LoRARank != o.LoRARank || deref(j.options.LoRAAlpha, -1) != deref(o.LoRAAlpha, -1) || !slices.Equal(j.options.LoRATargets, o.LoRATargets) {
		return cli.Usagef("--lora_rank, --lora_alpha and --lora_targets cannot change on resume: leave them out")
	}
	if n := s.Options.Seed; j.options.Seed != n {
		return cli.Usagef("--seed=%d: the run began with %d, which cannot change on resume", j.options.Seed, n)
	}
	if v := j.ValFraction; v != nil && *v != s.Data.ValFraction {
		return cli.Usagef("--val_fraction=%v: the run began with %v, which cannot change on resume: it would learn what was held out", *v, s.Data.ValFraction)
	}
	if !j.EvalOnly && j.options.MaxIters <= s.Step {
		return cli.Usagef("--max_iters=%d: the newest checkpoint, %s, has done %d steps: expected more to resume", j.options.MaxIters, j.from, s.Step)
	}
	return nil
}

// load puts the weights into the memory of b.
func (j *job) load(ctx context.Context, b backend.Backend) (m *model.Model, err error) {
	o := gpt.LoadOptions{Train: true}
	if j.init != nil {
		c := j.init
		j.init = nil // which Load takes over
		if j.adapter != nil {
			o.Adapters = []*checkpoint.Adapter{j.adapter}
			if j.options.Mixed() {
				o.DType = backend.F16 // which products read
			}
		}
		m, err = gpt.LoadCheckpoint(ctx, b, c, o)
	} else {
		s := train.Shape{Family: "gpt2", Layers: 4, Heads: 4, Width: 128}
		set(&s.Family, j.Family)
		set(&s.Layers, j.NLayer)
		set(&s.Heads, j.NHead)
		s.KVHeads = s.Heads
		set(&s.KVHeads, j.NKV)
		if s.KVHeads == 0 {
			return nil, cli.Usagef("--n_kv_head=0: expected 1 to %d", s.Heads)
		}
		set(&s.Width, j.NEmbd)
		c, bad := s.Config(j.options.BlockSize, j.vocab(), j.tokenizer)
		if bad != nil {
			return nil, cli.Usagef("a new model with --family=%s, --n_layer=%d, --n_head=%d, --n_kv_head=%d, --n_embd=%d: %w", s.Family, s.Layers, s.Heads, s.KVHeads, s.Width, bad)
		}
		m, err = gpt.Random(ctx, b, c, o, j.options.Seed)
	}
	return m, err
}

// run trains, or measures.
func (j *job) run(ctx context.Context, g *train.GPT) (failed error) {
	out := newReport(j, g)
	r := &train.Run{Options: j.options, Data: j.data, Learner: g, Dir: j.dir, State: j.state, Plot: j.plot, Reporter: out, Replaces: j.replaces}
	r.State.Plot = j.plot
	r.State.Data = j.record
	what, err := r.Prepare()
	if err != nil {
		return cli.UsageError{Err: err}
	}
	if err := out.prepare(); err != nil {
		return err
	}
	defer out.close()
	out.begin(what)
	if j.EvalOnly {
		loss, err := r.Evaluate(ctx)
		out.progress.end()
		if err == nil {
			fmt.Printf("%.4f\n", loss)
		}
		return err
	}
	if j.Init == resume {
		if err := g.Resume(j.from, j.state); err != nil {
			return err
		}
		r.Log, err = train.OpenLog(j.OutDir, j.state.Step)
	} else {
		r.Log, err = train.NewLog(j.OutDir, j.plot, j.replaces)
	}
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, r.Log.Close()) }()
	err = r.Train(ctx)
	out.end(r, err)
	return err
}

func (j *job) close() (err error) {
	j.progress.end()
	if j.init != nil {
		err = j.init.Close()
	}
	if j.adapter != nil {
		err = errors.Join(err, j.adapter.Close())
	}
	if j.data != nil {
		err = errors.Join(err, j.data.Close())
	}
	return err
}
