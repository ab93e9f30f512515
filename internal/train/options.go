// Package train is a training run from its data to its checkpoints: all of
// command train that is not flags and output.
//
//	options.go     what a run is told, and how the learning rate moves
//	tokens.go      token ids as they lie in memory or in a mapped file
//	bin.go         files of ids, as nanoGPT and llm.c write them; binformat.go what is none
//	find.go        which files are texts, check.go whether they are, spool.go what comes through pipes
//	text.go        texts, encoded
//	data.go        what is learned from, and what is held out
//	batch.go       which windows of the ids a step reads
//	run.go         the loop: steps, evaluations, checkpoints
//	log.go         log.jsonl, plot.go its picture
//	checkpoint.go  directories that are replaced whole, state.go what a run needs to go on
//	replace.go     a run that takes the place of another
//	snapshot.go    weights that are kept on the way; package folder reads what a run wrote
//	learner.go     the model that learns, memory.go what to do where it does not fit
package train

import (
	"cmp"
	"math"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/internal/setting"
)

// Options say how a run trains. Names and meaning are nanoGPT's (its train.py)
// where it has them; train.json keeps them under these names.
type Options struct {
	BatchSize    int `json:"batch_size"`                  // sequences that are computed at once
	BlockSize    int `json:"block_size"`                  // tokens of each
	Accumulation int `json:"gradient_accumulation_steps"` // batches of a step

	MaxIters     int      `json:"max_iters"` // steps
	LearningRate float64  `json:"learning_rate"`
	DecayLR      bool     `json:"decay_lr"`
	MinLR        *float64 `json:"min_lr"`         // nil: a tenth of LearningRate
	WarmupIters  *int     `json:"warmup_iters"`   // nil: 100, at most a tenth of the steps
	LRDecayIters *int     `json:"lr_decay_iters"` // nil: MaxIters

	WeightDecay float64 `json:"weight_decay"`
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	GradClip    float64 `json:"grad_clip"` // 0: none
	Dropout     float64 `json:"dropout"`
	Seed        uint64  `json:"seed"`
	Recompute   bool    `json:"recompute"`
	DType       string  `json:"dtype"` // that matrix products read: f32, or f16 for mixed precision; "": f32

	EvalInterval int  `json:"eval_interval"`
	EvalIters    *int `json:"eval_iters"` // random batches; nil: the whole split, unless it is large
	LogInterval  int  `json:"log_interval"`
	AlwaysSave   bool `json:"always_save_checkpoint"` // also where the validation loss has not fallen
	Snapshots    int  `json:"snapshots,omitempty"`    // of the weights, on the way from step 0 to MaxIters

	LoRARank    int      `json:"lora_rank,omitempty"`    // of an adapter that learns in place of the weights; 0: the weights learn
	LoRAAlpha   *float64 `json:"lora_alpha,omitempty"`   // what the adapter adds is multiplied by it and divided by the rank; nil: twice the rank
	LoRADropout float64  `json:"lora_dropout,omitempty"` // of what the adapter reads
	LoRATargets []string `json:"lora_targets,omitempty"` // names of matrices, or how they end; empty: all of the blocks

	Prompt         *string `json:"prompt"`          // of samples; nil: a line break
	SampleInterval *int    `json:"sample_interval"` // nil: EvalInterval; 0: never
	SampleTokens   int     `json:"sample_tokens"`
}

