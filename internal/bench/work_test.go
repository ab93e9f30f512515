package bench

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/internal/trace"
)

func shape(t *testing.T, name string) model.Config {
	t.Helper()
	c, err := model.Shape(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The figures are worked out by hand. The blocks of GPT-2 124M have
// 12 · 768 · (2304 + 768 + 3072 + 3072) = 84,934,656 weights in matrices, the
// head 50,257 · 768 = 38,597,376; a position's keys and values are
// 12 · 2 · 768 = 18,432 numbers.
func TestCount(t *testing.T) {
	for _, test := range []struct {
		name  string
		test  Test
		dtype backend.DType
		want  Work
	}{
		{"prompt", Test{Prompt: 512}, backend.F32, Work{
			Products: 86_973_087_744, Head: 77_194_752, Attention: 9_663_676_416,
			Weights: 494_128_128, Cache: 37_748_736,
		}},
		{"one token", Test{Gen: 1}, backend.F32, Work{
			Products: 169_869_312, Head: 77_194_752, Attention: 36_864,
			Weights: 494_128_128, Cache: 73_728,
		}},
		// The keys seen are 1 + 2 + 3 + 4 = 10.
		{"four tokens of f16", Test{Gen: 4}, backend.F16, Work{
			Products: 679_477_248, Head: 308_779_008, Attention: 368_640,
			Weights: 988_256_256, Cache: 737_280,
		}},
		// Four queries at each of 10 + 4 keys, as kernels compute them.
		{"a prompt at a depth", Test{Prompt: 4, Depth: 10}, backend.F32, Work{
			Products: 679_477_248, Head: 77_194_752, Attention: 4 * 14 * 36_864,
			Weights: 494_128_128, Cache: 14 * 73_728,
		}},
		// The keys seen are 11 + 12 + 13 + 14 = 50.
		{"four tokens of f16 at a depth", Test{Gen: 4, Depth: 10}, backend.F16, Work{
			Products: 679_477_248, Head: 308_779_008, Attention: 50 * 36_864,
			Weights: 988_256_256, Cache: 50 * 73_728,
		}},
		// Sequences share the weights, and nothing else.
		{"four tokens of f16 at a depth, of three sequences", Test{Gen: 4, Depth: 10, Sequences: 3}, backend.F16, Work{
			Products: 3 * 679_477_248, Head: 3 * 308_779_008, Attention: 3 * 50 * 36_864,
			Weights: 988_256_256, Cache: 3 * 50 * 73_728,
		}},
		{"prompts", Test{Prompt: 512, Sequences: 2}, backend.F32, Work{
			Products: 2 * 86_973_087_744, Head: 2 * 77_194_752, Attention: 2 * 9_663_676_416,
			Weights: 494_128_128, Cache: 2 * 37_748_736,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Count(onPaper(nil, shape(t, "gpt2"), test.dtype), test.test, backend.F32)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

func TestCountTotals(t *testing.T) {
	gpt2 := onPaper(nil, shape(t, "gpt2"), backend.F32)
	w := Count(gpt2, Test{Prompt: 512}, backend.F32)
	if got := w.FLOP() - w.Head; math.Abs(got-96.6e9) > 0.1e9 {
		t.Errorf("pp512 of GPT-2 124M without the head: got %.1f GFLOP, want 96.6", got/1e9)
	}
	w = Count(gpt2, Test{Gen: 128}, backend.F32)
	if got := w.Weights / 128; got != 494_128_128 {
		t.Errorf("matrices read a token: got %.0f bytes, want 494,128,128", got)
	}
	if got, want := w.Bytes(), w.Weights+128*129/2*73_728; got != want {
		t.Errorf("bytes of tg128: got %.0f, want %.0f", got, want)
	}
}

// TestWorkOfOps holds what the ops of a GPT-2 that runs say they cost to what is
// counted from its shape.
func TestWorkOfOps(t *testing.T) {
	c := model.Config{Family: "gpt2", Layers: 2, Heads: 4, Width: 256, Inner: 1024, Context: 64, Vocab: 3000, Epsilon: 1e-5, TieEmbeddings: true}.Complete()
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.Q8_0} {
		m, o := onPaper(nil, c, d), quiet(1)
		o.DType = d
		p, err := openCPU(t).Profile(t.Context(), Random("small", c), []Test{{Prompt: 32}, {Gen: 1, Depth: 32}, {Gen: 1, Depth: 32, Sequences: 4}}, o)
		if err != nil {
			t.Fatal(err)
		}
		// Each of 32 tokens sees those up to it, where Count has all of them.
		prompt, w := trace.Summarise(p.Parts[0].Passes...).Total, Count(m, Test{Prompt: 32}, backend.F32)
		if want := w.FLOP() - w.Attention*(1-33./64); float64(prompt.FLOP) != want {
			t.Errorf("%v: the ops of a prompt have %d FLOP, want %.0f", d, prompt.FLOP, want)
		}
		step, w := trace.Summarise(p.Parts[1].Passes...).Total, Count(m, Test{Gen: 1, Depth: 32}, backend.F32)
		if float64(step.FLOP) != w.FLOP() {
			t.Errorf("%v: the ops of a step have %d FLOP, want %.0f", d, step.FLOP, w.FLOP())
		}
		// Weights are read once; biases, norms and results are little beside them.
		if moved := float64(step.Bytes); moved < w.Bytes() || moved > 1.06*w.Bytes() {
			t.Errorf("%v: the ops of a step move %.0f bytes, want little more than %.0f", d, moved, w.Bytes())
		}
		if s := p.Parts[2].Passes; len(s) != 1 {
			t.Fatalf("%d steps of a batch, expected 1", len(s))
		}
		// A block of 64 positions counts whole, where a sequence has 33.
		steps, w := trace.Summarise(p.Parts[2].Passes...).Total, Count(m, Test{Gen: 1, Depth: 32, Sequences: 4}, backend.F32)
		if want := w.FLOP() + w.Attention*(64./33-1); math.Abs(float64(steps.FLOP)/want-1) > 1e-9 {
			t.Errorf("%v: the ops of a step of four sequences have %d FLOP, want %.0f", d, steps.FLOP, want)
		}
	}
}
