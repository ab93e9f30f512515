package train

import (
	"errors"
	"fmt"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/setting"
)

// outOfMemory tells what to do about a step that does not fit: it tries what
// costs the least time first, and names the first that fits.
func outOfMemory(m *model.Model, o Options, err error) error {
	known := (*gpt.TrainMemoryError)(nil)
	errors.As(err, &known)
	for _, smaller := range o.smaller() {
		if known != nil && smaller.BatchSize > known.Batch && (!smaller.Recompute || smaller.BatchSize > known.Recompute) {
			continue
		}
		tr, err2 := gpt.NewTrainer(m, smaller.trainer())
		if err2 != nil {
			continue
		}
		tr.Close()
		return setting.Errorf("%w: what fits, and learns the same, is "+smaller.unlike(o), err)
	}
	return setting.Errorf("%w: not even one sequence of %d tokens fits, computed again backward: choose a smaller model, a smaller {block_size}, or another device", err, o.BlockSize)
}

// smaller lists options with steps of as many sequences that take less memory.
func (o Options) smaller() (all []Options) {
	for _, recompute := range []bool{o.Recompute, true} {
		for batch := o.BatchSize; batch > 0; batch-- {
			if o.BatchSize%batch != 0 || batch == o.BatchSize && recompute == o.Recompute {
				continue
			}
			s := o
			s.BatchSize, s.Accumulation, s.Recompute = batch, o.Accumulation*(o.BatchSize/batch), recompute
			all = append(all, s)
		}
		if o.Recompute {
			break
		}
	}
	return all
}

// unlike names the settings that differ from those of other options, as package
// setting has them.
func (o Options) unlike(from Options) string {
	text := ""
	if o.BatchSize != from.BatchSize {
		text = fmt.Sprintf("{batch_size=%d} {gradient_accumulation_steps=%d}", o.BatchSize, o.Accumulation)
	}
	if o.Recompute && !from.Recompute {
		if text != "" {
			text += " "
		}
		text += "{recompute}"
	}
	return text
}
