package cli

// What a model's own files say of sampling, where the user says nothing.

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt/checkpoint"
)

// AfterApply notes which flags the user has given.
func (f *Sampling) AfterApply(k *kong.Context) error {
	f.given = map[string]bool{}
	for _, p := range k.Path {
		if p.Flag != nil {
			f.given[p.Flag.Name] = true
		}
	}
	return nil
}

// Adopt takes what the files of a model say for the flags that were not given. told lists it,
// "" for nothing.
func (f *Sampling) Adopt(c *checkpoint.Checkpoint) (told string, err error) {
	s, err := c.Sampling()
	if err != nil {
		return "", err
	}
	var all []string
	number := func(flag string, to *float64, x *float64) {
		if x != nil && !f.given[flag] {
			*to = *x
			all = append(all, fmt.Sprintf("--%s=%v", flag, *x))
		}
	}
	count := func(flag string, to *int, x *int) {
		if x != nil && !f.given[flag] {
			*to = *x
			all = append(all, fmt.Sprintf("--%s=%d", flag, *x))
		}
	}
	number("temp", &f.Temp, s.Temperature)
	count("top-k", &f.TopK, s.TopK)
	number("top-p", &f.TopP, s.TopP)
	number("min-p", &f.MinP, s.MinP)
	number("repeat-penalty", &f.RepeatPenalty, s.RepeatPenalty)
	count("repeat-last-n", &f.RepeatLastN, s.RepeatLastN)
	return strings.Join(all, " "), nil
}
