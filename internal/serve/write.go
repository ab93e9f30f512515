package serve

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
	"caldera/inspect"
	"caldera/internal/setting"
	"caldera/internal/view"
)

// WriteParams are the parameters of /api/generate. What they mean, and the defaults
// of sampling, are those of command generate: what the files of the model say, or else the
// program's (samplingVars).
type WriteParams struct {
	view.Text
	N             int     `short:"n" default:"40" help:"How many tokens to write, 1 for a single step (${default})."`
	Temperature   float64 `default:"${sampling_temperature}" help:"0 takes the likeliest token, higher is bolder (${default})."`
	TopK          int     `default:"${sampling_top_k}" help:"Draw from the K likeliest tokens; 0: from all (${default})."`
	TopP          float64 `default:"${sampling_top_p}" help:"Draw from the fewest tokens whose probabilities reach P; 1: off (${default})."`
	MinP          float64 `default:"${sampling_min_p}" help:"Leave out tokens less likely than P times the likeliest; 0: off (${default})."`
	RepeatPenalty float64 `default:"${sampling_repeat_penalty}" help:"Divide the scores of recent tokens by R; 1: off (${default})."`
	RepeatLastN   int     `name:"repeat-last-n" default:"${sampling_repeat_last_n}" help:"How many recent tokens are penalised; -1: all (${default})."`
	Seed          int64   `default:"-1" help:"The same seed, model and device give the same text; -1: a random one (${default})."`
	Alternatives  int     `default:"10" help:"How many of the likeliest tokens are told, before and after filtering (${default})."`
	Context       int     `help:"Positions that the context holds (default: as many as the text needs, at most as many as the model can). When it is full the older half leaves it."`
	IgnoreEOS     bool    `name:"ignore-eos" help:"Never let the model end the text."`
}

// samplingVars are the defaults of sampling.
func samplingVars(s checkpoint.Sampling) kong.Vars {
	return kong.Vars{
		"sampling_temperature": text(s.Temperature, 0.8), "sampling_top_k": text(s.TopK, 40), "sampling_top_p": text(s.TopP, 0.95), "sampling_min_p": text(s.MinP, 0.05),
		"sampling_repeat_penalty": text(s.RepeatPenalty, 1), "sampling_repeat_last_n": text(s.RepeatLastN, 64),
	}
}

func text[T any](x *T, otherwise T) string {
	if x != nil {
		otherwise = *x
	}
	return fmt.Sprint(otherwise)
}

// The most that may be asked for.
const (
	maxWritten      = 4096
	maxAlternatives = 50
)

// options are those of the session, for a prompt of so many tokens.
func (p WriteParams) options() (gpt.Options, error) {
	for _, x := range []struct {
		name               string
		value, least, most int
	}{{"n", p.N, 1, maxWritten}, {"alternatives", p.Alternatives, 0, maxAlternatives}, {"context", p.Context, 0, math.MaxInt32}} {
		if x.value < x.least || x.value > x.most {
			return gpt.Options{}, inspect.Userf("%s: found %d, expected %d to %d", x.name, x.value, x.least, x.most)
		}
	}
	if p.Seed < -1 {
		return gpt.Options{}, inspect.Userf("seed: found %d, expected 0 or more, or -1 for a random one", p.Seed)
	}
	seed := uint64(p.Seed)
	if p.Seed == -1 {
		seed = uint64(rand.Uint32()) // which JavaScript's numbers keep
	}
	topP, err := setting.TopP(p.TopP)
	if err != nil {
		return gpt.Options{}, inspect.UserError{Err: err}
	}
	if !(p.RepeatPenalty > 0) || math.IsInf(p.RepeatPenalty, 1) { // NaN too
		return gpt.Options{}, inspect.Userf("repeat-penalty: found %v, expected a finite number above 0; 1 is off", p.RepeatPenalty)
	}
	s := gpt.Sampling{Temperature: p.Temperature, TopK: p.TopK, TopP: topP, MinP: p.MinP, RepeatPenalty: p.RepeatPenalty, RepeatLastN: p.RepeatLastN, Seed: seed}
	if err := s.Validate(); err != nil {
		return gpt.Options{}, inspect.UserError{Err: err}
	}
	return gpt.Options{Sampling: s, Predict: p.N, IgnoreEOS: p.IgnoreEOS, LogProbs: p.Alternatives, Drawn: max(1, p.Alternatives)}, nil
}

// WriteStart is the first event of /api/generate.
type WriteStart struct {
	Prompt  *inspect.Tokens `json:"prompt"`
	N       int             `json:"n"`       // tokens that are written at most
	Seed    uint64          `json:"seed"`    // that was drawn, if none was given
	Context int             `json:"context"` // positions that the context holds
}

// WriteToken is an event of /api/generate: a token that was drawn and appended.
type WriteToken struct {
	inspect.Token
	Position    int           `json:"position"`    // in the text, the prompt included
	Delta       string        `json:"delta"`       // whole characters that it adds to the text; those of several tokens come with the last one
	Probability inspect.Float `json:"probability"` // that the model gave it
	Drawn       inspect.Float `json:"drawn"`       // probability with which it was drawn, after filters and temperature
	Likeliest   []Candidate   `json:"likeliest"`   // before filtering: of all tokens, at temperature 1
	Kept        []Candidate   `json:"kept"`        // after it: the likeliest of those that could be drawn
	Left        int           `json:"left"`        // how many could be drawn
	Read        int           `json:"read"`        // tokens in the context when it was drawn
	Slid        bool          `json:"slid"`        // the context was full before: the older half of its tokens left it
	Seconds     inspect.Float `json:"seconds"`     // that it took
}

