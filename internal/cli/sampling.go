package cli

import (
	"math"
	"math/rand/v2"

	"caldera/gpt"
	"caldera/internal/setting"
)

// Sampling has the flags that say how the next token is chosen.
type Sampling struct {
	Temp          float64 `aliases:"temperature" default:"0.8" placeholder:"T" help:"Temperature: 0 takes the likeliest token, higher is bolder (${default})."`
	TopK          int     `default:"40" placeholder:"K" help:"Draw from the K likeliest tokens; 0: from all (${default})."`
	TopP          float64 `default:"0.95" placeholder:"P" help:"Draw from the fewest tokens whose probabilities reach P; 1: off (${default})."`
	MinP          float64 `default:"0.05" placeholder:"P" help:"Leave out tokens less likely than P times the likeliest; 0: off (${default})."`
	RepeatPenalty float64 `aliases:"repetition-penalty" default:"1" placeholder:"R" help:"Divide the scores of recent tokens by R; 1: off (${default})."`
	RepeatLastN   int     `name:"repeat-last-n" default:"64" placeholder:"N" help:"How many recent tokens are penalised (${default})."`
	Seed          int64   `short:"s" aliases:"random-seed" default:"-1" placeholder:"N" help:"The same seed, model and device give the same text; -1: a random one (${default})."`

	given []string // names of the flags that the user has given
}

// Settings returns what the flags say. It draws a seed if none was given.
func (f Sampling) Settings() (gpt.Sampling, error) {
	if f.Seed < -1 {
		return gpt.Sampling{}, Usagef("--seed=%d: expected 0 or more, or -1 for a random one", f.Seed)
	}
	seed := uint64(f.Seed)
	if f.Seed == -1 {
		seed = uint64(rand.Uint32()) // which JSON readers that know doubles alone keep
	}
	topP, err := setting.TopP(f.TopP)
	if err != nil {
		return gpt.Sampling{}, UsageError{err}
	}
	if !(f.RepeatPenalty > 0) || math.IsInf(f.RepeatPenalty, 1) { // NaN too
		return gpt.Sampling{}, Usagef("--repeat-penalty: found %v, expected a finite number above 0; 1 is off", f.RepeatPenalty)
	}
	s := gpt.Sampling{
		Temperature: f.Temp, TopK: f.TopK, TopP: topP, MinP: f.MinP,
		RepeatPenalty: f.RepeatPenalty, RepeatLastN: f.RepeatLastN, Seed: seed,
	}
	if err := s.Validate(); err != nil {
		return s, UsageError{Err: err}
	}
	return s, nil
}
