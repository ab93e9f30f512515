package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
	"caldera/internal/train/folder"
)

// Learned shows how a model came about: what the weights that a training run has kept
// on its way make of one text.
type Learned struct {
	Run     string     `json:"run"`      // its folder
	Tokens  []Token    `json:"tokens"`   // of the text
	Near    Token      `json:"near"`     // the token whose neighbours are looked for
	Layer   int        `json:"layer"`    // of the maps of attention
	Head    int        `json:"head"`     //
	Losses  []StepLoss `json:"losses"`   // of the run's log, by step
	Stages  []Stage    `json:"stages"`   // by step
	LeftOut int        `json:"left_out"` // weights that the run has and that were not asked for
	Notes   []string   `json:"notes"`    // what of the folder could not be read
	Vocab   int        `json:"vocab"`    // how many tokens the model knows; a guess at random has a surprise of its logarithm
}

// StepLoss has the losses of a step, in nats a token, as the run logged them.
type StepLoss struct {
	Step       int   `json:"step"`
	Training   Float `json:"training"`   // of the step's batch, before the step; null where it was not logged
	Validation Float `json:"validation"` // null where it was not measured
}

// Stage is what the weights of one step make of the text.
type Stage struct {
	Step       int      `json:"step"`  // of training, done before
	Path       string   `json:"path"`  // of the weights
	Kinds      []string `json:"kinds"` // what the run keeps them as: snapshot, best, newest, checkpoint
	Training   Float    `json:"training"`
	Validation Float    `json:"validation"`

	Surprise   Float       `json:"surprise"`   // mean of -log p of the text's tokens but the first, in nats; null of a text of one token
	Next       []Candidate `json:"next"`       // after the text, the likeliest first
	Neighbours []Neighbour `json:"neighbours"` // of Near, the nearest first
	Attention  [][]Float   `json:"attention"`  // Attention[from][to]: how much position from takes of position to, from 0 to itself
}

// LearnOptions say what to look at.
type LearnOptions struct {
	// Text cuts the text into tokens of the run's models. All of them have one
	// tokenizer. It is called for each, such as with func(in *Inspector) ([]int, error)
	// { return in.Encode("The") }.
	Text func(in *Inspector) ([]int, error)

	Near        string // the word whose neighbours are looked for, or #17 for token 17, as Embed takes it; empty: the text's last token
	Layer, Head int    // whose map of attention is looked at
	Top         int    // how many next tokens and neighbours are listed, 0 or more

	// Steps are those to look at, which the run must have kept. Empty: at most Most of
	// all, the first and the last among them, spread evenly over the list.
	Steps []int
	Most  int
}

// maxLosses is how many points the losses of a log may have: more cannot be seen.
const maxLosses = 1000

