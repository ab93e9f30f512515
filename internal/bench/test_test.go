package bench

import (
	"strings"
	"testing"

	"caldera/gpt/model"
)

func TestTests(t *testing.T) {
	small := model.Config{Context: 256}
	for _, test := range []struct {
		name               string
		prompt, gen, depth []int
		parallel           []int
		want               string // names, or part of the error
	}{
		{"the default is what the context holds", nil, nil, nil, nil, "pp256 tg128"},
		{"lists", []int{128, 256}, []int{1, 2}, nil, nil, "pp128 pp256 tg1 tg2"},
		{"once each", []int{8, 8}, []int{0}, nil, nil, "pp8"},
		{"no prompt", []int{0}, nil, nil, nil, "tg128"},
		{"nothing", []int{0}, []int{0}, nil, nil, "nothing to measure"},
		{"a prompt that was asked for and does not fit", []int{512}, nil, nil, nil, "prompt 512: expected 0 to 256"},
		{"a generation that does not fit", nil, []int{257}, nil, nil, "n-gen 257: expected 0 to 256"},
		{"depths", []int{8}, []int{4}, []int{0, 100}, nil, "pp8 tg4 pp8 @ d100 tg4 @ d100"},
		{"the default is what a depth leaves", nil, nil, []int{200}, nil, "pp56 @ d200 tg56 @ d200"},
		{"a prompt that does not fit behind a depth", []int{8}, nil, []int{250}, nil, "prompt 8 at depth 250: expected 0 to 6 tokens"},
		{"a depth that fills the context", nil, nil, []int{256}, nil, "depth 256: expected 0 to 255"},
		{"a negative depth", nil, nil, []int{-1}, nil, "depth -1"},
		{"negative", []int{-1}, nil, nil, nil, "prompt -1"},
		{"sequences together", []int{8}, []int{4}, nil, []int{1, 8, 8}, "pp8 b1 pp8 b8 tg4 b1 tg4 b8"},
		{"their prompts begin the context", nil, []int{4}, []int{0, 100}, []int{2}, "pp256 b2 tg4 b2 tg4 b2 @ d100"},
		{"their prompts at a depth", []int{0, 8}, nil, []int{100}, []int{2}, "prompt 8 at depth 100: in a batch, prompts are read into empty contexts"},
		{"no prompts at a depth", []int{0}, []int{4}, []int{100}, []int{2}, "tg4 b2 @ d100"},
		{"too many tokens for each", []int{0}, []int{200}, []int{100}, []int{2}, "n-gen 200 at depth 100: expected 0 to 156"},
		{"no sequence", nil, nil, nil, []int{4, 0}, "parallel 0: expected 1 to 512 sequences"},
		{"too many", nil, nil, nil, []int{513}, "parallel 513: expected 1 to 512 sequences"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tests, err := Tests(small, test.prompt, test.gen, test.depth, test.parallel)
			var names []string
			for _, x := range tests {
				names = append(names, x.String())
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = err.Error()
			}
			if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
