package train

// An adapter (LoRA) that learns in place of the weights of --init.

import (
	"fmt"
	"os"
	"path/filepath"

	"caldera/gpt/checkpoint"
	"caldera/internal/cli"
	"caldera/internal/train/folder"
)

// initPath is that of the model whose weights a run that goes on begins with.
func (j *job) initPath() string {
	if base := j.state.Base; base != nil {
		return base.Path
	}
	return j.from
}

// checkBase reports a base that is not what the adapter of the run was trained beside.
func (j *job) checkBase() error {
	if j.state.Base == nil {
		return nil
	}
	return j.init.Is(j.state.Base.Fingerprint)
}

// beginAdapter opens the adapter that learns from where it is: that of --lora, or of a run that goes on. What it is
// becomes the run's options, but for what flags may change.
func (j *job) beginAdapter() (err error) {
	if len(j.LoRA) == 0 {
		if j.state.Base != nil {
			if j.adapter, err = checkpoint.OpenAdapter(j.from); err == nil {
				j.lora = j.adapter.LoRA
			}
		}
		return err
	}
	path := j.LoRA[0]
	switch {
	case len(j.LoRA) > 1:
		return cli.Usagef("--lora is given %d times: one adapter learns: expected one", len(j.LoRA))
	case path == "":
		return cli.Usagef("--lora is empty: expected the path of an adapter")
	case j.Init == resume:
		return cli.Usagef("--lora=%s: a run that is resumed goes on with its own adapter: leave --lora out, or begin a new run with --init=MODEL", path)
	case j.init == nil:
		return cli.Usagef("--lora=%s: an adapter is trained beside a model: expected --init with the checkpoint that it is an adapter of", path)
	case j.LoRARank != nil || j.LoRAAlpha != nil || len(j.LoRATargets) > 0:
		return cli.Usagef("--lora=%s with --lora_rank, --lora_alpha or --lora_targets: these are the adapter's, and cannot change: leave them out", path)
	}
	if j.adapter, err = checkpoint.OpenAdapter(path); err != nil {
		return err
	}
	cli.Tell(os.Stderr, j.adapter.Notes())
	if j.lora, err = j.adapter.Settings(j.init.Config); err != nil {
		return err
	}
	if j.lora.Alpha < 0 {
		return fmt.Errorf("adapter %s: its alpha is %v, expected 0 or more: an adapter that is subtracted does not learn here", path, j.lora.Alpha)
	}
	o := &j.options
	o.LoRARank, o.LoRAAlpha, o.LoRATargets, o.LoRADropout = j.lora.Rank, &j.lora.Alpha, j.lora.Targets, j.lora.Dropout
	return nil
}

// openAdapter makes the adapter of a new run, unless it begins with one, and notes beside which model it learns.
func (j *job) openAdapter() (err error) {
	if j.options.LoRARank == 0 {
		return nil
	}
	if j.init == nil {
		return cli.Usagef("--lora_rank=%d: an adapter is trained beside a model: expected --init with a checkpoint", j.options.LoRARank)
	}
	if j.adapter != nil {
		j.lora.Dropout = j.options.LoRADropout
		j.adapter.Dropout = j.lora.Dropout
	}
	if j.Init == resume {
		if j.state.Base != nil { // else checkFixed tells
			j.lora.Base = j.state.Base.Name
		}
		return nil
	}
	base := folder.Base{Path: j.init.Path}
	if base.Path, err = filepath.Abs(base.Path); err == nil {
		base.Path, err = filepath.EvalSymlinks(base.Path) // such as best of a run, which may lead elsewhere later
	}
	if err != nil {
		return err
	}
	base.Name = base.Path
	if n, isName, _ := cli.HubName(j.Init); isName {
		base.Name = n.Repo
	}
	if base.Fingerprint, err = j.init.Fingerprint(); err != nil {
		return err
	}
	j.state.Base = &base
	if j.adapter != nil {
		j.lora.Base = base.Name
		return nil
	}
	j.lora = j.options.LoRA(base.Name)
	if j.adapter, err = checkpoint.NewAdapter(j.init.Config, j.lora, j.options.Seed); err != nil {
		return cli.Usagef("--lora_targets: %w", err)
	}
	return nil
}
