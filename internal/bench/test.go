package bench

import (
	"fmt"
	"slices"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
	"caldera/internal/setting"
)

// Test is one thing to measure on a model.
type Test = result.Test

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
//
// With parallel, each is a test of so many sequences, one test for each number. Their
// prompts are read into empty contexts, so that there is none by default at other depths.
func Tests(c model.Config, prompt, gen, depth, parallel []int) ([]Test, error) {
	if depth == nil {
		depth = []int{0}
	}
	for _, n := range parallel {
		if n < 1 || n > gpt.MaxChunk {
			return nil, setting.Errorf("{parallel %d}: expected 1 to %d sequences that generate at once", n, gpt.MaxChunk)
		}
	}
	if parallel == nil {
		parallel = []int{0}
	}
	var tests []Test
	for _, d := range depth {
		if d < 0 || d >= c.Context {
			return nil, setting.Errorf("{depth %d}: expected 0 to %d tokens, one less than the context of this model", d, c.Context-1)
		}
		prompt := prompt
		if parallel[0] > 0 && d > 0 {
			if i := slices.IndexFunc(prompt, func(n int) bool { return n != 0 }); i >= 0 {
				return nil, setting.Errorf("{prompt %d} at {depth %d}: in a batch, prompts are read into empty contexts; leave out {depth}, or say {prompt 0}", prompt[i], d)
			}
			prompt = []int{0}
		}
		for _, kind := range []struct {
			name  string
			sizes []int
			usual int
			test  func(n int) Test
		}{
			{"prompt", prompt, DefaultPrompt, func(n int) Test { return Test{Prompt: n, Depth: d} }},
			{"n-gen", gen, DefaultGen, func(n int) Test { return Test{Gen: n, Depth: d} }},
		} {
			sizes, room := kind.sizes, c.Context-d
			if sizes == nil {
				sizes = []int{min(kind.usual, room)}
			}
			for _, n := range sizes {
				switch {
				case n < 0 || n > room:
					return nil, setting.Errorf("{"+kind.name+" %d}"+within(" at {depth %d}", d)+": expected 0 to %d tokens, the context of this model"+within(" less {depth %d}", d), n, room)
				case n == 0:
					continue
				}
				for _, sequences := range parallel {
					t := kind.test(n)
					t.Sequences = sequences
					if !slices.Contains(tests, t) {
						tests = append(tests, t)
					}
				}
			}
		}
	}
	if len(tests) == 0 {
		return nil, setting.Errorf("nothing to measure: both {prompt} and {n-gen} are 0")
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
