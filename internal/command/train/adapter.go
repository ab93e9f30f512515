package train

// An adapter (LoRA) that learns in place of the weights of --init.

import (
	"fmt"
	"path/filepath"

	"caldera/gpt/checkpoint"
	"caldera/internal/cli"
	"caldera/internal/train"
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
	base := j.state.Base
	if base == nil {
		return nil
	}
	sum, err := j.init.Fingerprint()
	if err == nil && sum != base.Fingerprint {
		err = fmt.Errorf("%s is not the model that the run began with (SHA-256 %.12s…, expected %.12s…): its adapter is of no use beside another", base.Path, sum, base.Fingerprint)
	}
	return err
}

// openAdapter makes the adapter of a new run, or opens that of one that goes on.
func (j *job) openAdapter() (err error) {
	if j.options.LoRARank == 0 {
		return nil
	}
	if j.init == nil {
		return cli.Usagef("--lora_rank=%d: an adapter is trained beside a model: expected --init with a checkpoint", j.options.LoRARank)
	}
	if j.Init == resume {
		if j.adapter, err = checkpoint.OpenAdapter(j.from); err == nil {
			j.lora = j.options.LoRA(j.state.Base.Name)
			j.adapter.Dropout = j.lora.Dropout
		}
		return err
	}
	base := train.Base{Path: j.init.Path}
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
	j.lora = j.options.LoRA(base.Name)
	if j.adapter, err = checkpoint.NewAdapter(j.init.Config, j.lora, j.options.Seed); err != nil {
		return cli.Usagef("--lora_targets: %w", err)
	}
	return nil
}
