package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"caldera/gpt"
)

// Next tells what the model expects after every position of a text, and what came.
type Next struct {
	Positions    []NextPosition    `json:"positions"`
	Training     NextTraining      `json:"training"`
	Position     int               `json:"position"`     // that Temperatures are of
	Temperatures []NextTemperature `json:"temperatures"` // the same distribution at each of them
}

// NextPosition is the distribution over all tokens that could follow a position, and
// what did follow.
type NextPosition struct {
	Position int         `json:"position"`
	Token    Token       `json:"token"`    // at the position
	Next     *Token      `json:"next"`     // what came; null after the last position, as are the next two
	Prob     Float       `json:"prob"`     // of what came
	Surprise Float       `json:"surprise"` // −ln of that probability, in nats
	Rank     int         `json:"rank"`     // of what came: 1 is the likeliest token; 0 after the last position
	Entropy  Float       `json:"entropy"`  // the surprise that the distribution itself expects, in nats
	Top      []Candidate `json:"top"`      // the likeliest tokens, the likeliest first
	Note     string      `json:"note,omitempty"`
}

// NextTraining tells why training uses all positions: one pass over a text gives a
// prediction for each of them.
type NextTraining struct {
	Predictions int   `json:"predictions"` // positions of which it is known what comes next
	Read        int   `json:"read"`        // tokens that the pass read for all of them
	ReadAlone   int64 `json:"read_alone"`  // tokens that passes would read if each gave one prediction, after its last token
	Loss        Float `json:"loss"`        // the mean surprise, in nats: what training makes smaller; null without predictions
	Perplexity  Float `json:"perplexity"`  // e to the power of the loss
}

// NextTemperature is a distribution as a sampler draws from it.
type NextTemperature struct {
	Temperature Float        `json:"temperature"`
	Kept        int          `json:"kept"`           // tokens that may be drawn
	Mass        Float        `json:"kept_prob"`      // of these together, at temperature 1
	Entropy     Float        `json:"entropy"`        // of what is drawn, in nats
	Tokens      []NextChoice `json:"tokens"`         // the likeliest tokens, the likeliest first
	Note        string       `json:"note,omitempty"` // why nothing can be drawn
}

// NextChoice is a token that could be drawn.
type NextChoice struct {
	Token
	Prob  Float `json:"prob"`  // at the temperature, before tokens are left out
	Kept  bool  `json:"kept"`  // it may be drawn; an id without a token never is
	Drawn Float `json:"drawn"` // the probability with which it is drawn; 0 if it is left out
}

// Bounds of what Next is asked for.
const (
	maxTop          = 100
	maxTemperatures = 16
)

// NextOptions say what Next tells.
type NextOptions struct {
	Top          int          // how many of the likeliest tokens, 0 to 100
	Position     int          // that Temperatures are of; below 0: from the end
	Temperatures []float64    // up to 16
	Filters      gpt.Sampling // TopK, TopP and MinP say which tokens may be drawn; the rest is not used
}

func (o NextOptions) check() error {
	if o.Top < 0 || o.Top > maxTop {
		return Userf("top %d: expected 0 to %d of the likeliest tokens", o.Top, maxTop)
	}
	if len(o.Temperatures) > maxTemperatures {
		return Userf("%d temperatures: expected at most %d", len(o.Temperatures), maxTemperatures)
	}
	for _, s := range o.samplings() {
		if err := s.Validate(); err != nil {
			return UserError{err}
		}
	}
	return nil
}

func (o NextOptions) samplings() (list []gpt.Sampling) {
	for _, t := range o.Temperatures {
		list = append(list, gpt.Sampling{Temperature: t, TopK: o.Filters.TopK, TopP: o.Filters.TopP, MinP: o.Filters.MinP})
	}
	return list
}

