package gpt

import (
	"fmt"
	"math"
	"strconv"

	"caldera/gpt/checkpoint"
	"caldera/nn"
)

// states are what AdamW keeps of each weight, named as PyTorch names them.
func (tr *Trainer) states() []checkpoint.State {
	return []checkpoint.State{
		{Prefix: "exp_avg.", Of: func(i int) nn.Tensor { return tr.params.List[i].Mean }},
		{Prefix: "exp_avg_sq.", Of: func(i int) nn.Tensor { return tr.params.List[i].Square }},
	}
}

// The names under which numbers are in the metadata: steps, and in mixed
// precision the loss scale and the steps since it changed.
const (
	stateStep       = "step"
	stateScale      = "loss_scale"
	stateScaleSteps = "loss_scale_steps"
)

// SaveState writes what the optimiser remembers, and the number of steps, to a
// safetensors file, which takes its name when it is whole.
func (tr *Trainer) SaveState(path string) error {
	metadata := map[string]string{stateStep: strconv.Itoa(tr.count)}
	if s := tr.scale; s != nil {
		metadata[stateScale], metadata[stateScaleSteps] = strconv.FormatFloat(s.value, 'g', -1, 64), strconv.Itoa(s.steps)
	}
	return checkpoint.SaveState(path, tr.m, tr.states(), metadata)
}

// LoadState reads what SaveState wrote, on this backend or another. A file that
// does not fit the model changes nothing.
func (tr *Trainer) LoadState(path string) error {
	var count int
	var scale *lossScale
	err := checkpoint.LoadState(path, tr.m, tr.states(), func(metadata map[string]string) (err error) {
		text := metadata[stateStep]
		if count, err = strconv.Atoi(text); err != nil || count < 0 {
			return fmt.Errorf("found %q as the number of steps, expected a whole number from 0 on: the file is no state of an optimiser", text)
		}
		scale, err = readLossScale(metadata)
		return err
	})
	if err != nil {
		return err
	}
	tr.count = count
	if tr.scale != nil && scale != nil {
		tr.scale = scale
	}
	return nil
}

// readLossScale is nil where the state is of training in f32.
func readLossScale(metadata map[string]string) (*lossScale, error) {
	value, ok := metadata[stateScale]
	if !ok {
		return nil, nil
	}
	var s lossScale
	var err error
	s.value, err = strconv.ParseFloat(value, 64)
	if half, _ := math.Frexp(s.value); err != nil || half != 0.5 || s.value < 0x1p-60 || s.value > 0x1p60 {
		return nil, fmt.Errorf("found %q as %s, expected a power of two from 2⁻⁶⁰ to 2⁶⁰", value, stateScale)
	}
	steps := metadata[stateScaleSteps]
	if s.steps, err = strconv.Atoi(steps); err != nil || s.steps < 0 || s.steps >= lossScaleGrows {
		return nil, fmt.Errorf("found %q as %s, expected a whole number from 0 to %d", steps, stateScaleSteps, lossScaleGrows-1)
	}
	return &s, nil
}