// Candidate is a token that could have been drawn.
type Candidate struct {
	inspect.Token
	Probability inspect.Float `json:"probability"`
}

// WriteDone is the last event of /api/generate.
type WriteDone struct {
	Reason string `json:"reason"` // "length": n tokens are written; "end": the model ended the text
	Tokens int    `json:"tokens"` // that were written
	Delta  string `json:"delta"`  // the rest of the text: a character that was not completed
}

// writing is text that is being written.
type writing struct {
	m       *Model
	start   WriteStart
	o       gpt.Options
	session *gpt.Session
	prompt  []int // what is still to be read before the last chunk
	whole   bool  // session may be used again
	decoder *tokenizer.Decoder
	next    func() (gpt.Token, error, bool)
	stop    func()
	tokens  int
}

func (m *Model) write(p WriteParams) (func(context.Context) (Work, error), error) {
	o, err := p.options()
	if err != nil {
		return nil, err
	}
	ids, err := p.IDs(m.in)
	if err != nil {
		return nil, err
	}
	most := m.in.Model.Context
	if p.Context > most || p.Context > 0 && len(ids) > p.Context {
		return nil, inspect.Userf("context: found %d, expected %d, the tokens of the text, to %d, those that the model can see", p.Context, len(ids), most)
	}
	if p.Context == 0 {
		p.Context = min(max(64, 1<<bits.Len(uint(len(ids)+p.N-1))), most) // the same for many texts, so that a session serves again
	}
	if t := m.in.Tokenizer; t != nil {
		o.Vocab, o.Barred = min(t.VocabSize(), m.in.Model.Vocab), t.Holes()
	}
	prompt, err := m.in.Tokens(ids)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (Work, error) {
		w := &writing{m: m, o: o, start: WriteStart{prompt, p.N, o.Seed, p.Context}}
		if err := w.begin(ctx, ids); err != nil {
			return nil, err
		}
		return w, nil
	}, nil
}

// begin makes ready to write. Nothing is computed yet.
func (w *writing) begin(ctx context.Context, ids []int) (err error) {
	if t := w.m.in.Tokenizer; t != nil {
		w.decoder = t.NewDecoder()
		for _, id := range ids { // the first token may complete a character of the prompt
			if _, err := w.decoder.Next(id); err != nil {
				return inspect.UserError{Err: err}
			}
		}
	}
	w.session, w.m.idle = w.m.idle, nil
	if s := w.session; s != nil && s.Size() != w.start.Context {
		s.Close()
		w.session = nil
	}
	if w.session == nil {
		if w.session, err = gpt.NewSession(w.m.in.Model, gpt.SessionOptions{Context: w.start.Context}); err != nil {
			return err
		}
	}
	w.session.Reset()
	last := (len(ids) - 1) / gpt.MaxChunk * gpt.MaxChunk
	w.prompt = ids[:last]
	w.next, w.stop = iter.Pull2(w.session.Generate(ctx, ids[last:], w.o))
	return nil
}

// Start is the prompt.
func (w *writing) Start() any { return w.start }

// Next writes a token. Before the first one it reads the prompt, in chunks.
func (w *writing) Next(ctx context.Context) ([]Event, bool, error) {
	w.whole = false
	if len(w.prompt) > 0 {
		_, err := w.session.Feed(ctx, w.prompt[:gpt.MaxChunk]...)
		w.prompt = w.prompt[gpt.MaxChunk:]
		return nil, true, err
	}
	began := time.Now()
	token, err, ok := w.next()
	if err != nil {
		return nil, false, err
	}
	w.whole = true
	if !ok {
		return []Event{w.done("end")}, false, nil
	}
	e := WriteToken{
		Token: w.m.in.Token(token.ID), Position: len(w.start.Prompt.Pieces) + w.tokens, Drawn: inspect.Float(math.Exp(token.Drawn.LogProb)),
		Probability: inspect.Float(math.Exp(token.LogProb)), Likeliest: w.candidates(token.Top), Kept: w.candidates(token.Drawn.Top[:min(len(token.Drawn.Top), w.o.LogProbs)]), Left: token.Drawn.Kept,
		Read: w.session.Len(), Slid: token.Slid, Seconds: inspect.Float(time.Since(began).Seconds()),
	}
	if w.decoder != nil {
		if e.Delta, err = w.decoder.Next(token.ID); err != nil {
			return nil, false, err
		}
	}
	w.tokens++
	list := []Event{{"token", e}}
	if w.tokens == w.o.Predict {
		return append(list, w.done("length")), false, nil
	}
	return list, true, nil
}

func (w *writing) done(reason string) Event {
	d := WriteDone{Reason: reason, Tokens: w.tokens}
	if w.decoder != nil {
		d.Delta = w.decoder.Flush()
	}
	return Event{"done", d}
}

func (w *writing) candidates(list []gpt.TokenProb) []Candidate {
	out := make([]Candidate, len(list))
	for i, c := range list {
		out[i] = Candidate{w.m.in.Token(c.ID), inspect.Float(math.Exp(c.LogProb))}
	}
	return out
}

// Close ends the text. A session that ended well is kept for the next one: its
// programs are recorded.
func (w *writing) Close() error {
	w.stop()
	if w.whole && w.m.idle == nil {
		w.m.idle = w.session
		return nil
	}
	w.session.Close()
	return nil
}

// dashed has - in place of _ in the names of parameters.
func dashed(q map[string][]string) map[string][]string {
	out := map[string][]string{}
	for name, values := range q {
		name = strings.ReplaceAll(name, "_", "-")
		out[name] = append(out[name], values...)
	}
	return out
}
