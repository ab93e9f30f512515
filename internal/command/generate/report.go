package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/tokenizer"
)

// report is what --json prints. Timings have llama.cpp's names.
type report struct {
	Model     string    `json:"model"`
	Device    device    `json:"device"`
	Seed      uint64    `json:"seed"`
	PromptIDs []int     `json:"prompt_ids"`
	IDs       []int     `json:"generated_ids"`
	Text      string    `json:"text"` // of the generated ids; empty without a tokenizer
	LogProbs  []float64 `json:"logprobs"`
	Stop      string    `json:"stop"` // limit, eos, interrupted or error
	Timings   timings   `json:"timings"`

	load   time.Duration
	first  time.Duration // from the start of reading the prompt to the first token
	total  time.Duration // … to the last one
	slides int
}

type device struct {
	Backend string `json:"backend"`
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Driver  string `json:"driver"`
}

type timings struct {
	LoadMS             float64 `json:"load_ms"`
	PromptN            int     `json:"prompt_n"`
	PromptMS           float64 `json:"prompt_ms"` // to the first token, the making of programs included
	PromptPerSecond    float64 `json:"prompt_per_second"`
	PredictedN         int     `json:"predicted_n"`
	PredictedMS        float64 `json:"predicted_ms"` // of the tokens after the first
	PredictedPerSecond float64 `json:"predicted_per_second"`
}

func newReport(model string, d backend.Device, o gpt.Options, prompt []int, load time.Duration) *report {
	return &report{
		Model:     model,
		Device:    device{d.Backend, d.Index, d.Name, d.Kind.String(), d.Driver},
		Seed:      o.Seed,
		PromptIDs: prompt,
		IDs:       []int{}, // not null, where there are none
		LogProbs:  []float64{},
		load:      load,
	}
}

func (r *report) add(t gpt.Token, at time.Duration) {
	if len(r.IDs) == 0 {
		r.first = at
	}
	if t.Slid {
		r.slides++
	}
	r.total = at
	r.IDs = append(r.IDs, t.ID)
	r.LogProbs = append(r.LogProbs, t.LogProb)
}

// ended tells when generation ended of its own accord, perhaps at the first token.
func (r *report) ended(at time.Duration) {
	if len(r.IDs) == 0 {
		r.first, r.total = at, at
	}
}

// finish fills in what is known once generation has ended, with err or without.
func (r *report) finish(t *tokenizer.Tokenizer, limit int, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		r.Stop = "interrupted"
	case err != nil:
		r.Stop = "error"
	case len(r.IDs) == limit:
		r.Stop = "limit"
	default:
		r.Stop = "eos"
	}
	n := len(r.IDs)
	r.Timings = timings{
		LoadMS:  milliseconds(r.load),
		PromptN: len(r.PromptIDs), PromptMS: milliseconds(r.first),
		PromptPerSecond: rate(len(r.PromptIDs), r.first),
		PredictedN:      n, PredictedMS: milliseconds(r.total - r.first),
		PredictedPerSecond: rate(n-1, r.total-r.first),
	}
	if t == nil {
		return nil
	}
	r.Text, err = t.Decode(r.IDs)
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func rate(n int, d time.Duration) float64 {
	if n < 1 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r *report) writeTimings(w io.Writer) {
	t := r.Timings
	fmt.Fprintf(w, "seed    %9d\n", r.Seed)
	fmt.Fprintf(w, "load    %9.1f ms\n", t.LoadMS)
	fmt.Fprintf(w, "prompt  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PromptMS, t.PromptN, t.PromptPerSecond)
	fmt.Fprintf(w, "decode  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PredictedMS, max(0, t.PredictedN-1), t.PredictedPerSecond)
}
