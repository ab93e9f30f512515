package inspect

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/nn"
)

// Passage is a text to learn from: the first four chapters of Jane Austen's Pride
// and Prejudice.
//
//go:embed passage.txt
var Passage string

// TrainingOptions say what a [Training] learns, and what it shows. A field that is 0
// or "" has the value that its comment gives.
type TrainingOptions struct {
	Text string // that is learned; Passage

	Layers  int // blocks; 3
	Heads   int // attention heads of a block; 4
	Width   int // length of a character's vector, a multiple of Heads; 64
	Context int // characters that are seen at once; 64

	Batch int     // windows of Context characters that a step reads; 8
	Steps int     // 1000
	Rate  float64 // the largest learning rate; 0.005
	Seed  uint64  // of the weights, the windows and the samples

	Every       int     // steps from one look at the model to the next; 25
	Sample      int     // characters of the text that a look writes; 120
	Temperature float64 // at which it is written; 0.8
	Probe       string  // text that a look continues; the beginning of Text, at most half a context
	Top         int     // how many next characters of the probe, and neighbours, are listed; 8
	Layer, Head int     // whose attention map of the probe is shown
	Character   string  // whose neighbours are shown; the one that Text has most often, but for spaces
}

// What a Training may be at most: a step then takes a tenth of a second on a CPU,
// and all of it takes about a hundred megabytes.
const (
	maxTrainingText  = 1 << 20 // bytes
	maxTrainingVocab = 4096
	maxTrainingWork  = 4e9 // operations of a step
)

// bounds are the smallest and the largest value of each number.
func (o *TrainingOptions) bounds() []trainingBound {
	return []trainingBound{
		{"layers", o.Layers, 1, 8}, {"heads", o.Heads, 1, 16}, {"width", o.Width, 4, 256}, {"context", o.Context, 4, 256},
		{"batch", o.Batch, 1, 64}, {"steps", o.Steps, 1, 10000}, {"every", o.Every, 1, 10000},
		{"sample", o.Sample, 1, 400}, {"top", o.Top, 1, 50}, {"layer", o.Layer, 0, o.Layers - 1}, {"head", o.Head, 0, o.Heads - 1},
	}
}

type trainingBound struct {
	name               string
	value, least, most int
}

// complete fills in what is 0 or "".
func (o TrainingOptions) complete() TrainingOptions {
	o.Text = cmp.Or(o.Text, Passage)
	o.Layers, o.Heads, o.Width, o.Context = cmp.Or(o.Layers, 3), cmp.Or(o.Heads, 4), cmp.Or(o.Width, 64), cmp.Or(o.Context, 64)
	o.Batch, o.Steps, o.Rate = cmp.Or(o.Batch, 8), cmp.Or(o.Steps, 1000), cmp.Or(o.Rate, 5e-3)
	o.Every, o.Sample, o.Temperature, o.Top = cmp.Or(o.Every, 25), cmp.Or(o.Sample, 120), cmp.Or(o.Temperature, 0.8), cmp.Or(o.Top, 8)
	return o
}

// Validate reports the first option that no Training can have, as a [UserError].
func (o TrainingOptions) Validate() error {
	o = o.complete()
	for _, b := range o.bounds() {
		if b.value < b.least || b.value > b.most {
			return Userf("%s: found %d, expected %d to %d", b.name, b.value, b.least, b.most)
		}
	}
	least := o.Context + 2 // a window, what follows it, and another window
	switch n := utf8.RuneCountInString(o.Text); {
	case o.Width%o.Heads != 0:
		return Userf("width: found %d, expected a multiple of heads, which is %d", o.Width, o.Heads)
	case !(o.Rate > 0 && o.Rate <= 1): // written so that NaN fails
		return Userf("rate: found %v, expected a learning rate above 0, at most 1", o.Rate)
	case !(o.Temperature > 0 && o.Temperature <= 100):
		return Userf("temperature: found %v, expected a number above 0, at most 100", o.Temperature)
	case len(o.Text) > maxTrainingText:
		return Userf("text: found %d bytes, expected at most %d: give a part of it", len(o.Text), maxTrainingText)
	case !utf8.ValidString(o.Text):
		return Userf("text: found bytes that are not UTF-8: convert it to UTF-8")
	case n < least:
		return Userf("text: found %d characters, expected at least %d, more than context: give a longer text, or a smaller context", n, least)
	}
	return nil
}

// work is about how many operations a step of a model with so many weights takes: 6
// for each weight and character; and for each two characters of a window, in each
// layer, 12 for each number of a vector and some 60 for each head, whose softmax has an
// exponential.
func (o TrainingOptions) work(weights int) float64 {
	pairs := float64(o.Layers * o.Context * (12*o.Width + 60*o.Heads))
	return float64(o.Batch*o.Context) * (6*float64(weights) + pairs)
}

