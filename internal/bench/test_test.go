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
		want               string // names, or part of the error
	}{
		{"the default is what the context holds", nil, nil, nil, "pp256 tg128"},
		{"lists", []int{128, 256}, []int{1, 2}, nil, "pp128 pp256 tg1 tg2"},
		{"once each", []int{8, 8}, []int{0}, nil, "pp8"},
		{"no prompt", []int{0}, nil, nil, "tg128"},
		{"nothing", []int{0}, []int{0}, nil, "nothing to measure"},
		{"a prompt that was asked for and does not fit", []int{512}, nil, nil, "prompt 512: expected 0 to 256"},
		{"a generation that does not fit", nil, []int{257}, nil, "n-gen 257: expected 0 to 256"},
		{"depths", []int{8}, []int{4}, []int{0, 100}, "pp8 tg4 pp8 @ d100 tg4 @ d100"},
		{"the default is what a depth leaves", nil, nil, []int{200}, "pp56 @ d200 tg56 @ d200"},
		{"a prompt that does not fit behind a depth", []int{8}, nil, []int{250}, "prompt 8 at depth 250: expected 0 to 6 tokens"},
		{"a depth that fills the context", nil, nil, []int{256}, "depth 256: expected 0 to 255"},
		{"a negative depth", nil, nil, []int{-1}, "depth -1"},
		{"negative", []int{-1}, nil, nil, "prompt -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tests, err := Tests(small, test.prompt, test.gen, test.depth)
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