// Next has the model read a text, and tells what it expects after every position. The
// scores of all tokens are held for a few positions at a time.
func (in *Inspector) Next(ctx context.Context, ids []int, o NextOptions) (*Next, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	at, err := checkPosition(o.Position, ids)
	if err != nil {
		return nil, err
	}
	last := fmt.Sprintf("hidden.%d", in.Model.Layers)
	r, err := in.Run(ctx, ids, last)
	if err != nil {
		return nil, err
	}
	barred, err := in.barred(gpt.Options{})
	if err != nil {
		return nil, err
	}
	n := &Next{Position: at, Temperatures: []NextTemperature{}}
	d := newDistribution(in.Model.Vocab)
	err = in.Scores(ctx, r.Value("%s", last).Data, func(i int, scores []float32) error {
		d.set(scores)
		n.Positions = append(n.Positions, in.nextPosition(ids, i, scores, d, o.Top))
		if i == at {
			for _, s := range o.samplings() {
				n.Temperatures = append(n.Temperatures, in.temperature(scores, d, s, barred, o.Top))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.train()
	return n, nil
}

// nextPosition tells of position i of ids, after which all tokens have these scores,
// which stand for d.
func (in *Inspector) nextPosition(ids []int, i int, scores []float32, d distribution, top int) NextPosition {
	p := NextPosition{Position: i, Token: in.Token(ids[i]), Prob: Float(math.NaN()), Surprise: Float(math.NaN())}
	came := ids[i]
	if i+1 < len(ids) {
		came = ids[i+1]
	}
	o := in.outcome(scores, d, came, top)
	p.Entropy, p.Top, p.Note = o.Entropy, o.Top, o.Note
	if i+1 < len(ids) {
		next := in.Token(came)
		p.Next, p.Prob, p.Surprise, p.Rank = &next, o.Prob, 0-o.LogProb, o.Rank
	}
	return p
}

// train sums up what the positions say together.
func (n *Next) train() {
	t := &n.Training
	t.Predictions, t.Read = len(n.Positions)-1, len(n.Positions)-1
	t.ReadAlone = int64(t.Predictions) * int64(t.Predictions+1) / 2
	sum := 0.0
	for _, p := range n.Positions[:t.Predictions] {
		sum += float64(p.Surprise)
	}
	mean := sum / float64(t.Predictions) // NaN if there are none
	t.Loss, t.Perplexity = Float(mean), Float(math.Exp(mean))
}

// temperature tells how a sampler draws from the distribution that scores stand for;
// that is d at temperature 1. The ids of barred are never drawn.
func (in *Inspector) temperature(scores []float32, d distribution, s gpt.Sampling, barred []int, top int) NextTemperature {
	t := NextTemperature{Temperature: Float(s.Temperature), Tokens: []NextChoice{}}
	choices, err := gpt.NewSampler(s).Choices(without(scores, barred), nil)
	if err != nil {
		t.Mass, t.Entropy, t.Note = Float(math.NaN()), Float(math.NaN()), err.Error()
		return t
	}
	t.Kept = len(choices)
	drawn := make(map[int]float64, len(choices))
	mass, expected := 0.0, 0.0
	for _, c := range choices {
		p := math.Exp(c.LogProb)
		drawn[c.ID] = p
		mass += d.probs[c.ID]
		if p > 0 {
			expected -= p * c.LogProb
		}
	}
	t.Mass, t.Entropy = Float(mass), Float(expected)
	before := heated(scores, s.Temperature)
	for _, id := range topOf(scores, top) {
		p, kept := drawn[id]
		t.Tokens = append(t.Tokens, NextChoice{in.Token(id), Float(before(id)), kept, Float(p)})
	}
	return t
}

// barred are the ids that Generate never draws with options o: those for which the
// tokenizer has no token.
func (in *Inspector) barred(o gpt.Options) ([]int, error) {
	if in.Tokenizer != nil {
		o.Vocab, o.Barred = min(in.Tokenizer.VocabSize(), in.Model.Vocab), in.Tokenizer.Holes()
	}
	return o.NeverDrawn(in.Model)
}

// without are scores with which none of barred is drawn.
func without(scores []float32, barred []int) []float32 {
	out := slices.Clone(scores)
	for _, id := range barred {
		out[id] = float32(math.Inf(-1))
	}
	return out
}

// heated is the probability of each token at a temperature; at 0 all of it is the
// likeliest token's.
func heated(scores []float32, temperature float64) func(id int) float64 {
	if temperature == 0 {
		best := topOf(scores, 1)[0]
		return func(id int) float64 {
			if id == best {
				return 1
			}
			return 0
		}
	}
	logs := LogProbs(scores, temperature)
	return func(id int) float64 { return math.Exp(logs[id]) }
}
