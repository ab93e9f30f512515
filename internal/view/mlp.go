package view

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"caldera/inspect"
	"caldera/internal/plot"
)

// MLP are the parameters of the view of the MLP's answers.
type MLP struct {
	Text
	Layer    *int `placeholder:"N" help:"This layer alone, from 0."`
	Position int  `default:"-1" placeholder:"N" help:"The position whose vector answers, from 0, or from the end: -1 is the last (${default})."`
	Neuron   *int `placeholder:"N" help:"Show how this neuron of a layer answers at every position, from 0."`
	ByLength bool `help:"Order answers by the length of what they add to the vector, not by their values."`
	Top      int  `default:"5" placeholder:"N" help:"How many neurons of each layer are listed, or positions of a neuron (${default})."`
	Writes   int  `default:"5" placeholder:"N" help:"How many tokens are listed that a neuron raises, and lowers (${default})."`
}

// Run looks.
func (p *MLP) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Neuron != nil && p.Layer == nil:
		return nil, inspect.Userf("neuron %d of which layer: choose a layer too", *p.Neuron)
	case p.Neuron != nil:
		n, err := in.MLPNeuron(ctx, ids, inspect.MLPNeuronOptions{Layer: *p.Layer, Neuron: *p.Neuron, Positions: p.Top, Tokens: p.Writes})
		if err != nil {
			return nil, err
		}
		return MLPResult{Neuron: n}, nil
	}
	a, err := in.MLP(ctx, ids, inspect.MLPOptions{Layer: p.Layer, Position: p.Position, Neurons: p.Top, ByLength: p.ByLength, Tokens: p.Writes})
	if err != nil {
		return nil, err
	}
	return MLPResult{Answers: a}, nil
}

// MLPResult is what the view shows: the answers at a position, or those of a neuron.
type MLPResult struct {
	Answers *inspect.MLPAnswers `json:"answers,omitempty"`
	Neuron  *inspect.MLPNeuron  `json:"neuron,omitempty"`
}

// Text writes a line for each answer.
func (r MLPResult) Text(s *Screen) error {
	if r.Neuron != nil {
		return neuronText(r.Neuron, s)
	}
	return answersText(r.Answers, s)
}

func answersText(r *inspect.MLPAnswers, s *Screen) error {
	if err := s.Print("%s at position %d, of %s neurons%s\n", Quote(r.Tokens[r.Position]), r.Position, count(r.Neurons), gateNote(r.Gated)); err != nil {
		return err
	}
	rows := [][]string{{"layer", "neuron", "answer", "length", "share", "along output", "raises", "lowers"}}
	for _, l := range r.Layers {
		for _, a := range l.Answers {
			rows = append(rows, []string{fmt.Sprint(l.Layer), fmt.Sprint(a.Neuron), number3(a.Value), number3(a.Length), percent(a.Share), number3(a.Along),
				tokenList(a.Raised), tokenList(a.Lowered)})
		}
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if err := s.Print(""); err != nil {
		return err
	}
	return s.Note("answer: the neuron's value after the activation; length: of what it adds to the vector; share: of the lengths of what all neurons of the layer add; along output: its part of the MLP's output (those of all neurons and of the bias add up to 1). " + writesNote)
}

// writesNote says what the lists of tokens mean.
const writesNote = "An answer above 0 raises the scores of the tokens that are said to be raised, and lowers those of the lowered ones; one below 0 does the contrary."

func gateNote(gated bool) string {
	if gated {
		return ", answers after the gate"
	}
	return ""
}

// tokenList are tokens in a line.
func tokenList(tokens []inspect.TokenScore) string {
	var list []string
	for _, t := range tokens {
		list = append(list, Quote(t.Token))
	}
	return strings.Join(list, " ")
}

// Table has a row for each answer, or for each position of a neuron.
func (r MLPResult) Table() [][]string {
	if n := r.Neuron; n != nil {
		rows := [][]string{{"position", "token", "value"}}
		for i, t := range n.Tokens {
			rows = append(rows, []string{fmt.Sprint(i), t.Text, number(n.Values[i])})
		}
		return rows
	}
	rows := [][]string{{"layer", "neuron", "value", "length", "share", "along", "raised", "lowered"}}
	for _, l := range r.Answers.Layers {
		for _, a := range l.Answers {
			rows = append(rows, []string{fmt.Sprint(l.Layer), fmt.Sprint(a.Neuron), number(a.Value), number(a.Length), number(a.Share), number(a.Along),
				tokenList(a.Raised), tokenList(a.Lowered)})
		}
	}
	return rows
}

// Draw draws a bar for each answer, a panel for each layer; or a bar for each position of
// a neuron.
func (r MLPResult) Draw(w io.Writer, f plot.Format) error {
	if n := r.Neuron; n != nil {
		b := plot.Bars{Title: fmt.Sprintf("neuron %d of layer %d over the text", n.Neuron, n.Layer), X: "answer"}
		for i, t := range n.Tokens {
			b.Labels, b.Values = append(b.Labels, fmt.Sprintf("%d %s", i, Quote(t))), append(b.Values, float64(n.Values[i]))
		}
		return plot.WritePanels(w, f, b)
	}
	var panels []plot.Panel
	a := r.Answers
	for _, l := range a.Layers {
		b := plot.Bars{Title: fmt.Sprintf("layer %d: the strongest answers at position %d, %s", l.Layer, a.Position, Quote(a.Tokens[a.Position])), X: "answer, of a neuron and the token that it raises most"}
		for _, a := range l.Answers {
			label := fmt.Sprint(a.Neuron)
			if len(a.Raised) > 0 {
				label += " " + Quote(a.Raised[0].Token)
			}
			b.Labels, b.Values = append(b.Labels, label), append(b.Values, float64(a.Value))
		}
		panels = append(panels, b)
	}
	return plot.WritePanels(w, f, panels...)
}

// neuronText writes the text, darker where the neuron answers more strongly, and the
// strongest answers.
func neuronText(r *inspect.MLPNeuron, s *Screen) error {
	if err := s.Print("neuron %d of layer %d, of %s%s: its column is %s long\n", r.Neuron, r.Layer, count(r.Neurons), gateNote(r.Gated), number3(r.Column)); err != nil {
		return err
	}
	largest := 0.0
	for _, v := range r.Values {
		if v := math.Abs(float64(v)); v > largest {
			largest = v
		}
	}
	if s.Color {
		var line strings.Builder
		for i, t := range r.Tokens {
			line.WriteString(s.Shade(math.Abs(float64(r.Values[i]))/largest, visibleText(t)))
		}
		if err := s.Print("%s\n", line.String()); err != nil {
			return err
		}
	}
	rows := [][]string{{"position", "token", "answer", ""}}
	for _, i := range r.Strongest {
		rows = append(rows, []string{fmt.Sprint(i), Quote(r.Tokens[i]), number3(r.Values[i]), Bar(math.Abs(float64(r.Values[i]))/largest, 16)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if err := s.Print("\nraises %s\nlowers %s\n", tokenScores(r.Raised), tokenScores(r.Lowered)); err != nil {
		return err
	}
	return s.Note(writesNote)
}

// tokenScores are tokens with their scores in a line.
func tokenScores(tokens []inspect.TokenScore) string {
	var list []string
	for _, t := range tokens {
		list = append(list, fmt.Sprintf("%s %s", Quote(t.Token), signed(t.Score)))
	}
	return strings.Join(list, ", ")
}

// visibleText is a token without quotes.
func visibleText(t inspect.Token) string {
	q := Quote(t)
	return q[1 : len(q)-1]
}
