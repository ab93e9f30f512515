package view

import (
	"context"
	"fmt"
	"io"
	"strings"

	"caldera/gpt"
	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/setting"
)

// Next are the parameters of the view of what comes next.
type Next struct {
	Text
	Filters
	Top         int       `default:"5" placeholder:"N" help:"Show the N likeliest tokens, up to 100 (${default})."`
	Position    int       `default:"-1" placeholder:"N" help:"Show the temperatures at this position, from 0; below 0: from the end (${default})."`
	Temperature []float64 `default:"0.5,1,2" placeholder:"T,…" help:"Temperatures to show side by side; 0 takes the likeliest token (${default})."`
}

// Filters say which tokens may be drawn.
type Filters struct {
	TopK int     `placeholder:"K" help:"Draw from the K likeliest tokens; 0: from all (${default})." default:"0"`
	TopP float64 `placeholder:"P" help:"Draw from the fewest tokens whose probabilities reach P; 1: off (${default})." default:"1"`
	MinP float64 `placeholder:"P" help:"Leave out tokens less likely than P times the likeliest; 0: off (${default})." default:"0"`
}

func (f Filters) sampling() (gpt.Sampling, error) {
	topP, err := setting.TopP(f.TopP)
	if err != nil {
		return gpt.Sampling{}, inspect.UserError{Err: err}
	}
	return gpt.Sampling{TopK: f.TopK, TopP: topP, MinP: f.MinP}, nil
}

// Run reads the text.
func (p *Next) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	filters, err := p.sampling()
	if err != nil {
		return nil, err
	}
	n, err := in.Next(ctx, ids, inspect.NextOptions{Top: p.Top, Position: p.Position, Temperatures: p.Temperature, Filters: filters})
	if err != nil {
		return nil, err
	}
	return NextResult{n}, nil
}

// NextResult is what the view shows.
type NextResult struct{ *inspect.Next }

// guesses is how many of the likeliest tokens a line of text has, if there is room.
const guesses = 3

// Text writes a line for each position, what they are together, and the temperatures.
func (r NextResult) Text(s *Screen) error {
	most := 0.0
	for _, p := range r.Positions {
		if p.Next != nil {
			most = max(most, float64(p.Surprise))
		}
	}
	table := func(width, guesses int) [][]string { // with bars of a width, and so many of the likeliest tokens
		rows := [][]string{{"position", "token", "what came", "surprise", "", "rank", "probability", "entropy", "likeliest"}}
		for _, p := range r.Positions {
			row := []string{fmt.Sprint(p.Position), Quote(p.Token), "", "", "", "", "", nats(p.Entropy), likeliest(p.Top, guesses)}
			if p.Next != nil {
				copy(row[2:], []string{Quote(*p.Next), nats(p.Surprise), Bar(float64(p.Surprise)/most, width), count(p.Rank), percent(p.Prob)})
			}
			rows = append(rows, row)
		}
		return rows
	}
	rows := table(10, guesses)
	for _, smaller := range [][][]string{rows, table(10, 1), table(5, 1)} {
		if s.Fits(smaller) { // rather less in a line than two tables
			rows = smaller
			break
		}
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	for _, p := range r.Positions {
		if p.Note != "" {
			if err := s.Print("\nafter position %d: %s", p.Position, p.Note); err != nil {
				return err
			}
			break
		}
	}
	if err := r.training(s); err != nil {
		return err
	}
	return r.temperatures(s)
}

// training says why training uses all positions.
func (r NextResult) training(s *Screen) error {
	t := r.Training
	if t.Predictions == 0 {
		return s.Print("\nthe text has one token: nothing is known of what came next")
	}
	read := "tokens"
	if t.Predictions == 1 {
		read = "token"
	}
	return s.Print(`
One pass over %s %s gives %s, one after every position,
each scored on what came. The mean of the surprises is the loss that training makes
smaller: %s nats, a perplexity of %.2f. If only the last position of a pass were
used, the same predictions would take %s over %s tokens in all.`, count(t.Read), read, plural(t.Predictions, "prediction"), nats(t.Loss), float64(t.Perplexity),
		plural(t.Predictions, "pass", "es"), count(t.ReadAlone))
}

// temperatures writes the distribution at each temperature, side by side.
func (r NextResult) temperatures(s *Screen) error {
	if len(r.Temperatures) == 0 {
		return nil
	}
	p := r.Positions[r.Position]
	if err := s.Print("\nafter position %d, %s, a sampler draws", p.Position, Quote(p.Token)); err != nil {
		return err
	}
	head, kept, mass, entropy := []string{"temperature"}, []string{"tokens kept"}, []string{"of the probability"}, []string{"entropy"}
	var rows [][]string
	for _, c := range p.Top {
		rows = append(rows, []string{Quote(c.Token)})
	}
	for _, t := range r.Temperatures {
		if t.Note != "" {
			return s.Print("nothing: %s", t.Note)
		}
		head, kept = append(head, number(t.Temperature)), append(kept, count(t.Kept))
		mass, entropy = append(mass, percent(t.Mass)), append(entropy, nats(t.Entropy))
		for i, c := range t.Tokens {
			cell := "left out"
			if c.Kept {
				cell = fmt.Sprintf("%8s %s", percent(c.Drawn), Bar(float64(c.Drawn), 10))
			}
			rows[i] = append(rows[i], cell)
		}
	}
	return s.Table(append(append([][]string{head}, rows...), entropy, kept, mass))
}

// likeliest are the first tokens of a list, at most so many, with their probabilities.
func likeliest(top []inspect.Candidate, most int) string {
	var list []string
	for _, c := range top[:min(len(top), most)] {
		list = append(list, Quote(c.Token)+" "+percent(c.Prob))
	}
	return strings.Join(list, ", ")
}

// nats is a surprise, an entropy or a divergence.
func nats(f inspect.Float) string { return fmt.Sprintf("%.3f", float64(f)) }

// plural is a number of things, of which the ending says how they are called if they
// are several: "s" if none is given.
func plural(n int, thing string, ending ...string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case len(ending) > 0:
		return count(n) + " " + thing + ending[0]
	}
	return count(n) + " " + thing + "s"
}

