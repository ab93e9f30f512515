package cli

import (
	"fmt"
	"math"

	"caldera/gpt/model"
	"caldera/internal/setting"
)

// RopeFlags scale the rotary positions of a model.
type RopeFlags struct {
	RopeScaling string  `enum:"none,linear,yarn" default:"none" placeholder:"HOW" help:"Scale rotary positions for a context longer than that of training: linear, yarn, or none for what the model's files say (${default})."`
	RopeScale   float64 `placeholder:"N" help:"With --rope-scaling: how many times as long the context may be."`
}

// Scale returns c as the flags say.
func (f RopeFlags) Scale(c model.Config) (model.Config, error) {
	none := f.RopeScaling == "" || f.RopeScaling == "none"
	switch {
	case none && f.RopeScale != 0:
		return c, Usagef("--rope-scale=%v without --rope-scaling: expected --rope-scaling=yarn or --rope-scaling=linear beside it", f.RopeScale)
	case none:
		return c, nil
	case f.RopeScale == 0:
		return c, Usagef("--rope-scaling=%s without --rope-scale: expected --rope-scale=N beside it, how many times as long the context may be", f.RopeScaling)
	}
	c, err := c.Scaled(f.RopeScaling, f.RopeScale)
	if err != nil {
		return c, UsageError{setting.Spell(err, func(name string) string { return "--" + name })}
	}
	return c, nil
}

// CheckContext reports a context, of --ctx-size, that is longer than a model's, and what to do.
func CheckContext(size int, c model.Config) error {
	if size <= c.Context {
		return nil
	}
	hint := "expected at most that, or leave it out"
	times := math.Ceil(float64(size) / float64(c.Context))
	if _, err := c.Scaled("yarn", times); err == nil {
		hint += fmt.Sprintf("; --rope-scaling=yarn --rope-scale=%v makes it longer, at some cost of quality", times)
	}
	return Usagef("--ctx-size=%d: this model can have at most %d positions: %s", size, c.Context, hint)
}
