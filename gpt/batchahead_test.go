package gpt_test

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestBatchAhead has a device read the tokens of a batch a step ahead, while sequences end,
// are forked, are admitted, and prompts alone are read between steps, and while the host has
// to draw for some. It expects of each sequence the tokens that it has alone, on the CPU.
func TestBatchAhead(t *testing.T) {
	gpt.DrawAnywhere(t)
	const vocab, context = 3000, 200
	reference := vocabulary(t, gpttest.OpenCPU(t), vocab)
	alone := func(prompt int, o gpt.Options) []int {
		return idsOf(generate(t, reference, context, sequence(prompt, 50), o))
	}
	options := func(predict int, s gpt.Sampling) gpt.Options {
		return gpt.Options{Sampling: s, IgnoreEOS: true, Predict: predict}
	}
	usual := gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, RepeatLastN: 8, Seed: 1}
	broad := gpt.Sampling{Temperature: 1, TopP: 0.9, Seed: 2} // most tokens are candidates: the host draws
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := vocabulary(t, b, vocab)
		for _, c := range []struct {
			name  string
			third gpt.Sampling
			ahead int // steps at least that are read ahead
		}{{"all on the device", gpt.Sampling{RepeatPenalty: 1.2, RepeatLastN: -1}, 40}, {"one is left to the host", broad, 2}} {
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: 6, Context: context, Block: 8})
			type expected struct {
				*gpt.Sequence
				before int // tokens that are not its own
				want   []int
			}
			var all []expected
			add := func(prompt int, o gpt.Options) *gpt.Sequence {
				s := admit(t, batch, sequence(prompt, 50), o)
				all = append(all, expected{s, prompt, alone(prompt, o)})
				return s
			}
			first := add(3, options(60, gpt.Sampling{}))
			second := add(5, options(50, usual))
			add(2, options(30, c.third))
			ahead, steps := 0, 0
			for ; len(batch.Live()) > 0; steps++ {
				if steps > 400 {
					t.Fatalf("%s: %d steps, and no end", c.name, steps)
				}
				var err error
				if steps == 20 {
					_, err = batch.Prefill(t.Context())
				} else {
					_, err = batch.Step(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				if batch.Ahead() {
					ahead++
				}
				switch steps {
				case 10: // its tokens are those of the first, whose next one is drawn already
					f := fork(t, first, options(9, gpt.Sampling{}))
					all = append(all, expected{f, len(first.Tokens()), alone(3, options(60, gpt.Sampling{}))[first.Generated():][:9]})
				case 14:
					second.End()
				case 15: // where the second was
					add(40, options(25, usual))
				}
			}
			for i, s := range all {
				got := s.Tokens()[s.before:]
				if s.Sequence == second {
					s.want = s.want[:len(got)]
				}
				if !slices.Equal(got, s.want) {
					t.Errorf("%s: sequence %d drew %v, alone %v", c.name, i, got, s.want)
				}
			}
			if _, draws := backend.As[backend.Fetcher](b); draws && ahead < c.ahead || !draws && ahead > 0 {
				t.Errorf("%s: %d of %d steps were read ahead, expected %d or more where the device draws", c.name, ahead, steps, c.ahead)
			}
			if batch.Memory().Used != 0 {
				t.Errorf("%s: %d blocks are used at the end", c.name, batch.Memory().Used)
			}
		}
	})
}
