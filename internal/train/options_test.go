package train

import (
	"math"
	"strings"
	"testing"

	"caldera/backend"
)

func options() Options {
	return Options{
		BatchSize: 2, BlockSize: 4, Accumulation: 1, MaxIters: 10, LearningRate: 1e-3, DecayLR: true, WeightDecay: 0.1,
		Beta1: 0.9, Beta2: 0.95, GradClip: 1, EvalInterval: 5, LogInterval: 1, SampleTokens: 1,
	}
}

func ptr[T any](v T) *T { return &v }

// TestRate holds the learning rate to what nanoGPT's get_lr returned for
// learning_rate 6e-4, min_lr 6e-5, warmup_iters 2000 and lr_decay_iters 600000,
// its settings for GPT-2.
func TestRate(t *testing.T) {
	o := options()
	o.LearningRate, o.MinLR, o.WarmupIters, o.LRDecayIters = 6e-4, ptr(6e-5), ptr(2000), ptr(600000)
	for step, want := range map[int]float64{
		0: 2.998500749625187e-07, 999: 0.0002998500749625187, 1999: 0.0005997001499250374, 2000: 6e-4, 151500: 0.0005209188309203678, 301000: 3.3e-4, 450500: 0.00013908116907963218, 600000: 6e-5, 600001: 6e-5, 1e9: 6e-5,
	} {
		if got := o.Rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v, expected %v", step, got, want)
		}
	}
	o.DecayLR = false
	if got := o.Rate(0) + o.Rate(1e6); got != 1.2e-3 {
		t.Errorf("without decay: %v in two steps", got)
	}
}

// TestRateDefaults has the flags that are left out follow those that are given.
func TestRateDefaults(t *testing.T) {
	o := options()
	o.MaxIters = 50
	if w, e, r := o.Warmup(), o.DecayEnd(), o.LeastRate(); w != 5 || e != 50 || r != 1e-4 {
		t.Errorf("warm-up %d, end %d, least %v", w, e, r)
	}
	o.MaxIters = 1e6
	if w := o.Warmup(); w != 100 {
		t.Errorf("warm-up %d", w)
	}
	if got := o.Rate(1e6); math.Abs(got-1e-4) > 1e-12 {
		t.Errorf("at the end %v", got)
	}
}

func TestValidate(t *testing.T) {
	if err := options().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"batch_size=0: expected 1 to":                   func(o *Options) { o.BatchSize = 0 },
		"block_size=-1":                                 func(o *Options) { o.BlockSize = -1 },
		"gradient_accumulation_steps=0":                 func(o *Options) { o.Accumulation = 0 },
		"max_iters=0":                                   func(o *Options) { o.MaxIters = 0 },
		"warmup_iters=-1":                               func(o *Options) { o.WarmupIters = ptr(-1) },
		"warmup_iters=10: expected less than lr_decay_": func(o *Options) { o.WarmupIters = ptr(10) },
		"lr_decay_iters=0":                              func(o *Options) { o.LRDecayIters = ptr(0) },
		"eval_iters=0":                                  func(o *Options) { o.EvalIters = ptr(0) },
		"eval_interval=0":                               func(o *Options) { o.EvalInterval = 0 },
		"log_interval=0":                                func(o *Options) { o.LogInterval = 0 },
		"sample_interval=-1":                            func(o *Options) { o.SampleInterval = ptr(-1) },
		"learning_rate=NaN":                             func(o *Options) { o.LearningRate = math.NaN() },
		"learning_rate=+Inf":                            func(o *Options) { o.LearningRate = math.Inf(1) },
		"min_lr=-1":                                     func(o *Options) { o.MinLR = ptr(-1.0) },
		"beta1=1: expected 0 to below 1":                func(o *Options) { o.Beta1 = 1 },
		"beta2=1.5":                                     func(o *Options) { o.Beta2 = 1.5 },
		"dropout=1":                                     func(o *Options) { o.Dropout = 1 },
		"grad_clip=-1":                                  func(o *Options) { o.GradClip = -1 },
		"dtype=bfloat16: expected f32, or f16":          func(o *Options) { o.DType = "bfloat16" },
		"weight_decay=-0.1":                             func(o *Options) { o.WeightDecay = -0.1 },
	} {
		o := options()
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, expected %s", err, want)
		}
	}
	for name, mixed := range map[string]bool{"": false, "f32": false, "float32": false, "f16": true, "float16": true} {
		o := options()
		if o.DType = name; o.Validate() != nil || o.Mixed() != mixed || (o.trainer().DType == backend.F16) != mixed {
			t.Errorf("--dtype=%s: %v, mixed %v, products of %v", name, o.Validate(), o.Mixed(), o.trainer().DType)
		}
	}
	if c := options().clip(); c != 1 {
		t.Errorf("clip %v", c)
	}
	if c := (Options{}).clip(); !math.IsInf(float64(c), 1) {
		t.Errorf("--grad_clip=0 clips at %v", c)
	}
}

// TestSmaller lists what takes less memory and learns the same.
func TestSmaller(t *testing.T) {
	o := options()
	o.BatchSize, o.Accumulation = 6, 2
	var flags []string
	for _, s := range o.smaller() {
		if s.BatchSize*s.Accumulation != 12 {
			t.Errorf("%d × %d sequences, expected 12", s.Accumulation, s.BatchSize)
		}
		flags = append(flags, s.unlike(o))
	}
	want := "{batch_size=3} {gradient_accumulation_steps=4}|{batch_size=2} {gradient_accumulation_steps=6}|{batch_size=1} {gradient_accumulation_steps=12}|" +
		"{recompute}|{batch_size=3} {gradient_accumulation_steps=4} {recompute}|{batch_size=2} {gradient_accumulation_steps=6} {recompute}|{batch_size=1} {gradient_accumulation_steps=12} {recompute}"
	if got := strings.Join(flags, "|"); got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	o.Recompute, o.BatchSize = true, 1
	if got := o.smaller(); len(got) != 0 {
		t.Errorf("less than the least: %v", got)
	}
}
