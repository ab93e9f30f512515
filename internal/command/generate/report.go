package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/tokenizer"
)

// report is what --json prints of one answer. Timings have llama.cpp's names.
type report struct {
	Model     string `json:"model"`
	Device    device `json:"device"`
	Seed      uint64 `json:"seed"`
	PromptIDs []int  `json:"prompt_ids"`
	generated
	Timings timings `json:"timings"`
}

// answersReport is what --json prints of several answers.
type answersReport struct {
	Model     string          `json:"model"`
	Device    device          `json:"device"`
	PromptIDs []int           `json:"prompt_ids"`
	Answers   []*answerReport `json:"answers"`
	Timings   timings         `json:"timings"` // of all answers together
}

// answerReport is one of several answers.
type answerReport struct {
	Seed uint64 `json:"seed"`
	generated
	Timings timings `json:"timings"`
}

// generated is what a model said after a prompt.
type generated struct {
	IDs      []int     `json:"generated_ids"`
	Text     string    `json:"text"` // of the generated ids, up to a stop text; empty without a tokenizer
	LogProbs []float64 `json:"logprobs"`
	Top      [][]place `json:"top_logprobs,omitempty"` // of --logprobs
	Stop     string    `json:"stop"`                   // limit, eos, stop (a stop text), interrupted or error

	tokenizer *tokenizer.Tokenizer // nil for none

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

// place is a token that came, or could have come.
type place struct {
	ID      int     `json:"id"`
	Text    *string `json:"text,omitempty"` // none without a tokenizer
	LogProb float64 `json:"logprob"`
	Top     []place `json:"top_logprobs,omitempty"`
}

type timings struct {
	LoadMS             float64 `json:"load_ms"`
	PromptN            int     `json:"prompt_n"`
	PromptMS           float64 `json:"prompt_ms"` // to the first token, the making of programs included
	PromptPerSecond    float64 `json:"prompt_per_second"`
	PredictedN         int     `json:"predicted_n"`
	PredictedMS        float64 `json:"predicted_ms"` // of the tokens after the first
	PredictedPerSecond float64 `json:"predicted_per_second"`

	// With --draft only.
	DraftN         *int     `json:"draft_n,omitempty"`          // guesses that were read
	DraftNAccepted *int     `json:"draft_n_accepted,omitempty"` // those that were right
	TokensPerStep  *float64 `json:"tokens_per_step,omitempty"`  // after the first token

	later int // tokens that came after the first of their answer
}

func newReport(model string, d backend.Device, o gpt.Options, prompt []int, t *tokenizer.Tokenizer) *report {
	return &report{Model: model, Device: newDevice(d), Seed: o.Seed, PromptIDs: prompt, generated: newGenerated(t)}
}

func newDevice(d backend.Device) device {
	return device{d.Backend, d.Index, d.Name, d.Kind.String(), d.Driver}
}

func newGenerated(t *tokenizer.Tokenizer) generated {
	return generated{IDs: []int{}, LogProbs: []float64{}, tokenizer: t} // not null, where there are none
}

func (r *generated) add(t gpt.Token, at time.Duration) {
	if len(r.IDs) == 0 {
		r.first = at
	}
	if t.Slid {
		r.slides++
	}
	r.total = at
	r.IDs = append(r.IDs, t.ID)
	r.LogProbs = append(r.LogProbs, t.LogProb)
	if t.Top != nil {
		r.Top = append(r.Top, r.place(t).Top)
	}
}

// place is a token as JSON tells it, without its own text.
func (r *generated) place(t gpt.Token) place {
	p := place{ID: t.ID, LogProb: t.LogProb}
	for _, x := range t.Top {
		top := place{ID: x.ID, LogProb: x.LogProb}
		if text, ok := r.piece(x.ID); ok {
			top.Text = &text
		}
		p.Top = append(p.Top, top)
	}
	return p
}

// piece is a token's own text, if there is a tokenizer that knows it. Bytes that
// are no whole character are replaced by U+FFFD.
func (r *generated) piece(id int) (string, bool) {
	if r.tokenizer == nil || id >= r.tokenizer.VocabSize() {
		return "", false
	}
	text, err := r.tokenizer.Decode([]int{id})
	return text, err == nil
}

// ended tells when generation ended of its own accord, perhaps at the first token.
func (r *generated) ended(at time.Duration) {
	if len(r.IDs) == 0 {
		r.first, r.total = at, at
	}
}

// finish fills in what is known once generation has ended, with err or without.
func (r *generated) finish(w *writer, limit int, err error) {
	r.Text = w.text.String()
	switch {
	case errors.Is(err, context.Canceled):
		r.Stop = "interrupted"
	case err != nil:
		r.Stop = "error"
	case w.stopped:
		r.Stop = "stop"
	case len(r.IDs) == limit:
		r.Stop = "limit"
	default:
		r.Stop = "eos"
	}
}

// timings are those of one answer to a prompt of so many tokens.
func (r *generated) timings(load time.Duration, prompt int) timings {
	return newTimings(load, prompt, r.first, len(r.IDs), max(0, len(r.IDs)-1), r.total-r.first)
}

// newTimings are those of a prompt after which the first token came after some time, and
// of tokens, of which some came later.
func newTimings(load time.Duration, prompt int, first time.Duration, tokens, later int, decode time.Duration) timings {
	return timings{
		LoadMS:  milliseconds(load),
		PromptN: prompt, PromptMS: milliseconds(first), PromptPerSecond: rate(prompt, first),
		PredictedN: tokens, PredictedMS: milliseconds(decode), PredictedPerSecond: rate(later, decode),
		later: later,
	}
}

// draft adds what came of guesses.
func (t *timings) draft(d gpt.Drafted) {
	perStep := d.PerStep()
	t.DraftN, t.DraftNAccepted, t.TokensPerStep = &d.Guesses, &d.Right, &perStep
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func rate(n int, d time.Duration) float64 {
	if n < 1 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// writeLogProbs writes the log-probabilities of what came and could have come, in
// lines of at most so many columns, 0 for any: a place that needs more has several.
func (r *generated) writeLogProbs(w io.Writer, columns int) {
	name := func(id int, logProb float64) string {
		text, ok := r.piece(id)
		if !ok {
			return fmt.Sprintf("%d %.3f", id, logProb)
		}
		return fmt.Sprintf("%q %.3f", text, logProb)
	}
	const gap = 2
	var came []string
	var could [][]string
	left, cell := 0, 0 // widths
	for i, id := range r.IDs {
		came = append(came, name(id, r.LogProbs[i]))
		left = max(left, utf8.RuneCountInString(came[i])+2*gap)
		could = append(could, nil)
		for _, x := range r.Top[i] {
			could[i] = append(could[i], name(x.ID, x.LogProb))
			cell = max(cell, utf8.RuneCountInString(could[i][len(could[i])-1])+gap)
		}
	}
	perLine := maxLogProbs
	if columns > 0 && cell > 0 {
		perLine = max(1, (columns-left+gap)/cell)
	}
	for i, begin := range came {
		for cells := range slices.Chunk(could[i], perLine) {
			line := fmt.Sprintf("%-*s", left, begin)
			for _, c := range cells {
				line += fmt.Sprintf("%-*s", cell, c)
			}
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			begin = ""
		}
	}
}

// write writes the timings of one answer.
func (t timings) write(w io.Writer) {
	fmt.Fprintf(w, "load    %9.1f ms\n", t.LoadMS)
	fmt.Fprintf(w, "prompt  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PromptMS, t.PromptN, t.PromptPerSecond)
	fmt.Fprintf(w, "decode  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PredictedMS, t.later, t.PredictedPerSecond)
}
