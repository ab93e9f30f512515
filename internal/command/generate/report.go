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

// report is what --json prints. Timings have llama.cpp's names.
type report struct {
	Model     string    `json:"model"`
	Device    device    `json:"device"`
	Seed      uint64    `json:"seed"`
	PromptIDs []int     `json:"prompt_ids"`
	IDs       []int     `json:"generated_ids"`
	Text      string    `json:"text"` // of the generated ids, up to a stop text; empty without a tokenizer
	LogProbs  []float64 `json:"logprobs"`
	Top       [][]place `json:"top_logprobs,omitempty"` // of --logprobs
	Stop      string    `json:"stop"`                   // limit, eos, stop (a stop text), interrupted or error
	Timings   timings   `json:"timings"`

	tokenizer *tokenizer.Tokenizer // nil for none

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
}

func newReport(model string, d backend.Device, o gpt.Options, prompt []int, load time.Duration, t *tokenizer.Tokenizer) *report {
	return &report{
		Model:     model,
		Device:    device{d.Backend, d.Index, d.Name, d.Kind.String(), d.Driver},
		Seed:      o.Seed,
		PromptIDs: prompt,
		IDs:       []int{}, // not null, where there are none
		LogProbs:  []float64{},
		load:      load,
		tokenizer: t,
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
	if t.Top != nil {
		r.Top = append(r.Top, r.place(t).Top)
	}
}

// place is a token as JSON tells it, without its own text.
func (r *report) place(t gpt.Token) place {
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
func (r *report) piece(id int) (string, bool) {
	if r.tokenizer == nil || id >= r.tokenizer.VocabSize() {
		return "", false
	}
	text, err := r.tokenizer.Decode([]int{id})
	return text, err == nil
}

// ended tells when generation ended of its own accord, perhaps at the first token.
func (r *report) ended(at time.Duration) {
	if len(r.IDs) == 0 {
		r.first, r.total = at, at
	}
}

// finish fills in what is known once generation has ended, with err or without.
func (r *report) finish(w *writer, limit int, err error) {
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
	n := len(r.IDs)
	r.Timings = timings{
		LoadMS:  milliseconds(r.load),
		PromptN: len(r.PromptIDs), PromptMS: milliseconds(r.first),
		PromptPerSecond: rate(len(r.PromptIDs), r.first),
		PredictedN:      n, PredictedMS: milliseconds(r.total - r.first),
		PredictedPerSecond: rate(n-1, r.total-r.first),
	}
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
func (r *report) writeLogProbs(w io.Writer, columns int) {
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

func (r *report) writeTimings(w io.Writer) {
	t := r.Timings
	fmt.Fprintf(w, "load    %9.1f ms\n", t.LoadMS)
	fmt.Fprintf(w, "prompt  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PromptMS, t.PromptN, t.PromptPerSecond)
	fmt.Fprintf(w, "decode  %9.1f ms  %5d tokens  %9.1f tokens/s\n", t.PredictedMS, max(0, t.PredictedN-1), t.PredictedPerSecond)
}
