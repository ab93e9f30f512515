package result

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"caldera/backend"
	"caldera/internal/strictjson"
)

// PerplexityResult is how well a model on a device predicts a text: the mean over
// tokens of −log p, where p is the probability that it gave the next token.
//
// The text is cut into windows, as llama.cpp's perplexity does; of each the
// first half is context only, so that every token that counts has at least half
// a window before it.
type PerplexityResult struct {
	Common
	ModelFilename string `json:"model_filename"`
	ModelType     string `json:"model_type"`
	DType         string `json:"dtype"`            // of matrices
	TypeK         string `json:"type_k" since:"2"` // of keys and values
	TypeV         string `json:"type_v" since:"2"`
	File          string `json:"file"`                  // the text's
	TextSHA256    string `json:"text_sha256" since:"2"` // of its bytes; empty where a file of format 1 does not tell
	Window        int    `json:"n_ctx"`
	Windows       int    `json:"n_windows"`
	Tokens        int    `json:"n_tokens"` // that count

	Nats       float64 `json:"nats"` // a token, the mean
	NatsStdErr float64 `json:"nats_stderr"`
	Perplexity float64 `json:"perplexity"` // e to the power of that

	// Against a saved run, else 0 and an empty name.
	Base          string  `json:"base"` // "austen f32 on cpu:0"
	BaseNats      float64 `json:"base_nats"`
	MeanKL        float64 `json:"mean_kl"` // Σ p_base·log(p_base/p), in nats a token
	MeanKLStdErr  float64 `json:"mean_kl_stderr"`
	SameTop       float64 `json:"same_top"` // share of tokens where both hold the same one for the likeliest
	SameTopStdErr float64 `json:"same_top_stderr"`

	TotalNS int64 `json:"total_ns"`
}

// key has the hash of the text, because texts of one name may differ.
func (r *PerplexityResult) key() string { return r.of(cmp.Or(r.TextSHA256, r.File)) }

func (r *PerplexityResult) of(text string) string {
	return fmt.Sprintf("%s %s%s perplexity of %s", r.ModelType, r.DType, CacheNote(r.TypeK, r.TypeV), text)
}

// name has the name of the text, for people.
func (r *PerplexityResult) name() string {
	if r.TextSHA256 == "" {
		return r.of(r.File)
	}
	return r.of(filepath.Base(r.File) + " (" + r.TextSHA256[:shortHash] + ")")
}

const shortHash = 8

func (r *PerplexityResult) size() string {
	if r.Windows == 1 {
		return "1 window"
	}
	return fmt.Sprintf("%d windows", r.Windows)
}

// upgrade sets the type of keys and values, which was f32.
func (r *PerplexityResult) upgrade(from int) {
	if from < 2 {
		r.TypeK, r.TypeV = backend.F32.String(), backend.F32.String()
	}
}

func (r *PerplexityResult) figures() []figure {
	return []figure{{Spread: Spread{r.Nats, r.NatsStdErr, r.Tokens}, unit: "nats/token", lower: true}}
}

func (r *PerplexityResult) work() []quantity {
	return []quantity{{"window", float64(r.Window)}, {"windows", float64(r.Windows)}, {"tokens", float64(r.Tokens)}}
}

func (r *PerplexityResult) check() error {
	if err := cmp.Or(plausible(r, "mean_kl"), positive("nats", []float64{r.Nats}), positive("n_tokens", []float64{float64(r.Tokens)})); err != nil {
		return err
	}
	if h := r.TextSHA256; h != "" && (len(h) != 2*sha256.Size || strings.Trim(h, "0123456789abcdef") != "") {
		return fmt.Errorf("text_sha256 is %q, expected %d hexadecimal digits", strictjson.Shorten(h), 2*sha256.Size)
	}
	if !(r.MeanKL > -1e-6 && r.MeanKL < maxNumber) { // the base is rounded to float32
		return fmt.Errorf("mean_kl is %v, expected 0 or more", r.MeanKL)
	}
	return near("perplexity", r.Perplexity, math.Exp(r.Nats), "nats", r.Nats, math.Log(r.Perplexity))
}

func (r *PerplexityResult) goBench() goBench {
	return goBench{
		name:    "Perplexity",
		labels:  append([][2]string{{"model", r.ModelType}}, append(r.deviceLabels([2]string{"dtype", r.DType}), cacheLabel(r.TypeK, r.TypeV)...)...),
		ns:      []float64{float64(r.TotalNS)},
		rates:   []rate{{"t/s", float64(r.Windows * r.Window)}},
		special: []metric{{"nats/token", r.Nats}, {"ppl", r.Perplexity}},
	}
}

func perplexityTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "tokens", "nats a token", "perplexity", "against the base", "mean KL", "same top token"}}
	base := ""
	for _, x := range records {
		r := x.(*PerplexityResult)
		row := []string{r.ModelType, r.Device, r.DType, fmt.Sprint(r.Tokens),
			fmt.Sprintf("%.5f ± %.5f", r.Nats, r.NatsStdErr), fmt.Sprintf("%.4f", r.Perplexity), "", "", ""}
		if r.Base != "" {
			base = r.Base
			row[6] = fmt.Sprintf("%+.4f %%", 100*math.Expm1(r.Nats-r.BaseNats))
			row[7] = fmt.Sprintf("%.3g ± %.1g", r.MeanKL, r.MeanKLStdErr)
			row[8] = fmt.Sprintf("%.3f ± %.3f %%", 100*r.SameTop, 100*r.SameTopStdErr)
		}
		t = append(t, row)
	}
	t.write(s)
	r := records[0].(*PerplexityResult)
	fmt.Fprintf(s, "\n%s in %d windows of %d tokens, of which the second halves count. ± is the standard error of the mean.\n", r.File, r.Windows, r.Window)
	if base != "" {
		fmt.Fprintf(s, "The base is %s: how much larger the perplexity is, the mean KL divergence of the probabilities from the base's, in\nnats a token, and the share of tokens where both hold the same one for the likeliest.\n", base)
	}
}
