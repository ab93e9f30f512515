// Package bench measures how fast a GPT runs on a device, as llama-bench does:
// prompt processing (pp512) and text generation (tg128), in tokens a second.
//
// Beside each figure stands its share of what the same device was able to do
// at the same time, measured by a yardstick: for a prompt the products of the
// model's matrices alone, for generation the reading of memory. Shares compare
// between machines, and between moments of a machine that others use too.
//
// measure.go is the measurement, yardstick.go what it is held against, work.go
// the counting of arithmetic and bytes, result.go and markdown.go the output.
// Another kind of test is another case in work.go and measure.go, and a name.
package bench

import (
	"fmt"
	"slices"

	"caldera/gpt"
)

// Test is one thing to measure, on an empty context. One of the two is 0.
type Test struct {
	Prompt int // tokens fed at once
	Gen    int // tokens fed one after another, scores read back after each
}

// String is the name that llama-bench gives the test: "pp512", "tg128".
func (t Test) String() string {
	if t.Prompt > 0 {
		return fmt.Sprintf("pp%d", t.Prompt)
	}
	return fmt.Sprintf("tg%d", t.Gen)
}

// Tokens is the number of tokens of one repetition.
func (t Test) Tokens() int { return t.Prompt + t.Gen }

// Sizes of the tests that are made where none were asked for.
const (
	DefaultPrompt = 512
	DefaultGen    = 128
)

// Tests lists the tests for a model: one for each number of tokens, 0 for
// none. A nil list stands for the default size, or as much of it as the
// model's context holds. A number that was asked for and does not fit is an
// error, rather than a test of something else.
func Tests(c gpt.Config, prompt, gen []int) ([]Test, error) {
	if prompt == nil {
		prompt = []int{min(DefaultPrompt, c.Context)}
	}
	if gen == nil {
		gen = []int{min(DefaultGen, c.Context)}
	}
	var tests []Test
	for _, kind := range []struct {
		flag  string
		sizes []int
		test  func(n int) Test
	}{
		{"-p", prompt, func(n int) Test { return Test{Prompt: n} }},
		{"-n", gen, func(n int) Test { return Test{Gen: n} }},
	} {
		for _, n := range kind.sizes {
			switch {
			case n < 0 || n > c.Context:
				return nil, fmt.Errorf("%s %d: expected 0 to %d tokens, the context of this model", kind.flag, n, c.Context)
			case n > 0 && !slices.Contains(tests, kind.test(n)):
				tests = append(tests, kind.test(n))
			}
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("nothing to measure: both -p and -n are 0")
	}
	return tests, nil
}
