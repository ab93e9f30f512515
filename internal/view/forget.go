package view

import (
	"context"
	"fmt"
	"io"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"caldera/gpt"
	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/printable"
)

// Forget are the parameters of the view of what leaves the window.
type Forget struct {
	Text
	Context     int     `short:"c" default:"0" placeholder:"N" help:"Tokens that the window holds; 0: as many as the text has, up to the model's context, so that it is full after the text."`
	Predict     int     `short:"n" default:"8" placeholder:"N" help:"Tokens that the model writes after the text (${default})."`
	Temperature float64 `default:"0" placeholder:"T" help:"How these are drawn: 0 takes the likeliest token, higher is bolder (${default})."`
	Seed        uint64  `default:"1" placeholder:"N" help:"Seed of what is drawn (${default})."`
	Top         int     `default:"5" placeholder:"N" help:"Show the N likeliest tokens before and after the window slides, up to 100 (${default})."`
}

// Run lets the text run through a window.
func (p *Forget) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.idsUpTo(in.ForgetLimit(), in)
	if err != nil {
		return nil, err
	}
	f, err := in.Forget(ctx, ids, inspect.ForgetOptions{
		Context: p.Context, Predict: p.Predict, Sampling: gpt.Sampling{Temperature: p.Temperature, Seed: p.Seed}, Top: p.Top,
	})
	if err != nil {
		return nil, err
	}
	return ForgetResult{f}, nil
}

// ForgetResult is what the view shows.
type ForgetResult struct{ *inspect.Forget }