// Table has a row a position.
func (r NextResult) Table() [][]string {
	rows := [][]string{{"position", "id", "token", "next id", "next", "rank", "probability", "surprise", "entropy", "likeliest id", "likeliest", "its probability"}}
	for _, p := range r.Positions {
		row := []string{fmt.Sprint(p.Position), fmt.Sprint(p.Token.ID), p.Token.Text, "", "", "", "", "", number(p.Entropy), "", "", ""}
		if p.Next != nil {
			copy(row[3:], []string{fmt.Sprint(p.Next.ID), p.Next.Text, fmt.Sprint(p.Rank), number(p.Prob), number(p.Surprise)})
		}
		if len(p.Top) > 0 {
			copy(row[9:], []string{fmt.Sprint(p.Top[0].ID), p.Top[0].Text, number(p.Top[0].Prob)})
		}
		rows = append(rows, row)
	}
	return rows
}

// Draw draws the surprise along the text, and what is drawn at each temperature.
func (r NextResult) Draw(w io.Writer, f plot.Format) error {
	var panels []plot.Panel
	along := plot.Bars{Title: fmt.Sprintf("Surprise at each token, %s nats on average", nats(r.Training.Loss)), X: "nats"}
	for _, p := range r.Positions {
		if p.Next != nil {
			along.Labels, along.Values = append(along.Labels, Quote(*p.Next)), append(along.Values, float64(p.Surprise))
		}
	}
	if len(along.Labels) > 0 {
		panels = append(panels, along)
	}
	most := 0.0 // so that the scales are the same
	for _, t := range r.Temperatures {
		for _, c := range t.Tokens {
			most = max(most, float64(c.Drawn))
		}
	}
	for _, t := range r.Temperatures {
		if len(t.Tokens) == 0 {
			continue
		}
		drawn := plot.Bars{Title: fmt.Sprintf("After %s, drawn at temperature %s", Quote(r.Positions[r.Position].Token), number(t.Temperature)), X: "probability", High: most}
		for _, c := range t.Tokens {
			drawn.Labels, drawn.Values = append(drawn.Labels, Quote(c.Token)), append(drawn.Values, float64(c.Drawn))
		}
		panels = append(panels, drawn)
	}
	if len(panels) == 0 {
		if note := r.Positions[0].Note; note != "" {
			return inspect.Userf("there is nothing to draw: %s", note)
		}
		return inspect.Userf("there is nothing to draw: the text has one token, and no likely tokens or temperatures are asked for")
	}
	return plot.WritePanels(w, f, panels...)
}
