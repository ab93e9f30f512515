package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt"
)

// TrainingLook is what a model that learns has come to.
type TrainingLook struct {
	Step       int                 `json:"step"`          // steps so far
	HeldOut    *Float              `json:"held_out_loss"` // mean of the same windows of what is held out, in nats a character; null without any
	Sample     string              `json:"sample"`        // text that the model writes
	Probe      []string            `json:"probe"`         // the characters of the probe
	Next       []TrainingCharacter `json:"next"`          // the likeliest after the probe, the likeliest first
	Attention  TrainingAttention   `json:"attention"`
	Neighbours []TrainingNeighbour `json:"neighbours"` // the nearest first
	Character  string              `json:"character"`  // whose neighbours these are
}

// TrainingCharacter is a character that could come next.
type TrainingCharacter struct {
	ID          int    `json:"id"`
	Text        string `json:"text"`
	Probability Float  `json:"probability"`
}

// TrainingNeighbour is a character whose vector has nearly the same direction.
type TrainingNeighbour struct {
	ID     int    `json:"id"`
	Text   string `json:"text"`
	Cosine Float  `json:"cosine"`
}

// TrainingAttention is a map of a head: row i says how much position i of the probe
// takes from positions 0 to i. A row adds up to 1.
type TrainingAttention struct {
	Layer int       `json:"layer"`
	Head  int       `json:"head"`
	Rows  [][]Float `json:"rows"`
}

// errNoMore says that whoever takes the items of Learn wants no more.
var errNoMore = errors.New("no more is wanted")

// sampleAtOnce is how many characters of a sample are written without a pause.
const sampleAtOnce = 16

// look reads the probe, writes a sample, and measures the loss of what is held out,
// with pauses, which report whether to go on.
func (t *Training) look(ctx context.Context, pause func() bool) (*TrainingLook, error) {
	l := &TrainingLook{Step: t.trainer.Count(), Character: t.text(t.character)}
	for _, id := range t.probe {
		l.Probe = append(l.Probe, t.text(id))
	}
	if err := t.readProbe(ctx, l); err != nil {
		return nil, err
	}
	if err := t.sample(ctx, l, pause); err != nil {
		return nil, err
	}
	if err := t.neighbours(l); err != nil {
		return nil, err
	}
	if t.heldIDs == nil {
		return l, nil
	}
	loss, err := t.trainer.Loss(t.heldIDs, t.heldOut)
	if err != nil {
		return nil, err
	}
	l.HeldOut = (*Float)(&loss)
	return l, nil
}

// readProbe finds what could follow the probe, and who looks at whom in it.
func (t *Training) readProbe(ctx context.Context, l *TrainingLook) error {
	name := fmt.Sprintf("blocks.%d.attention.probs", t.o.Layer)
	t.session.Watch(name)
	defer t.session.Watch()
	t.session.Reset()
	logits, err := t.session.Feed(ctx, t.probe...)
	if err != nil {
		return err
	}
	for id, p := range probabilitiesOf(logits) {
		l.Next = append(l.Next, TrainingCharacter{id, t.text(id), Float(p)})
	}
	l.Next = firstBy(l.Next, t.o.Top, func(c TrainingCharacter) float64 { return float64(c.Probability) })

	probs := t.session.Seen(name) // [1, heads, time, context]
	values := make([]float32, probs.Len())
	if err := backend.GetF32(t.m.Backend, probs, values); err != nil {
		return err
	}
	time, context := probs.Dim(-2), probs.Dim(-1)
	l.Attention = TrainingAttention{Layer: t.o.Layer, Head: t.o.Head}
	for i := range t.probe {
		row := values[(t.o.Head*time+i)*context:]
		l.Attention.Rows = append(l.Attention.Rows, Floats(row[:i+1]))
	}
	return nil
}

// sample has the model write a text. The random numbers are the same each time, so
// that samples differ by what was learned.
func (t *Training) sample(ctx context.Context, l *TrainingLook, pause func() bool) error {
	d := t.tokenizer.NewDecoder()
	var text strings.Builder
	t.session.Reset()
	o := gpt.Options{Sampling: gpt.Sampling{Temperature: t.o.Temperature, Seed: t.o.Seed}, Predict: t.o.Sample}
	n := 0
	for token, err := range t.session.Generate(ctx, t.prompt, o) {
		if err != nil {
			return err
		}
		if n%sampleAtOnce == 0 && !pause() {
			return errNoMore
		}
		n++
		piece, err := d.Next(token.ID)
		if err != nil {
			return err
		}
		text.WriteString(piece)
	}
	l.Sample = text.String() + d.Flush()
	return nil
}

// neighbours finds the characters whose vectors have the largest cosine with that of
// t.character.
func (t *Training) neighbours(l *TrainingLook) error {
	table := *t.m.Weights()[0].Tensor // [vocab, width]
	values, width := make([]float32, table.Len()), t.o.Width
	if err := backend.GetF32(t.m.Backend, table, values); err != nil {
		return err
	}
	vector := func(id int) []float32 { return values[id*width : (id+1)*width] }
	one := vector(t.character)
	for id := range t.m.Vocab {
		if id != t.character {
			l.Neighbours = append(l.Neighbours, TrainingNeighbour{id, t.text(id), Float(cosineOf(one, vector(id)))})
		}
	}
	l.Neighbours = firstBy(l.Neighbours, t.o.Top, func(n TrainingNeighbour) float64 { return float64(n.Cosine) })
	return nil
}

// cosineOf is the cosine of the angle between two vectors.
func cosineOf(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// probabilitiesOf makes probabilities of scores.
func probabilitiesOf(logits []float32) []float64 {
	best := slices.Max(logits)
	p, total := make([]float64, len(logits)), 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v) - float64(best))
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

// firstBy are the n of all with the largest value, the largest first.
func firstBy[T any](all []T, n int, value func(T) float64) []T {
	slices.SortStableFunc(all, func(a, b T) int {
		switch x, y := value(a), value(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return slices.Clip(all[:min(n, len(all))])
}
