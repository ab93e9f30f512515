package bench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/strictjson"
)

// PerplexityResult is how well a model on a device foretells a text: the mean
// over tokens of −log p, p the probability that it gave the token that came.
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

// PerplexityOptions say what is read, and what it is held against.
type PerplexityOptions struct {
	DType   backend.DType // of matrices; None keeps what the model has
	Cache   backend.DType // of keys and values: one of caches; None: F32
	Window  int           // tokens; 0: the model's context
	Windows int           // at most; 0: as many as the text has
	File    string        // name of the text
	Text    [sha256.Size]byte

	Save *LogitWriter // gets the log-probabilities of this run; nil: they are not kept
	Base *LogitReader // the run to compare with; nil: none

	Progress func(what string, done, total int)
}

// LeastWindow is the smallest window, in tokens: it has one that counts.
const LeastWindow = 4

// Perplexity measures it on a text that was cut into tokens. The windows before
// an error, or before ctx ended, come with it; what Save has got is then a part.
func (d *Device) Perplexity(ctx context.Context, model Model, ids []int, o PerplexityOptions) (r *PerplexityResult, err error) {
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("perplexity of %s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	window := cmp.Or(o.Window, model.Config.Context)
	if window < LeastWindow || window > model.Config.Context {
		return nil, fmt.Errorf("windows of %d tokens: expected %d to %d, the context of this model", window, LeastWindow, model.Config.Context)
	}
	windows := len(ids) / window
	if windows == 0 {
		return nil, fmt.Errorf("the text has %d tokens, fewer than one window of %d: give a longer text, or smaller windows with -c", len(ids), window)
	}
	if o.Windows > 0 {
		windows = min(windows, o.Windows)
	}
	cache := cmp.Or(o.Cache, backend.F32)
	if err := d.lacks(model.Config, o.DType, cache); err != nil {
		return nil, err
	}
	head := LogitHeader{Model: model.Name, Cache: cache.String(), Device: d.Spec(), Vocab: model.Config.Vocab, Window: window, Windows: windows}.of(ids[:windows*window])
	if o.Base != nil {
		if err := o.Base.begin(head); err != nil {
			return nil, err
		}
	}
	o.Progress("loading", 0, windows)
	m, err := d.load(ctx, d.b, model, o.DType, gpt.Use{Context: window, Cache: cache, Evaluate: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e, err := m.NewEvaluator(window, cache)
	if err != nil {
		return nil, err
	}
	defer e.Close()

	r = &PerplexityResult{Common: newCommon("perplexity", d.Device), ModelFilename: model.File, ModelType: model.Name,
		DType: keptDType(m), TypeK: cache.String(), TypeV: cache.String(), File: o.File, TextSHA256: hex.EncodeToString(o.Text[:]), Window: window, Windows: windows}
	if o.Base != nil {
		r.Base = o.Base.Header.String()
	}
	if o.Save != nil {
		head.DType = r.DType
		if err := o.Save.begin(head); err != nil {
			return nil, err
		}
	}
	s := newScorer(m.Vocab, o)
	start := d.now()
	// done is what windows gave that were read to their ends.
	done := func(windows int) {
		r.Windows, r.TotalNS = windows, d.now().Sub(start).Nanoseconds()
		s.summarise(r)
	}
	for i := range windows {
		o.Progress(fmt.Sprintf("window %d/%d", i+1, windows), i, windows)
		text := ids[i*window : (i+1)*window]
		err := e.Scores(ctx, text[:window-1], window/2, func(at int, scores []float32) error { return s.add(scores, text[at+1]) })
		if err != nil && i == 0 {
			return nil, err
		}
		if err != nil {
			r.Incomplete = true
			return r, err
		}
		done(i + 1)
	}
	return r, nil
}

// keptDType is that of the matrices: where those of a quantised type have odd
// shapes, the token matrix may be of another one.
func keptDType(m *gpt.Model) string { return m.Blocks[0].Up.W.DType.String() }

// scorer adds up what single tokens give.
type scorer struct {
	o             PerplexityOptions
	logs, base    []float64
	nats, kl, top moments
	baseNats      moments
}

func newScorer(vocab int, o PerplexityOptions) *scorer {
	return &scorer{o: o, logs: make([]float64, vocab), base: make([]float64, vocab)}
}

// add counts a token and the scores that the model gave before it.
func (s *scorer) add(scores []float32, token int) error {
	logSoftmax(s.logs, scores)
	if v := s.logs[token]; math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the model gave token %d the log-probability %v: its weights or the device are damaged", token, v)
	}
	s.nats.add(-s.logs[token])
	if s.o.Save != nil {
		if err := s.o.Save.write(s.logs); err != nil {
			return err
		}
	}
	if s.o.Base == nil {
		return nil
	}
	if err := s.o.Base.read(s.base); err != nil {
		return err
	}
	kl, top, baseTop := 0.0, 0, 0
	for i, q := range s.base {
		kl += math.Exp(q) * (q - s.logs[i])
		if s.logs[i] > s.logs[top] {
			top = i
		}
		if q > s.base[baseTop] {
			baseTop = i
		}
	}
	same := 0.0
	if top == baseTop {
		same = 1
	}
	s.baseNats.add(-s.base[token])
	s.kl.add(kl)
	s.top.add(same)
	return nil
}

func (s *scorer) summarise(r *PerplexityResult) {
	r.Tokens = s.nats.n
	r.Nats, r.NatsStdErr = s.nats.mean(), s.nats.stdErr()
	r.Perplexity = math.Exp(r.Nats)
	if s.o.Base != nil {
		r.BaseNats = s.baseNats.mean()
		r.MeanKL, r.MeanKLStdErr = s.kl.mean(), s.kl.stdErr()
		r.SameTop, r.SameTopStdErr = s.top.mean(), s.top.stdErr()
	}
}

// logSoftmax is log(softmax(scores)), in float64.
func logSoftmax(dst []float64, scores []float32) {
	largest := math.Inf(-1)
	for _, v := range scores {
		largest = math.Max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range scores {
		sum += math.Exp(float64(v) - largest)
	}
	shift := largest + math.Log(sum)
	for i, v := range scores {
		dst[i] = float64(v) - shift
	}
}

// moments are the mean and variance of numbers that are seen once (Welford 1962).
type moments struct {
	n     int
	m, m2 float64
}

func (x *moments) add(v float64) {
	x.n++
	d := v - x.m
	x.m += d / float64(x.n)
	x.m2 += d * (v - x.m)
}

func (x *moments) mean() float64 { return x.m }

// stdErr is the standard error of the mean: how far that of other texts of the
// same kind and length is likely to lie.
func (x *moments) stdErr() float64 {
	if x.n < 2 {
		return 0
	}
	return math.Sqrt(x.m2 / float64(x.n-1) / float64(x.n))
}

// key tells texts apart by what they say, whatever they are called.
func (r *PerplexityResult) key() string { return r.of(cmp.Or(r.TextSHA256, r.File)) }

func (r *PerplexityResult) of(text string) string {
	return fmt.Sprintf("%s %s%s perplexity of %s", r.ModelType, r.DType, cacheNote(r.TypeK, r.TypeV), text)
}

// name has the text's name, which means more to people.
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

// upgrade knows that keys and values were f32.
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
