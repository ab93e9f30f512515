package view

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/printable"
)

// Tally are the parameters of the count of weights.
type Tally struct {
	Shape   string `placeholder:"NAME" help:"Count a model of this shape instead: ${shapes}."`
	Context int    `name:"ctx-size" short:"c" default:"0" placeholder:"N" help:"Tell the size of the keys and values of N tokens (0: of as many as the model can read)."`
}

// Run counts.
func (p *Tally) Run(_ context.Context, in *inspect.Inspector) (Result, error) {
	return p.Of(in.Model.Config, in.Name)
}

// Of counts the weights of a model of shape c, or of the shape that was asked for.
func (p *Tally) Of(c model.Config, name string) (Result, error) {
	if p.Shape != "" {
		var err error
		if c, err = model.Shape(p.Shape); err != nil {
			return nil, inspect.UserError{Err: fmt.Errorf("shape: %w", err)}
		}
		name = p.Shape
	}
	context := cmp.Or(p.Context, c.Context)
	if context < 1 || context > c.Context {
		return nil, inspect.UserError{Err: fmt.Errorf("ctx-size: found %d, expected 1 to %d, as many tokens as the model can read", p.Context, c.Context)}
	}
	return TallyResult{name, inspect.NewTally(c, context)}, nil
}

// TallyResult is what the view shows.
type TallyResult struct {
	Of string `json:"of"`
	*inspect.Tally
}

// Text writes a line for each kind, and what they leave out.
func (r TallyResult) Text(s *Screen) error {
	c := r.Shape
	if err := s.Print("%s: %d layers of %d heads, vectors of %s numbers, a context of %s tokens, a vocabulary of %s\n",
		s.Bold(printable.Text(r.Of)), c.Layers, c.Heads, count(c.Width), count(c.Context), count(c.Vocab)); err != nil {
		return err
	}
	rows := [][]string{{"kind", "matrices", "rows × columns", "weights", "share", "running total"}}
	for _, k := range r.Kinds {
		rows = append(rows, []string{k.Kind, count(k.Matrices), fmt.Sprintf("%s × %s", count(k.Rows), count(k.Cols)), count(k.Weights),
			percent(k.Share), count(k.Total)})
	}
	rows = append(rows, []string{"all kinds", count(r.Matrices), "", count(r.Weights), "", ""})
	for _, o := range r.LeftOut {
		rows = append(rows, []string{o.What, count(o.Tensors), "", count(o.Weights), "", ""})
	}
	rows = append(rows, []string{"all parameters", "", "", count(r.Parameters), "", ""})
	if r.Active > 0 {
		rows = append(rows, []string{activeParameters, "", "", count(r.Active), "", ""})
	}
	var bars [][]string // with a bar for each kind, if there is room for it
	for i, row := range rows {
		bar := ""
		if i > 0 && i <= len(r.Kinds) {
			bar = Bar(float64(r.Kinds[i-1].Share), 8)
		}
		bars = append(bars, append(slices.Clone(row), bar))
	}
	if s.Fits(bars) {
		rows = bars
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	return s.Print("\nin memory, with matrices as %s\nkeys and values of %s tokens: %s", sizes(r.Bytes), count(r.CacheContext), sizes(r.CacheBytes))
}

// sizes is a list of sizes for people.
func sizes(all []inspect.DTypeBytes) string {
	var list []string
	for _, b := range all {
		list = append(list, fmt.Sprintf("%s %s", b.DType, humanize.IBytes(uint64(b.Bytes))))
	}
	return strings.Join(list, ", ")
}

// activeParameters is what Text and Table call those of a mixture of experts.
const activeParameters = "active for each token"

// Table has a row a kind.
func (r TallyResult) Table() [][]string {
	rows := [][]string{{"kind", "matrices", "rows", "columns", "weights", "share", "running total"}}
	for _, b := range r.Bytes {
		rows[0] = append(rows[0], "bytes as "+b.DType)
	}
	for _, k := range r.Kinds {
		row := []string{k.Kind, fmt.Sprint(k.Matrices), fmt.Sprint(k.Rows), fmt.Sprint(k.Cols), fmt.Sprint(k.Weights), number(k.Share), fmt.Sprint(k.Total)}
		for _, b := range k.Bytes {
			row = append(row, fmt.Sprint(b.Bytes))
		}
		rows = append(rows, row)
	}
	blank := make([]string, len(r.Bytes))
	for _, o := range r.LeftOut {
		rows = append(rows, append([]string{o.What, fmt.Sprint(o.Tensors), "", "", fmt.Sprint(o.Weights), "", ""}, blank...))
	}
	last := []string{"all parameters", "", "", "", fmt.Sprint(r.Parameters), "", ""}
	for _, b := range r.Bytes {
		last = append(last, fmt.Sprint(b.Bytes))
	}
	rows = append(rows, last)
	if r.Active > 0 {
		rows = append(rows, append([]string{activeParameters, "", "", "", fmt.Sprint(r.Active), "", ""}, blank...))
	}
	cache := append([]string{fmt.Sprintf("keys and values of %d tokens", r.CacheContext), "", "", "", "", "", ""}, blank...)
	for _, b := range r.CacheBytes {
		if i := slices.Index(rows[0], "bytes as "+b.DType); i >= 0 { // a cache is of a type that weights have too
			cache[i] = fmt.Sprint(b.Bytes)
		}
	}
	return append(rows, cache)
}

// Draw draws a bar a kind.
func (r TallyResult) Draw(w io.Writer, f plot.Format) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s: %s weights in %s matrices", r.Of, count(r.Weights), count(r.Matrices))
	p.X.Label.Text = "weights"
	var values plotter.Values
	var kinds []string
	for i := len(r.Kinds) - 1; i >= 0; i-- { // the first one on top
		values = append(values, float64(r.Kinds[i].Weights))
		kinds = append(kinds, r.Kinds[i].Kind)
	}
	bars, err := plotter.NewBarChart(values, vg.Points(16))
	if err != nil {
		return err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, plot.SkyBlue, 0
	p.Add(bars)
	p.NominalY(kinds...)
	p.X.Min = 0
	p.X.Tick.Marker = gonum.TickerFunc(func(lowest, highest float64) []gonum.Tick {
		ticks := plot.New().X.Tick.Marker.Ticks(lowest, highest)
		for i, t := range ticks {
			if t.Label != "" {
				ticks[i].Label = humanize.SIWithDigits(t.Value, 1, "")
			}
		}
		return ticks
	})
	return plot.Write(w, f, vg.Points(620), vg.Points(60+26*float64(len(kinds))), p.Draw)
}