// Training is a small GPT, of GPT-2's kind, that learns a text character by
// character, beginning with random weights. It is for one goroutine.
type Training struct {
	o         TrainingOptions
	m         *model.Model
	tokenizer *tokenizer.Tokenizer
	trainer   *gpt.Trainer
	session   *gpt.Session

	learned, held    []int // ids that are learned, and those that are held out; held may be empty
	probe, prompt    []int
	character        int // whose neighbours are shown
	ids, targets     []int
	heldIDs, heldOut []int // a batch of held, and what follows each
}

// NewTraining makes the model and all that is needed to train it, on b.
func NewTraining(ctx context.Context, b backend.Backend, o TrainingOptions) (_ *Training, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t := &Training{o: o.complete()}
	if err := t.readText(ctx); err != nil {
		return nil, err
	}
	o = t.o
	config := model.Config{Family: "gpt2", Layers: o.Layers, Heads: o.Heads, Width: o.Width, Context: o.Context, Vocab: t.tokenizer.VocabSize(), TieEmbeddings: true}.Complete()
	if config.Vocab > maxTrainingVocab {
		return nil, Userf("text: found %d different characters and parts of characters, expected at most %d: give a text of fewer", config.Vocab, maxTrainingVocab)
	}
	if work := o.work(config.Parameters()); work > maxTrainingWork {
		return nil, Userf("a step of %d windows of %d characters with %d weights takes %.1e operations, expected at most %.0e: choose a smaller width, batch or context, or fewer layers",
			o.Batch, o.Context, config.Parameters(), work, float64(maxTrainingWork))
	}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if t.m, err = gpt.Random(ctx, b, config, gpt.LoadOptions{Train: true}, o.Seed); err != nil {
		return nil, err
	}
	adam := nn.AdamW{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.1}
	if t.trainer, err = gpt.NewTrainer(t.m, gpt.TrainOptions{Batch: o.Batch, Time: o.Context, AdamW: adam, Clip: 1, Seed: o.Seed}); err != nil {
		return nil, err
	}
	if t.session, err = gpt.NewSession(t.m, gpt.SessionOptions{Whole: true}); err != nil {
		return nil, err
	}
	n := o.Batch * o.Context
	t.ids, t.targets = make([]int, n), make([]int, n)
	if len(t.held) > o.Context {
		t.heldIDs, t.heldOut = make([]int, n), make([]int, n)
		t.windows(t.held, rand.New(rand.NewPCG(o.Seed, 1)), t.heldIDs, t.heldOut)
	}
	return t, nil
}

// heldShare is the part of a text that is held out, at its end.
const heldShare = 0.1

// readText makes a tokenizer of the text's characters, and ids of the texts.
func (t *Training) readText(ctx context.Context) error {
	corpus, err := tokenizer.NewCorpus()
	if err != nil {
		return err
	}
	if err := corpus.Read(ctx, strings.NewReader(t.o.Text)); err != nil {
		return err
	}
	v, err := corpus.Characters()
	if err != nil {
		return err
	}
	if t.tokenizer, err = tokenizer.New(v); err != nil {
		return err
	}
	ids, err := t.tokenizer.EncodeContext(ctx, t.o.Text)
	if err != nil {
		return err
	}
	t.learned = ids
	if n := int(float64(len(ids)) * heldShare); len(ids)-n > t.o.Context {
		t.learned, t.held = ids[:len(ids)-n], ids[len(ids)-n:]
	}
	if t.probe = ids[:min(t.o.Context/2, len(ids))]; t.o.Probe != "" {
		if t.probe, err = t.encode("probe", t.o.Probe); err != nil {
			return err
		}
	}
	if n := len(t.probe); n > t.o.Context {
		return Userf("probe: found %d characters, expected at most context, %d", n, t.o.Context)
	}
	if t.o.Character != "" {
		one, err := t.encode("character", t.o.Character)
		if err != nil {
			return err
		}
		if t.character = one[0]; len(one) > 1 {
			return Userf("character: found %.20q, %d characters, expected one", t.o.Character, len(one))
		}
	} else {
		t.character = t.frequent()
	}
	t.prompt = ids[:1]
	if line, err := t.tokenizer.Encode("\n"); err == nil {
		t.prompt = line
	}
	return nil
}

// encode makes ids of a text whose characters must all be known.
func (t *Training) encode(name, text string) ([]int, error) {
	if !utf8.ValidString(text) {
		return nil, Userf("%s: found bytes that are not UTF-8: convert it to UTF-8", name)
	}
	var all []int
	for _, r := range text {
		ids, err := t.tokenizer.Encode(string(r))
		if err != nil || len(ids) != 1 {
			return nil, Userf("%s: found %q, which the text to learn from does not have: use its characters only", name, r)
		}
		all = append(all, ids...)
	}
	return all, nil
}

// frequent is the id that the text has most often, but for white space.
func (t *Training) frequent() int {
	counts := make([]int, t.tokenizer.VocabSize())
	best := t.learned[0]
	for _, id := range t.learned {
		if counts[id]++; counts[id] > counts[best] && strings.TrimSpace(t.text(id)) != "" {
			best = id
		}
	}
	return best
}

