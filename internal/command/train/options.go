package train

import (
	"caldera/internal/cli"
	"caldera/internal/train"
)

// trainFlags are nanoGPT's, by its names. Those that are not given keep what
// the run has: a default, or what it began with.
type trainFlags struct {
	BatchSize    *int     `placeholder:"N" help:"Sequences that are computed at once (12; 4 when fine-tuning)."`
	BlockSize    *int     `aliases:"context-length" placeholder:"N" help:"Tokens of a sequence, and the context of a new model (64; when fine-tuning 256, or the model's context if that is less)."`
	Accumulation *int     `name:"gradient-accumulation-steps" placeholder:"N" help:"Batches that one step learns from (1)."`
	MaxIters     *int     `aliases:"max-steps,steps" placeholder:"N" help:"Steps in all (2000; 500 when fine-tuning)."`
	LearningRate *float64 `aliases:"lr" placeholder:"X" help:"Highest learning rate (1e-3; 1e-4 when fine-tuning)."`
	MinLR        *float64 `name:"min-lr" placeholder:"X" help:"Learning rate at the end (a tenth of the highest)."`
	WarmupIters  *int     `placeholder:"N" help:"Steps in which the learning rate rises (100, at most a tenth of all)."`
	LRDecayIters *int     `name:"lr-decay-iters" placeholder:"N" help:"Step at which the learning rate has fallen to the least (that of --max_iters)."`
	DecayLR      *bool    `name:"decay-lr" negatable:"" help:"Have the learning rate fall on a cosine (yes)."`
	WeightDecay  *float64 `placeholder:"X" help:"How much matrices shrink, times the learning rate (0.1)."`
	Beta1        *float64 `name:"beta1" placeholder:"X" help:"AdamW's share of the old mean of gradients (0.9)."`
	Beta2        *float64 `name:"beta2" placeholder:"X" help:"AdamW's share of the old mean of their squares (0.99)."`
	GradClip     *float64 `placeholder:"X" help:"Largest norm of the gradients; 0: no limit (1)."`
	Dropout      *float64 `placeholder:"X" help:"Share of numbers that a step drops (0)."`
	Recompute    *bool    `negatable:"" help:"Compute activations again where gradients need them: less memory, a third more time (no)."`
	DType        *string  `name:"dtype" placeholder:"TYPE" help:"Matrix products read f32, or f16 (mixed precision: weights stay f32; faster on GPUs that multiply f16 faster) (f32)."`
	Seed         *uint64  `short:"s" placeholder:"N" help:"Seed of new weights, of batches and of dropout (1337)."`

	LoRARank    *int     `name:"lora-rank" placeholder:"N" help:"Train a low-rank adapter (LoRA) of that rank beside the weights of --init, which stay as they are, in whatever type; 0: train the weights (0)."`
	LoRAAlpha   *float64 `name:"lora-alpha" placeholder:"X" help:"What the adapter adds is multiplied by this over its rank (twice the rank)."`
	LoRADropout *float64 `name:"lora-dropout" placeholder:"X" help:"Share of numbers that a step drops of what the adapter reads (0)."`
	LoRATargets []string `name:"lora-targets" placeholder:"NAME,..." help:"Matrices with an adapter, by their names in Hugging Face's layout or how these end, such as q_proj,v_proj (all-linear: all of the blocks)."`

	EvalInterval   *int    `placeholder:"N" help:"Steps from one validation to the next (250; 100 when fine-tuning)."`
	EvalIters      *int    `placeholder:"N" help:"Random batches of a validation (default: all that is held out, once, or 50 batches if that is less)."`
	LogInterval    *int    `placeholder:"N" help:"Steps from one line of the log to the next (10)."`
	AlwaysSave     *bool   `name:"always-save-checkpoint" negatable:"" help:"Save at each validation, not only when the loss has fallen (yes)."`
	Snapshots      *int    `placeholder:"N" help:"Keep N snapshots of the weights in snapshots/ of --out_dir, from step 0 to the last, close together at first; 0: none (0)."`
	SampleInterval *int    `placeholder:"N" help:"Steps from one sample of text to the next; 0: none (that of --eval_interval)."`
	SampleTokens   *int    `placeholder:"N" help:"Tokens of a sample (100)."`
	Prompt         *string `short:"p" placeholder:"TEXT" help:"What a sample begins with (a line break)."`
}

// scratchOptions are nanoGPT's for a small model on a CPU.
var scratchOptions = train.Options{
	BatchSize: 12, BlockSize: 64, Accumulation: 1, MaxIters: 2000, LearningRate: 1e-3, DecayLR: true,
	WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.99, GradClip: 1, Seed: 1337,
	EvalInterval: 250, LogInterval: 10, AlwaysSave: true, SampleTokens: 100, DType: "f32",
}

// tuneOptions are for a model that has learned before: small steps, and few.
var tuneOptions = func() train.Options {
	o := scratchOptions
	o.BatchSize, o.BlockSize, o.MaxIters, o.LearningRate, o.EvalInterval = 4, 256, 500, 1e-4, 100
	return o
}()

// adapterOptions are for an adapter, whose numbers move further.
var adapterOptions = func() train.Options {
	o := tuneOptions
	o.LearningRate = 2e-4
	return o
}()

// apply sets the options that flags give.
func (f *trainFlags) apply(o *train.Options) error {
	set(&o.BatchSize, f.BatchSize)
	set(&o.BlockSize, f.BlockSize)
	set(&o.Accumulation, f.Accumulation)
	set(&o.MaxIters, f.MaxIters)
	set(&o.LearningRate, f.LearningRate)
	set(&o.DecayLR, f.DecayLR)
	set(&o.WeightDecay, f.WeightDecay)
	set(&o.Beta1, f.Beta1)
	set(&o.Beta2, f.Beta2)
	set(&o.GradClip, f.GradClip)
	set(&o.Dropout, f.Dropout)
	set(&o.Recompute, f.Recompute)
	set(&o.DType, f.DType)
	set(&o.Seed, f.Seed)
	set(&o.EvalInterval, f.EvalInterval)
	set(&o.LogInterval, f.LogInterval)
	set(&o.AlwaysSave, f.AlwaysSave)
	set(&o.Snapshots, f.Snapshots)
	set(&o.SampleTokens, f.SampleTokens)
	set(&o.LoRARank, f.LoRARank)
	set(&o.LoRADropout, f.LoRADropout)
	if len(f.LoRATargets) > 0 {
		o.LoRATargets = f.LoRATargets
	}
	keep(&o.LoRAAlpha, f.LoRAAlpha)
	keep(&o.MinLR, f.MinLR)
	keep(&o.WarmupIters, f.WarmupIters)
	keep(&o.LRDecayIters, f.LRDecayIters)
	keep(&o.EvalIters, f.EvalIters)
	keep(&o.SampleInterval, f.SampleInterval)
	keep(&o.Prompt, f.Prompt)
	if f.DType != nil && *f.DType == "" {
		return cli.Usagef("--dtype is empty: expected f32, or f16 for mixed precision")
	}
	if f.Prompt != nil && *f.Prompt == "" {
		return cli.Usagef("--prompt is empty: expected text for samples to begin with, or --sample_interval=0")
	}
	return nil
}

// set takes a flag that is given.
func set[T any](to *T, flag *T) {
	if flag != nil {
		*to = *flag
	}
}

// keep is set for an option that need not be there.
func keep[T any](to **T, flag *T) {
	if flag != nil {
		*to = flag
	}
}
