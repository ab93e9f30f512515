package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
)

func TestProfile(t *testing.T) {
	d := openCPU(t)
	for _, c := range []struct {
		context, steps int
		prompt, first  string
	}{
		{32, 8, "pp32", "tg1 at 24"}, // the steps need room behind the prompt
		{600, 8, "pp512", "tg1 at 512"},
		{5, 5, "pp5", "tg1 at 0"},
	} {
		config := tiny
		config.Context = c.context
		var told []string
		p, err := d.Profile(t.Context(), Random("tiny", config), backend.F16, func(what string) { told = append(told, what) })
		if err != nil {
			t.Fatal(err)
		}
		if p.Prompt.Name != c.prompt || len(p.Steps) != c.steps || p.Steps[0].Name != c.first || p.Steps[c.steps-1].Keys != p.Steps[0].Keys+c.steps-1 {
			t.Errorf("a context of %d: %s, then %d steps: %s with %d keys to %s with %d", c.context, p.Prompt.Name, len(p.Steps),
				p.Steps[0].Name, p.Steps[0].Keys, p.Steps[len(p.Steps)-1].Name, p.Steps[len(p.Steps)-1].Keys)
		}
		if !slices.Equal(told, []string{"loading", "profile warm-up", "profile"}) {
			t.Errorf("progress told %q", told)
		}
		// Steps of one program are of the same ops; the prompt picks its last row besides.
		for _, pass := range append(p.Steps, p.Prompt) {
			var ops []string
			for _, s := range pass.Spans {
				ops = append(ops, s.Op)
			}
			all := strings.Join(ops, " ")
			if strings.Count(all, "attention") != config.Layers || strings.Count(all, "store") != config.Layers || ops[0] != "embedding" || ops[len(ops)-1] != "linear" {
				t.Errorf("%s consists of %s", pass.Name, all)
			}
		}
		if passes := p.Track().Passes; len(passes) != 1+c.steps || passes[0].Name != c.prompt {
			t.Errorf("the track has %d passes", len(passes))
		}
		var out strings.Builder
		if err := p.WriteMarkdown(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"cpu:0 ", ", tiny f16: " + c.prompt + "\n", " × " + c.first + " and on\n", "| attention ", "| total "} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Profile(canceled, Random("tiny", tiny), backend.None, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