// text is what an id stands for.
func (t *Training) text(id int) string {
	s, _ := t.tokenizer.Token(id)
	return string(bytes.ToValidUTF8([]byte(s), []byte("\ufffd")))
}

// windows fills ids and targets, [batch, context] each, with windows of all that
// begin at random places.
func (t *Training) windows(all []int, r *rand.Rand, ids, targets []int) {
	n := t.o.Context
	for i := 0; i < len(ids); i += n {
		at := r.IntN(len(all) - n)
		copy(ids[i:i+n], all[at:])
		copy(targets[i:i+n], all[at+1:])
	}
}

// TrainingStart says what a Training begins with.
type TrainingStart struct {
	Characters int    `json:"characters"` // of the text, those that are held out included
	HeldOut    int    `json:"held_out"`   // at its end, which are not learned
	Vocab      int    `json:"vocab"`      // different characters; with those of several bytes also the parts of these
	Layers     int    `json:"layers"`
	Heads      int    `json:"heads"`
	Width      int    `json:"width"`
	Context    int    `json:"context"`
	Weights    int    `json:"weights"`
	Batch      int    `json:"batch"`
	Steps      int    `json:"steps"`
	Every      int    `json:"every"`
	Seed       uint64 `json:"seed"`
	Uniform    Float  `json:"uniform_loss"` // nats: of who takes every character for equally likely
}

// Start says what the training begins with.
func (t *Training) Start() TrainingStart {
	c := t.m.Config
	return TrainingStart{
		Characters: len(t.learned) + len(t.held), HeldOut: len(t.held), Vocab: c.Vocab,
		Layers: c.Layers, Heads: c.Heads, Width: c.Width, Context: c.Context, Weights: c.Parameters(),
		Batch: t.o.Batch, Steps: t.o.Steps, Every: t.o.Every, Seed: t.o.Seed, Uniform: Float(math.Log(float64(c.Vocab))),
	}
}

// TrainingStep is a step that was done.
type TrainingStep struct {
	Step    int   `json:"step"`          // from 1
	Loss    Float `json:"loss"`          // mean, before the step, in nats a character
	Norm    Float `json:"norm"`          // of the gradients, before they were clipped to 1
	Rate    Float `json:"learning_rate"` //
	Tokens  int   `json:"tokens"`        // characters read by all steps so far
	Seconds Float `json:"seconds"`       // that this step took
}

// TrainingProgress is a step, or a look at the model; with neither it is a part of a
// look, which has nothing to tell yet.
type TrainingProgress struct {
	Step *TrainingStep
	Look *TrainingLook
}

// Learn does the steps, with a look at the model before the first one, after each
// Every-th and after the last. Between two items nothing is computed, so whoever takes
// them can let the device do something else; none takes long. It ends with the error
// of ctx when that ends, and with one when the loss is no number any more.
func (t *Training) Learn(ctx context.Context) iter.Seq2[TrainingProgress, error] {
	return func(yield func(TrainingProgress, error) bool) {
		for {
			if n := t.trainer.Count(); n%t.o.Every == 0 || n == t.o.Steps {
				look, err := t.look(ctx, func() bool { return yield(TrainingProgress{}, nil) })
				if errors.Is(err, errNoMore) {
					return
				}
				if err != nil {
					yield(TrainingProgress{}, err)
					return
				}
				if !yield(TrainingProgress{Look: look}, nil) || n == t.o.Steps {
					return
				}
			}
			step, err := t.step(ctx)
			if err != nil {
				yield(TrainingProgress{}, err)
				return
			}
			if !yield(TrainingProgress{Step: step}, nil) {
				return
			}
		}
	}
}

func (t *Training) step(ctx context.Context) (*TrainingStep, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start, done := time.Now(), t.trainer.Count()
	t.windows(t.learned, rand.New(rand.NewPCG(t.o.Seed, 2+uint64(done))), t.ids, t.targets)
	rate := t.rate(done)
	loss, norm, err := t.trainer.Step(t.ids, t.targets, rate)
	if err != nil {
		return nil, err
	}
	if sum := loss + norm; math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, Userf("step %d: the loss is %v and the norm of the gradients %v: training has diverged; choose a smaller rate", done+1, loss, norm)
	}
	return &TrainingStep{done + 1, Float(loss), Float(norm), Float(rate), (done + 1) * len(t.ids), Float(time.Since(start).Seconds())}, nil
}

// rate is the learning rate of the step after done others: a line up in the first
// tenth, at most 50 steps, then half a cosine down to a tenth.
func (t *Training) rate(done int) float64 {
	warmup := min(50, t.o.Steps/10)
	if done < warmup {
		return t.o.Rate * float64(done+1) / float64(warmup+1)
	}
	part := float64(done-warmup) / float64(t.o.Steps-warmup)
	return t.o.Rate * (0.1 + 0.9*0.5*(1+math.Cos(math.Pi*part)))
}

// Close frees the memory of the model and of all that trains it.
func (t *Training) Close() error {
	if t.session != nil {
		t.session.Close()
	}
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.m == nil {
		return nil
	}
	return t.m.Close()
}
