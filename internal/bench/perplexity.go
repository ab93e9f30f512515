package bench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"caldera/gpt"
	"caldera/internal/bench/result"
)

// PerplexityOptions say what is read, and what it is compared with. Of Options,
// repetitions and ceilings do not matter.
type PerplexityOptions struct {
	Options
	Window  int    // tokens; 0: the model's context
	Windows int    // at most; 0: as many as the text has
	File    string // name of the text
	Text    [sha256.Size]byte

	Save *result.LogitWriter // gets the log-probabilities of this run; may be nil
	Base *result.LogitReader // the run to compare with; may be nil
}

// LeastWindow is the smallest window, in tokens: it has one that counts.
const LeastWindow = 4

// Perplexity measures it on a text that was cut into tokens. The windows before
// an error, or before ctx ended, come with it; what Save has got is then a part.
func (d *Device) Perplexity(ctx context.Context, model Model, ids []int, o PerplexityOptions) (r *result.PerplexityResult, err error) {
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
		return nil, fmt.Errorf("the text has %d tokens, fewer than one window of %d: give a longer text, or smaller windows", len(ids), window)
	}
	if o.Windows > 0 {
		windows = min(windows, o.Windows)
	}
	if err := d.lacks(model.Config, o.DType, o.Cache); err != nil {
		return nil, err
	}
	o.Progress("loading", 0, windows)
	use := gpt.EvaluatorOptions{Window: window, Texts: gpt.TextsAtOnce(windows, window, gpt.MaxChunk), Cache: o.Cache}
	m, err := d.load(ctx, d.b, model, o.Options, gpt.Use{Evaluate: &use})
	for ; use.Texts > 1 && errors.As(err, new(*gpt.MemoryError)); m, err = d.load(ctx, d.b, model, o.Options, gpt.Use{Evaluate: &use}) {
		use.Texts /= 2 // slower, in less memory
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	cache := m.CacheDType(o.Cache)
	head := result.LogitHeader{Model: model.Name, Cache: cache.String(), Device: d.Spec(), Vocab: model.Config.Vocab, Window: window, Windows: windows}.Of(ids[:windows*window])
	if o.Base != nil {
		if err := o.Base.Begin(head); err != nil {
			return nil, err
		}
	}
	e, err := gpt.NewEvaluator(m, use)
	if err != nil {
		return nil, err
	}
	defer e.Close()

	r = &result.PerplexityResult{Common: d.newCommon("perplexity"), ModelFilename: model.File, ModelType: model.Name,
		DType: dtypes(m, o.DType), TypeK: cache.String(), TypeV: cache.String(), File: o.File, TextSHA256: hex.EncodeToString(o.Text[:]), Window: window, Windows: windows}
	if o.Base != nil {
		r.Base = o.Base.Header.String()
	}
	if o.Save != nil {
		head.DType = r.DType
		if err := o.Save.Begin(head); err != nil {
			return nil, err
		}
	}
	s := newScorer(m.Vocab, o)
	start := d.now()
	// done puts the windows that are complete into the result.
	done := func(windows int) {
		r.Windows, r.TotalNS = windows, d.now().Sub(start).Nanoseconds()
		s.summarise(r)
	}
	complete := 0
	for i := 0; i < windows; i += e.Texts() {
		o.Progress(fmt.Sprintf("window %d/%d", i+1, windows), i, windows)
		var texts [][]int
		for j := i; j < min(i+e.Texts(), windows); j++ {
			texts = append(texts, ids[j*window:(j+1)*window-1])
		}
		err := e.Scores(ctx, texts, window/2, func(text, at int, scores []float32) error {
			if i+text > complete {
				complete = i + text
				done(complete)
			}
			if err := s.add(scores, ids[(i+text)*window+at+1]); err != nil {
				return fmt.Errorf("window %d: %w", i+text+1, err)
			}
			return nil
		})
		if err != nil && complete == 0 {
			return nil, err
		}
		if err != nil {
			r.Incomplete = true
			return r, err
		}
		complete = i + len(texts)
		done(complete)
	}
	return r, nil
}

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
		if err := s.o.Save.Write(s.logs); err != nil {
			return err
		}
	}
	if s.o.Base == nil {
		return nil
	}
	if err := s.o.Base.Read(s.base); err != nil {
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

func (s *scorer) summarise(r *result.PerplexityResult) {
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
