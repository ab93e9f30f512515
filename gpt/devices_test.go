package gpt_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestGenerateOnDevices expects of every device the tokens that the CPU draws:
// the likeliest ones through a context that slides, and those of a seed.
func TestGenerateOnDevices(t *testing.T) {
	_, reference := tiny(t)
	seeded := func(seed uint64) gpt.Options {
		o := greedy(12)
		o.Temperature, o.RepeatPenalty, o.RepeatLastN, o.Seed = 1, 1.1, -1, seed
		return o
	}
	prompt := sequence(5, reference.Vocab)
	cases := []struct {
		name string
		size int
		o    gpt.Options
	}{{"sliding", 8, greedy(20)}, {"seed 1", 0, seeded(1)}, {"seed 2", 0, seeded(2)}}
	for _, x := range []gpt.Sampling{
		{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Seed: 3},
		{Temperature: 1.3, TopP: 0.9, RepeatPenalty: 1.3, RepeatLastN: 3, Seed: 4},
		{Temperature: 2, MinP: 0.02, RepeatPenalty: 0.9, RepeatLastN: 5, Seed: 5},
		{Temperature: 0, RepeatPenalty: 1e30, RepeatLastN: 9},
	} {
		o := greedy(30)
		o.Sampling = x
		cases = append(cases, struct {
			name string
			size int
			o    gpt.Options
		}{fmt.Sprintf("%+v", x), 20, o})
	}
	var want [][]gpt.Token
	for _, c := range cases {
		want = append(want, generate(t, reference, c.size, prompt, c.o))
	}
	if slices.Equal(idsOf(want[1]), idsOf(want[2])) {
		t.Errorf("seeds 1 and 2 both gave %v", idsOf(want[1]))
	}
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		if b.Name() != "cpu" {
			gpt.DrawAnywhere(t) // what the host draws is compared on the CPU, and for commands
		}
		for i, c := range cases {
			got := generate(t, m, c.size, prompt, c.o)
			if !slices.Equal(idsOf(got), idsOf(want[i])) {
				t.Errorf("%s: %v, on the CPU %v", c.name, idsOf(got), idsOf(want[i]))
				continue
			}
			for j, x := range got {
				if w := want[i][j]; math.Abs(x.LogProb-w.LogProb) > 1e-4 || x.Slid != w.Slid {
					t.Errorf("%s: token %d is %+v, on the CPU %+v", c.name, j, x, w)
				}
			}
		}
	})
}

// TestLongPromptOnDevices reads a prompt of two chunks, the last one padded.
func TestLongPromptOnDevices(t *testing.T) {
	ids := sequence(519, 50)
	want := gpttest.Feed(t, long(t, gpttest.OpenCPU(t)), ids...)
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		gpttest.CheckNear(t, "scores", gpttest.Feed(t, long(t, b), ids...), want, 1e-5)
	})
}