// Validate reports the first option that no run can have.
func (o Options) Validate() error {
	for _, x := range []struct {
		name               string
		value, least, most int
	}{
		{"batch_size", o.BatchSize, 1, 1 << 20},
		{"block_size", o.BlockSize, 1, 1 << 20},
		{"gradient_accumulation_steps", o.Accumulation, 1, 1 << 20},
		{"max_iters", o.MaxIters, 1, math.MaxInt32},
		{"warmup_iters", o.Warmup(), 0, math.MaxInt32},
		{"lr_decay_iters", o.DecayEnd(), 1, math.MaxInt32},
		{"eval_interval", o.EvalInterval, 1, math.MaxInt32},
		{"eval_iters", deref(o.EvalIters, 1), 1, 1 << 20},
		{"log_interval", o.LogInterval, 1, math.MaxInt32},
		{"snapshots", o.Snapshots, 0, maxSnapshots},
		{"lora_rank", o.LoRARank, 0, 1 << 16},
		{"sample_interval", o.SampleEvery(), 0, math.MaxInt32},
		{"sample_tokens", o.SampleTokens, 1, 1 << 20},
	} {
		if x.value < x.least || x.value > x.most {
			return setting.Errorf("{"+x.name+"=%d}: expected %d to %d", x.value, x.least, x.most)
		}
	}
	for _, x := range []struct {
		name        string
		value       float64
		least, most float64
		open        bool // most itself is too much
	}{
		{"learning_rate", o.LearningRate, 0, math.MaxFloat32, false},
		{"min_lr", o.LeastRate(), 0, math.MaxFloat32, false},
		{"weight_decay", o.WeightDecay, 0, math.MaxFloat32, false},
		{"beta1", o.Beta1, 0, 1, true},
		{"beta2", o.Beta2, 0, 1, true},
		{"grad_clip", o.GradClip, 0, math.MaxFloat32, false},
		{"dropout", o.Dropout, 0, 1, true},
		{"lora_dropout", o.LoRADropout, 0, 1, true},
		{"lora_alpha", deref(o.LoRAAlpha, 1), 0, math.MaxFloat32, false},
	} {
		if !(x.value >= x.least && x.value <= x.most) || x.open && x.value == x.most {
			below := ""
			if x.open {
				below = " below"
			}
			return setting.Errorf("{"+x.name+"=%v}: expected %v to%s %v", x.value, x.least, below, x.most)
		}
	}
	if _, err := o.dtype(); err != nil {
		return err
	}
	if o.LoRARank == 0 && (o.LoRAAlpha != nil || o.LoRADropout != 0 || len(o.LoRATargets) > 0) {
		return setting.Errorf("{lora_alpha}, {lora_dropout} and {lora_targets} are of an adapter: expected {lora_rank} as well")
	}
	if o.DecayLR && o.Warmup() >= o.DecayEnd() {
		return setting.Errorf("{warmup_iters=%d}: expected less than lr_decay_iters, %d", o.Warmup(), o.DecayEnd())
	}
	return nil
}

// Warmup is the number of steps in which the learning rate rises.
func (o Options) Warmup() int { return deref(o.WarmupIters, min(100, o.MaxIters/10)) }

// DecayEnd is the step from which the learning rate is the least.
func (o Options) DecayEnd() int { return deref(o.LRDecayIters, o.MaxIters) }

// LeastRate is the learning rate at the end.
func (o Options) LeastRate() float64 { return deref(o.MinLR, o.LearningRate/10) }

// SampleEvery is the number of steps from one sample to the next, 0 for none.
func (o Options) SampleEvery() int { return deref(o.SampleInterval, o.EvalInterval) }

// StepTokens is the number of tokens that a step learns from.
func (o Options) StepTokens() int { return o.Accumulation * o.BatchSize * o.BlockSize }

// Rate is the learning rate of the step that follows step others: nanoGPT's
// get_lr, a line up and half a cosine down.
func (o Options) Rate(step int) float64 {
	warmup, end := o.Warmup(), o.DecayEnd()
	switch {
	case !o.DecayLR:
		return o.LearningRate
	case step < warmup:
		return o.LearningRate * float64(step+1) / float64(warmup+1)
	case step > end:
		return o.LeastRate()
	}
	ratio := float64(step-warmup) / float64(end-warmup)
	least := o.LeastRate()
	return least + 0.5*(1+math.Cos(math.Pi*ratio))*(o.LearningRate-least)
}

// Mixed reports whether matrix products read f16.
func (o Options) Mixed() bool {
	d, _ := o.dtype()
	return d == backend.F16
}

// dtype reads DType, also by the names that nanoGPT has for them.
func (o Options) dtype() (backend.DType, error) {
	switch o.DType {
	case "", "f32", "float32":
		return backend.F32, nil
	case "f16", "float16":
		return backend.F16, nil
	}
	return backend.None, setting.Errorf("{dtype=%s}: expected f32, or f16 for mixed precision", o.DType)
}

// LoRA are the settings of the adapter that learns, of the model base.
func (o Options) LoRA(base string) checkpoint.LoRA {
	l := checkpoint.LoRA{Rank: o.LoRARank, Alpha: deref(o.LoRAAlpha, 2*float64(o.LoRARank)), Dropout: o.LoRADropout, Targets: o.LoRATargets, Base: base}
	if len(l.Targets) == 0 {
		l.Targets = []string{checkpoint.AllLinear}
	}
	return l
}

// clip is the largest norm of the gradients.
func (o Options) clip() float32 {
	return float32(cmp.Or(o.GradClip, math.Inf(1)))
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