// Learn looks at what a training run has kept of its way, and at its best and newest
// checkpoint. One after the other is loaded on the backend of the Inspector, looked
// at, and freed; the Inspector's own model is not used.
func (in *Inspector) Learn(ctx context.Context, run string, o LearnOptions) (*Learned, error) {
	r, err := folder.Open(run)
	if err != nil {
		return nil, UserError{err}
	}
	weights, err := o.choose(r.Weights)
	if err != nil {
		return nil, err
	}
	l := &Learned{Run: run, Layer: o.Layer, Head: o.Head, Losses: losses(r.Log), Stages: []Stage{}, LeftOut: len(r.Weights) - len(weights), Notes: append([]string{}, r.Notes...)}
	if !slices.ContainsFunc(r.Weights, func(w folder.Weights) bool { return slices.Contains(w.Kinds, folder.KindSnapshot) }) {
		l.Notes = append(l.Notes, "the run has kept no snapshots, which training does when it is told to: there are only its checkpoints")
	}
	for _, w := range weights {
		if err := in.pause(ctx); err != nil {
			return nil, err
		}
		if err := in.load(ctx, w, func(child *Inspector) error {
			ids, err := l.same(child, w, o)
			if err != nil {
				return err
			}
			if len(weights)*len(ids)*(len(ids)+1)/2 > MaxMapNumbers {
				return Userf("maps of attention of %d tokens, for each of %d checkpoints, are too many numbers: give a shorter text, or fewer steps", len(ids), len(weights))
			}
			s, err := child.stage(ctx, ids, l.Near.ID, o)
			if err != nil {
				return err
			}
			s.Step, s.Path, s.Kinds, s.Training, s.Validation = w.Step, w.Path, w.Kinds, number(w.Loss), number(w.ValLoss)
			l.Stages = append(l.Stages, *s)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// choose are the weights to look at, by step.
func (o LearnOptions) choose(all []folder.Weights) (chosen []folder.Weights, err error) {
	if len(o.Steps) > 0 {
		for _, step := range slices.Compact(slices.Sorted(slices.Values(o.Steps))) {
			i, found := slices.BinarySearchFunc(all, step, func(w folder.Weights, step int) int { return cmp.Compare(w.Step, step) })
			if !found {
				var steps []string
				for _, w := range all {
					steps = append(steps, strconv.Itoa(w.Step))
				}
				return nil, Userf("step %d: the run has kept no weights of it, but of %s", step, list(steps))
			}
			chosen = append(chosen, all[i])
		}
		return chosen, nil
	}
	if o.Most < 1 {
		return nil, Userf("%d checkpoints at most: expected 1 or more", o.Most)
	}
	n := min(o.Most, len(all))
	for i := range n {
		at := len(all) - 1
		if n > 1 {
			at = i * (len(all) - 1) / (n - 1)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// list is some words with commas between, and how many more there are.
func list(words []string) string {
	const most = 20
	text := ""
	for i, w := range words[:min(len(words), most)] {
		if i > 0 {
			text += ", "
		}
		text += w
	}
	if n := len(words) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// load has look use an Inspector of the model that w are the weights of, and frees both. An adapter is added to the
// weights of its base.
func (in *Inspector) load(ctx context.Context, w folder.Weights, look func(*Inspector) error) (failed error) {
	path, o := w.Path, gpt.LoadOptions{For: &gpt.Use{Context: 1, Feeds: []int{1}}}
	if w.Base != nil {
		a, err := checkpoint.OpenAdapter(w.Path)
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, a.Close()) }()
		path, o.Adapters, o.Merge = w.Base.Path, []*checkpoint.Adapter{a}, true
	}
	c, err := checkpoint.Open(path)
	if err == nil && w.Base != nil {
		if err = c.Is(w.Base.Fingerprint); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil && w.Base != nil {
		return fmt.Errorf("the model that %s is an adapter of: %w", w.Path, err)
	}
	if err != nil {
		return err
	}
	t, err := c.Tokenizer()
	if err != nil && !errors.Is(err, tokenizer.ErrNone) {
		return errors.Join(err, c.Close())
	}
	m, err := gpt.LoadCheckpoint(ctx, in.Model.Backend, c, o)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	child := New(m, t, Options{Name: w.Path, Cache: in.cache})
	child.profiling, child.made = in.profiling, in.made
	defer func() {
		in.made = child.made
		child.Close()
		failed = errors.Join(failed, m.Close())
	}()
	return look(child)
}

// same are the text's tokens, which must be those of the models before.
func (l *Learned) same(in *Inspector, w folder.Weights, o LearnOptions) ([]int, error) {
	ids, err := o.Text(in)
	if err != nil {
		return nil, err
	}
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	near := ids[len(ids)-1]
	if o.Near != "" {
		word, err := in.word(o.Near, false)
		if err != nil {
			return nil, err
		}
		near = word.taken()[0].ID
	}
	var tokens []Token
	for _, id := range ids {
		tokens = append(tokens, in.Token(id))
	}
	if l.Tokens == nil {
		l.Tokens, l.Near, l.Vocab = tokens, in.Token(near), in.Model.Vocab
	}
	if !slices.Equal(tokens, l.Tokens) || in.Token(near) != l.Near || in.Model.Vocab != l.Vocab {
		return nil, fmt.Errorf("%s has another vocabulary than the checkpoints before it: they are not of one run", w.Path)
	}
	return ids, nil
}

// stage looks at the model.
func (in *Inspector) stage(ctx context.Context, ids []int, near int, o LearnOptions) (*Stage, error) {
	next, err := in.Next(ctx, ids, NextOptions{Top: o.Top, Position: -1})
	if err != nil {
		return nil, err
	}
	maps, err := in.Attention(ctx, ids, AttentionOptions{Layer: &o.Layer, Head: &o.Head})
	if err != nil {
		return nil, err
	}
	s := &Stage{Surprise: next.Training.Loss, Next: next.Positions[len(ids)-1].Top, Attention: maps.Heads[0].Map, Neighbours: []Neighbour{}}
	words, err := in.Embed(ctx, []string{fmt.Sprintf("#%d", near)}, EmbedOptions{Nearest: o.Top})
	if err != nil {
		return nil, err
	}
	if o.Top > 0 {
		s.Neighbours = words.Words[0].Nearest
	}
	return s, nil
}

func number(x *float64) Float {
	if x == nil {
		return Float(math.NaN())
	}
	return Float(*x)
}

// losses are those of a log by step. Where they are too many, those of several steps
// next to each other are one, with their mean.
func losses(log []folder.Entry) []StepLoss {
	training := thin(log, func(e folder.Entry) *float64 { return e.Loss })
	validation := thin(log, func(e folder.Entry) *float64 { return e.ValLoss })
	steps := map[int]StepLoss{}
	for step, x := range training {
		steps[step] = StepLoss{step, x, number(nil)}
	}
	for step, x := range validation {
		s, ok := steps[step]
		if !ok {
			s = StepLoss{step, number(nil), x}
		}
		s.Validation = x
		steps[step] = s
	}
	list := []StepLoss{}
	for _, s := range steps {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b StepLoss) int { return cmp.Compare(a.Step, b.Step) })
	return list
}

// thin has at most maxLosses of the losses, by step.
func thin(log []folder.Entry, of func(folder.Entry) *float64) map[int]Float {
	var steps []int
	var values []float64
	for _, e := range log {
		if x := of(e); x != nil {
			steps, values = append(steps, e.Step), append(values, *x)
		}
	}
	size := (len(steps) + maxLosses - 1) / maxLosses
	out := map[int]Float{}
	for from := 0; from < len(steps); from += size {
		to := min(from+size, len(steps))
		sum := 0.0
		for _, x := range values[from:to] {
			sum += x
		}
		out[steps[to-1]] = Float(sum / float64(to-from))
	}
	return out
}