// Text writes what the model sees between slides, and what each slide does.
func (r ForgetResult) Text(s *Screen) error {
	full := fmt.Sprintf("when the window is full, the older %s of its tokens go, and the model reads the newer %s again, at positions from 0", count(r.Context-r.Context/2), count(r.Context/2))
	if r.Context == 1 {
		full = "when the window is full, its token goes, and the model reads the next one alone"
	}
	if err := s.Print(`%s

a window of %s (this model can have %s); the text has %s, %s of them written by the model
%s
`, printable.Text(r.Forget.Text), plural(r.Context, "token"), count(r.Most), plural(len(r.Tokens), "token"), count(len(r.Tokens)-r.Given), full); err != nil {
		return err
	}
	if r.Note != "" {
		if err := s.Print("%s\n", printable.Text(r.Note)); err != nil {
			return err
		}
	}
	rows := [][]string{{"step", "reads", "sees from", "to", "tokens", "tokens computed"}}
	for i, step := range r.Steps {
		span := fmt.Sprint(step.To)
		if i == 0 && step.To > 0 {
			span = fmt.Sprintf("0 to %d", step.To)
		}
		if !r.tells(i) {
			if r.tells(i - 1) {
				rows = append(rows, []string{"…", "", "", "", "", ""})
			}
			continue
		}
		rows = append(rows, []string{fmt.Sprint(i), span, fmt.Sprint(step.From), fmt.Sprint(step.To), count(step.To - step.From + 1), count(step.Read)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if len(r.Slides) == 0 {
		return s.Print("\nnothing is forgotten: the window has room for %s more; give a smaller context, or let the model write more", plural(r.Left, "token"))
	}
	for i, slide := range r.Slides[:min(len(r.Slides), slidesListed)] {
		if err := r.slide(s, i+1, slide); err != nil {
			return err
		}
	}
	if more := len(r.Slides) - slidesListed; more > 0 {
		return s.Print("\n%s more: JSON and CSV have all", plural(more, "slide"))
	}
	return nil
}

// What text has of a text with many slides.
const (
	slidesListed = 3
	stepsListed  = 24
)

// tells reports whether the text has a line for the step: those of the start, of a
// slide, before a slide, and the last one.
func (r ForgetResult) tells(i int) bool {
	last := len(r.Steps) - 1
	if i >= stepsListed {
		return i == last
	}
	return i < 2 || i >= last || r.Steps[i].Slid || r.Steps[i+1].Slid
}

// slide writes what a slide does.
func (r ForgetResult) slide(s *Screen, number int, slide inspect.Slide) error {
	if err := s.Print("\n%s, before token %d, %s\n  forgotten: %s%s",
		s.Bold(fmt.Sprintf("slide %d", number)), slide.Kept.To, Quote(slide.Came), s.Faint(quoted(slide.Forgotten)), span(slide.Forgotten)); err != nil {
		return err
	}
	if slide.Without == nil {
		return s.Print("  nothing is kept: the next token is read alone")
	}
	move := "which move"
	if slide.Kept.To-slide.Kept.From == 1 {
		move = "which moves"
	}
	if err := s.Print("  still seen: %s%s, %s from position %d to 0 of the window", quoted(slide.Kept), span(slide.Kept), move, slide.Before); err != nil {
		return err
	}
	rows := [][]string{{"likeliest next", fmt.Sprintf("with all %d tokens", r.Context), "", fmt.Sprintf("with the newer %d", r.Context/2), ""}}
	for i, with := range slide.With.Top {
		without := slide.Without.Top[i]
		rows = append(rows, []string{fmt.Sprint(i + 1), Quote(with.Token), percent(with.Prob), Quote(without.Token), percent(without.Prob)})
	}
	for _, row := range []struct{ name, with, without string }{
		{"what came", percent(slide.With.Prob), percent(slide.Without.Prob)},
		{"its rank", count(slide.With.Rank), count(slide.Without.Rank)},
		{"its surprise", nats(0 - slide.With.LogProb), nats(0 - slide.Without.LogProb)},
		{"entropy", nats(slide.With.Entropy), nats(slide.Without.Entropy)},
	} {
		rows = append(rows, []string{row.name, "", row.with, "", row.without})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	return s.Print("the prediction changes by %s nats (Kullback-Leibler divergence)", nats(slide.KL))
}

// quoted is the text of a part of the text.
func quoted(r inspect.Range) string { return Quote(inspect.Token{Text: r.Text}) }

// span tells which tokens a part of the text are.
func span(r inspect.Range) string {
	if r.To == r.From+1 {
		return fmt.Sprintf(" (token %d)", r.From)
	}
	return fmt.Sprintf(" (tokens %d to %d)", r.From, r.To-1)
}

// Table has a row a step.
func (r ForgetResult) Table() [][]string {
	rows := [][]string{{"step", "sees from", "to", "tokens computed", "slid", "next", "probability", "surprise", "entropy", "forgotten", "kl"}}
	slides := r.Slides
	for i, step := range r.Steps {
		row := []string{fmt.Sprint(i), fmt.Sprint(step.From), fmt.Sprint(step.To), fmt.Sprint(step.Read), fmt.Sprint(step.Slid), "", "", "", number(step.Entropy), "", ""}
		if step.Next != nil {
			copy(row[5:], []string{step.Next.Text, number(step.Prob), number(step.Surprise)})
		}
		if step.Slid {
			copy(row[9:], []string{slides[0].Forgotten.Text, number(slides[0].KL)})
			slides = slides[1:]
		}
		rows = append(rows, row)
	}
	return rows
}

// Draw draws what the model sees in each step, and the predictions before and after the
// first slide.
func (r ForgetResult) Draw(w io.Writer, f plot.Format) error {
	panels := []plot.Panel{windows{r}}
	if len(r.Slides) > 0 && r.Slides[0].Without != nil {
		slide, most := r.Slides[0], 0.0
		for _, o := range []*inspect.Outcome{slide.With, slide.Without} {
			for _, c := range o.Top {
				most = max(most, float64(c.Prob))
			}
		}
		for _, side := range []struct {
			title string
			of    *inspect.Outcome
		}{
			{fmt.Sprintf("First slide, before: what comes next, with all %d tokens", r.Context), slide.With},
			{fmt.Sprintf("After: with the newer %d", r.Context/2), slide.Without},
		} {
			bars := plot.Bars{Title: side.title, X: "probability", High: most}
			for _, c := range side.of.Top {
				bars.Labels, bars.Values = append(bars.Labels, Quote(c.Token)), append(bars.Values, float64(c.Prob))
			}
			if len(bars.Labels) > 0 {
				panels = append(panels, bars)
			}
		}
	}
	return plot.WritePanels(w, f, panels...)
}

// windows is a picture of what the model sees: a row a step, the first on top.
type windows struct{ ForgetResult }

// Size is the size of the picture.
func (windows) Size() (width, height vg.Length) { return 620, 360 }

// Draw draws it.
func (r windows) Draw(c draw.Canvas) {
	p := plot.New()
	p.Title.Text = "What the model sees in each step, and in red what it computes"
	p.X.Label.Text, p.Y.Label.Text = "token of the text", "step"
	p.Add(r)
	p.X.Min, p.X.Max = 0, float64(len(r.Tokens))
	p.Y.Min, p.Y.Max = 0, float64(len(r.Steps))
	p.Y.Scale = gonum.InvertedScale{Normalizer: gonum.LinearScale{}}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.Steps{}, plot.Steps{}
	p.Draw(c)
}

// Plot draws the rows.
func (r windows) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	for i, step := range r.Steps {
		bar := func(from, to int) []vg.Point {
			left, right, low, high := x(float64(from)), x(float64(to)), y(float64(i+1)), y(float64(i))
			return []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}}
		}
		c.FillPolygon(plot.SkyBlue, bar(step.From, step.To+1))
		c.FillPolygon(plot.Vermillion, bar(step.To+1-step.Read, step.To+1))
	}
}
