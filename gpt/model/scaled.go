package model

import (
	"math"

	"caldera/internal/setting"
)

// Scaled is c for a context that is factor times as long as that of training, which c.Context is: its
// rotary positions are scaled by "linear" or "yarn", as [Rope] says. It is an error where positions are
// learned, and where c has a scaling already.
func (c Config) Scaled(scaling string, factor float64) (Config, error) {
	if scaling != "linear" && scaling != "yarn" {
		return c, setting.Errorf("{rope-scaling=%s}: expected linear or yarn", scaling)
	}
	most := float64(maxContext) / float64(max(c.Context, 1))
	if !(factor > 1 && factor <= most) { // NaN too
		return c, setting.Errorf("{rope-scale=%v}: expected more than 1, and at most %v with a context of training of %d", factor, math.Floor(most), c.Context)
	}
	var r *Rope
	switch s := c.Settings.(type) {
	case *DecoderSettings:
		own := *s
		c.Settings, r = &own, &own.Rope
	case *NeoXSettings:
		own := *s
		c.Settings, r = &own, &own.Rope
	default:
		return c, setting.Errorf("{rope-scaling=%s}: positions of %s are learned, and cannot be scaled: leave it out", scaling, c.Architecture().Title)
	}
	if has := r.has(); has != "" {
		return c, setting.Errorf("{rope-scaling=%s}: the model's files have a scaling of positions, %s, for its context of %d: leave it out", scaling, has, c.Context)
	}
	r.Scaling, r.Factor, r.Original = scaling, factor, c.Context
	c.Context = int(factor * float64(c.Context) * (1 + 1e-12)) // 1.15 times 100 are 115, which a float64 is not
	c = c.Complete()
	return c, c.Validate()
}

// has is the scaling that r has, "" for none.
func (r *Rope) has() string {
	switch {
	case r.Scaling != "" && r.Scaling != "none":
		return r.Scaling
	case len(r.Factors) > 0:
		return "factors of each pair"
	}
	return ""
}
