package cli

// What a model's own files say of sampling, where the user says nothing.

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt"
	"caldera/gpt/checkpoint"
)

// AfterApply notes which flags the user has given.
func (f *Sampling) AfterApply(k *kong.Context) error {
	f.given = nil
	for _, p := range k.Path {
		if p.Flag != nil {
			f.given = append(f.given, p.Flag.Name)
		}
	}
	return nil
}

// Adopt puts into to, which Settings has returned, what the files of a model say for the flags that
// were not given. told lists it, "" for nothing.
func (f Sampling) Adopt(c *checkpoint.Checkpoint, to *gpt.Sampling) (told string, err error) {
	s, err := c.Sampling(f.given...)
	if err != nil {
		return "", fmt.Errorf("%s: %w; a flag for it counts in its place", c.Name, err)
	}
	var all []string
	if s.Temperature != nil {
		f.Temp, all = *s.Temperature, append(all, fmt.Sprintf("--temp=%v", *s.Temperature))
	}
	if s.TopK != nil {
		f.TopK, all = *s.TopK, append(all, fmt.Sprintf("--top-k=%d", *s.TopK))
	}
	if s.TopP != nil {
		f.TopP, all = *s.TopP, append(all, fmt.Sprintf("--top-p=%v", *s.TopP))
	}
	if s.MinP != nil {
		f.MinP, all = *s.MinP, append(all, fmt.Sprintf("--min-p=%v", *s.MinP))
	}
	if s.RepeatPenalty != nil {
		f.RepeatPenalty, all = *s.RepeatPenalty, append(all, fmt.Sprintf("--repeat-penalty=%v", *s.RepeatPenalty))
	}
	if s.RepeatLastN != nil {
		f.RepeatLastN, all = *s.RepeatLastN, append(all, fmt.Sprintf("--repeat-last-n=%d", *s.RepeatLastN))
	}
	seed := to.Seed
	if *to, err = f.Settings(); err != nil {
		return "", err
	}
	to.Seed = seed
	return strings.Join(all, " "), nil
}
