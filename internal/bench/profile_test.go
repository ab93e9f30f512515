package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
)

// TestProfile profiles what the tests do, and no more.
func TestProfile(t *testing.T) {
	d := openCPU(t)
	var told []string
	o := Options{DType: backend.F16, Progress: func(what string, _, _ int) { told = append(told, what) }}
	p, err := d.Profile(t.Context(), Random("tiny", tiny), []Test{{Prompt: 20, Depth: 3}, {Gen: 3}, {Gen: 12, Depth: 20}, {Gen: 2, Depth: 20, Sequences: 3}, {Prompt: 20, Sequences: 1}}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name   string
		passes []string
		keys   []int
	}{
		{"pp20 @ d3", []string{"pp20 @ d3"}, []int{23}},
		{"the first 3 steps of tg3", []string{"tg1 at 0", "tg1 at 1", "tg1 at 2"}, []int{1, 2, 3}},
		{"the first 8 steps of tg12 @ d20", []string{"tg1 at 20", "tg1 at 21", "tg1 at 22", "tg1 at 23", "tg1 at 24", "tg1 at 25", "tg1 at 26", "tg1 at 27"},
			[]int{21, 22, 23, 24, 25, 26, 27, 28}},
		{"the first 2 steps of tg2 b3 @ d20", []string{"tg1 b3 at 20", "tg1 b3 at 21"}, []int{21, 22}},
		{"pp20 b1", []string{"step 0 of pp20 b1"}, []int{20}},
	}
	if len(p.Parts) != len(want) {
		t.Fatalf("%d parts, expected %d", len(p.Parts), len(want))
	}
	for i, part := range p.Parts {
		var names []string
		var keys []int
		for _, pass := range part.Passes {
			names, keys = append(names, pass.Name), append(keys, pass.Keys)
			// Steps of one program are of the same ops; a prompt picks its last row besides.
			var ops []string
			for _, s := range pass.Spans {
				ops = append(ops, s.Op)
			}
			all := strings.Join(ops, " ")
			if strings.Count(all, "attention") != tiny.Layers || strings.Count(all, "store") != tiny.Layers || ops[0] != "embedding" || ops[len(ops)-1] != "linear" {
				t.Errorf("%s consists of %s", pass.Name, all)
			}
		}
		if part.Name != want[i].name || !slices.Equal(names, want[i].passes) || !slices.Equal(keys, want[i].keys) {
			t.Errorf("%s: %q with %v keys, expected %+v", part.Name, names, keys, want[i])
		}
	}
	if len(told) != 11 || told[0] != "loading" || told[1] != "profile of pp20 @ d3, warm-up" || told[6] != "profile of tg12 @ d20" {
		t.Errorf("progress told %q", told)
	}
	if passes := p.Track().Passes; len(passes) != 15 || passes[0].Name != "pp20 @ d3" {
		t.Errorf("the track has %d passes", len(passes))
	}
	var out strings.Builder
	if err := p.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cpu:0 ", ", tiny f16, cache f16: pp20 @ d3\n", ": the first 3 steps of tg3\n", "| attention ", "| total "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestProfileEnds keeps what was profiled before it ended.
func TestProfileEnds(t *testing.T) {
	d := openCPU(t)
	for after, parts := range map[string]int{"loading": 0, "profile of tg2, warm-up": 1} {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Progress: func(what string, _, _ int) {
			if what == after {
				cancel()
			}
		}}
		p, err := d.Profile(ctx, Random("tiny", tiny), []Test{{Prompt: 4}, {Gen: 2}}, o)
		if !errors.Is(err, context.Canceled) || len(p.Parts) != parts {
			t.Errorf("canceled at %s: %d parts, expected %d; %v", after, len(p.Parts), parts, err)
		}
	}
}
