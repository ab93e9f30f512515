package bench

import (
	"fmt"
	"slices"

	"caldera/gpt"
)

// Test is one thing to measure on a model. Prompt or Gen is 0.
type Test struct {
	Prompt int // tokens fed at once
	Gen    int // tokens fed one after another, scores read back after each
	Depth  int // tokens in the context before that
}

// String is the name that llama-bench gives the test: "pp512", "tg128 @ d256".
func (t Test) String() string {
	name := fmt.Sprintf("tg%d", t.Gen)
	if t.Prompt > 0 {
		name = fmt.Sprintf("pp%d", t.Prompt)
	}
	if t.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", t.Depth)
	}
	return name
}

// Tokens is the number of tokens that a repetition is timed over.
func (t Test) Tokens() int { return t.Prompt + t.Gen }

// Sizes of the tests that are made where none were asked for.
const (
	DefaultPrompt = 512
	DefaultGen    = 128
)

// Tests lists the tests for a model: at each depth, one for each number of
// tokens, 0 for none. A nil list of numbers stands for the default size, or as
// much of it as the model's context holds; no depths stand for 0. A number
// that was asked for and does not fit is an error, rather than a test of
// something else.
func Tests(c gpt.Config, prompt, gen, depth []int) ([]Test, error) {
	if depth == nil {
		depth = []int{0}
	}
	var tests []Test
	for _, d := range depth {
		if d < 0 || d >= c.Context {
			return nil, fmt.Errorf("-d %d: expected 0 to %d tokens, one less than the context of this model", d, c.Context-1)
		}
		for _, kind := range []struct {
			flag  string
			sizes []int
			usual int
			test  func(n int) Test
		}{
			{"-p", prompt, DefaultPrompt, func(n int) Test { return Test{Prompt: n, Depth: d} }},
			{"-n", gen, DefaultGen, func(n int) Test { return Test{Gen: n, Depth: d} }},
		} {
			sizes, room := kind.sizes, c.Context-d
			if sizes == nil {
				sizes = []int{min(kind.usual, room)}
			}
			for _, n := range sizes {
				switch {
				case n < 0 || n > room:
					return nil, fmt.Errorf("%s %d%s: expected 0 to %d tokens, the context of this model%s",
						kind.flag, n, within(" at -d %d", d), room, within(" less -d %d", d))
				case n > 0 && !slices.Contains(tests, kind.test(n)):
					tests = append(tests, kind.test(n))
				}
			}
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("nothing to measure: both -p and -n are 0")
	}
	return tests, nil
}

// within says at which depth, if any.
func within(format string, depth int) string {
	if depth == 0 {
		return ""
	}
	return fmt.Sprintf(format, depth)
}
