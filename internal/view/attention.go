package view

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/table"
)

// Attention are the parameters of the view of who looks at whom.
type Attention struct {
	Text
	Layer     *int `placeholder:"N" help:"This layer alone, from 0, with its maps."`
	Head      *int `placeholder:"N" help:"This head alone, from 0, with its map; of all layers, unless one is chosen."`
	Weighted  bool `help:"Multiply probabilities by the length of what the head takes from there: a head may look at a place and take next to nothing."`
	Position  *int `placeholder:"N" help:"List the pairs of this position alone, from 0, or from the end: -1 is the last."`
	SkipFirst bool `help:"List no pairs that look at the first token, where many heads look when they find nothing else."`
	Top       int  `default:"10" placeholder:"N" help:"How many of the strongest pairs are listed (${default})."`
}

// Run looks.
func (p *Attention) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	a, err := in.Attention(ctx, ids, inspect.AttentionOptions{
		Layer: p.Layer, Head: p.Head, Weighted: p.Weighted, Position: p.Position, SkipFirst: p.SkipFirst, Top: p.Top,
	})
	if err != nil {
		return nil, err
	}
	return AttentionResult{a}, nil
}

// AttentionResult is what the view shows.
type AttentionResult struct{ *inspect.AttentionMaps }

// Text writes the map of a single head, a line for each head, and the strongest pairs.
func (r AttentionResult) Text(s *Screen) error {
	if err := s.Print("%s tokens, %s; weights are %s\n", count(len(r.Tokens)), r.which(), r.weights()); err != nil {
		return err
	}
	if len(r.Heads) == 1 && r.MapsLeftOut == "" {
		if err := r.printMap(s, r.Heads[0]); err != nil {
			return err
		}
	}
	rows := [][]string{{"layer", "head", "strongest pair", "weight", "entropy", "first", "self", "previous", "distance"}}
	for _, h := range r.Heads {
		pair, weight := "", ""
		if len(h.Strongest) > 0 {
			pair, weight = r.pair(h.Strongest[0]), number3(h.Strongest[0].Weight)
		}
		rows = append(rows, []string{fmt.Sprint(h.Layer), fmt.Sprint(h.Head), pair, weight,
			number3(h.Entropy), number3(h.First), number3(h.Self), number3(h.Previous), number3(h.Distance)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	note := "The last five columns are means over the positions behind the first: entropy of where a position looks, in nats (0: at one place); how much goes to the first token, to the position itself, to the one before; how many positions back."
	if r.Weighted {
		note += " Weights of a position are divided by their sum for them."
	}
	if r.MapsLeftOut != "" {
		note += " There are no maps: " + r.MapsLeftOut + "."
	}
	if err := s.Print(""); err != nil {
		return err
	}
	if err := s.Note(note); err != nil {
		return err
	}
	if len(r.Pairs) == 0 {
		return nil
	}
	rows = [][]string{{"layer", "head", "from", "looks at", "positions", "probability"}}
	if r.Weighted {
		rows[0] = append(rows[0], "takes", "weight")
	}
	rows[0] = append(rows[0], "")
	for _, p := range r.Pairs {
		row := []string{fmt.Sprint(p.Layer), fmt.Sprint(p.Head), Quote(r.Tokens[p.From]), Quote(r.Tokens[p.To]), fmt.Sprintf("%d → %d", p.From, p.To), number3(p.Prob)}
		if r.Weighted {
			row = append(row, number3(*p.Carried), number3(p.Weight))
		}
		rows = append(rows, append(row, Bar(float64(p.Weight/r.Pairs[0].Weight), 12)))
	}
	if err := s.Print("\nthe strongest pairs\n"); err != nil {
		return err
	}
	return s.Table(rows)
}

func (r AttentionResult) which() string {
	switch first := r.Heads[0]; {
	case len(r.Heads) == 1:
		return fmt.Sprintf("head %d of layer %d", first.Head, first.Layer)
	case r.Heads[1].Layer != first.Layer && len(r.Heads) == r.Layers && r.HeadsPerLayer > 1:
		return fmt.Sprintf("head %d of %d layers", first.Head, r.Layers)
	case r.Heads[len(r.Heads)-1].Layer == first.Layer:
		return fmt.Sprintf("%d heads of layer %d", len(r.Heads), first.Layer)
	}
	return fmt.Sprintf("%d heads of %d layers", len(r.Heads), r.Layers)
}

func (r AttentionResult) weights() string {
	if r.Weighted {
		return "probabilities × lengths of what is taken"
	}
	return "probabilities"
}

func (r AttentionResult) pair(p inspect.AttentionPair) string {
	return fmt.Sprintf("%s → %s", Quote(r.Tokens[p.From]), Quote(r.Tokens[p.To]))
}

// printMap writes a head's map, a row for each position that looks, if it fits.
func (r AttentionResult) printMap(s *Screen, h inspect.AttentionHead) error {
	labels := make([]string, len(r.Tokens))
	width := 0
	for i, t := range r.Tokens {
		labels[i] = fmt.Sprintf("%3d %s", i, Quote(t))
		width = max(width, table.Width(labels[i]))
	}
	cell := 3 // 100 % is beside dots only
	if r.Weighted {
		cell = 4
	}
	if needed := width + 1 + cell*len(r.Tokens); s.Columns > 0 && needed > s.Columns || len(r.Tokens) > 200 {
		return s.Print("%s\n", s.Faint(fmt.Sprintf("the map of %d × %d positions is too wide for text: see it as a picture", len(r.Tokens), len(r.Tokens))))
	}
	highest := r.highest(h)
	var head strings.Builder
	for i := range r.Tokens {
		fmt.Fprintf(&head, "%*d", cell, i)
	}
	if err := s.Print("%s %s", strings.Repeat(" ", width), s.Faint(head.String())); err != nil {
		return err
	}
	for i, row := range h.Map {
		var line strings.Builder
		for _, w := range row {
			share := float64(w) / highest
			text := "·"
			if percent := math.Round(100 * share); percent >= 1 {
				text = fmt.Sprintf("%.0f", percent)
			} else if math.IsNaN(share) {
				text = "?"
			}
			text = fmt.Sprintf("%*s", cell, text)
			line.WriteString(s.Shade(share, text))
		}
		if err := s.Print("%s%s %s", labels[i], strings.Repeat(" ", width-table.Width(labels[i])), line.String()); err != nil {
			return err
		}
	}
	unit := "in percent"
	if r.Weighted {
		unit = fmt.Sprintf("in percent of the largest weight, %.3g", highest)
	}
	return s.Print("%s\n", s.Faint("each row looks at columns up to itself, "+unit))
}

// highest is the weight that maps show darkest: 1, or the largest if they are weighted.
func (r AttentionResult) highest(heads ...inspect.AttentionHead) float64 {
	if !r.Weighted {
		return 1
	}
	most := 0.0
	for _, h := range heads {
		for _, row := range h.Map {
			for _, w := range row {
				if w := float64(w); w > most && !math.IsInf(w, 1) {
					most = w
				}
			}
		}
	}
	return most
}

// Table has a row for each pair of positions if the heads have maps, else one for each
// head.
func (r AttentionResult) Table() [][]string {
	if r.MapsLeftOut != "" {
		rows := [][]string{{"layer", "head", "entropy", "first", "self", "previous", "distance", "strongest from", "strongest to", "strongest weight"}}
		for _, h := range r.Heads {
			row := []string{fmt.Sprint(h.Layer), fmt.Sprint(h.Head), number(h.Entropy), number(h.First), number(h.Self), number(h.Previous), number(h.Distance), "", "", ""}
			if len(h.Strongest) > 0 {
				p := h.Strongest[0]
				row = append(row[:7], fmt.Sprint(p.From), fmt.Sprint(p.To), number(p.Weight))
			}
			rows = append(rows, row)
		}
		return rows
	}
	rows := [][]string{{"layer", "head", "from", "from text", "to", "to text", "weight"}}
	for _, h := range r.Heads {
		for i, row := range h.Map {
			for j, w := range row {
				rows = append(rows, []string{fmt.Sprint(h.Layer), fmt.Sprint(h.Head), fmt.Sprint(i), r.Tokens[i].Text, fmt.Sprint(j), r.Tokens[j].Text, number(w)})
			}
		}
	}
	return rows
}

// maxLabelled is the most positions of which a map labels each with its token.
const maxLabelled = 96

// Draw draws the map of one head, with tokens on both axes; those of several heads
// without tokens; or, where there are no maps, the figures of all heads.
func (r AttentionResult) Draw(w io.Writer, f plot.Format) error {
	if r.MapsLeftOut != "" {
		return plot.WritePanels(w, f, r.figures()...)
	}
	title := fmt.Sprintf("%s: who looks at whom, %s", r.which(), r.weights())
	var labels []string
	if len(r.Heads) == 1 {
		for i, t := range r.Tokens {
			labels = append(labels, fmt.Sprintf("%d %s", i, Quote(t)))
		}
	}
	if len(r.Heads) == 1 && len(r.Tokens) <= maxLabelled {
		return plot.WritePanels(w, f, plot.Heat{
			Title: title, X: "is looked at", Y: "looks", Rows: labels, Columns: labels, Values: widened(r.Heads[0].Map), High: r.highest(r.Heads[0]),
		})
	}
	m := plot.Maps{Title: title + "; a row looks at columns", Labels: labels, High: r.highest(r.Heads...)}
	for _, h := range r.Heads {
		m.Titles = append(m.Titles, fmt.Sprintf("layer %d, head %d", h.Layer, h.Head))
		m.Values = append(m.Values, widened(h.Map))
	}
	return plot.WritePanels(w, f, m)
}

// figures are a map for each figure of a head: a row a layer, a column a head.
func (r AttentionResult) figures() (panels []plot.Panel) {
	for _, f := range []struct {
		title string
		of    func(inspect.AttentionHead) inspect.Float
		high  float64 // 0: the largest
	}{
		{"how much goes to the first token", func(h inspect.AttentionHead) inspect.Float { return h.First }, 1},
		{"how much goes to the position itself", func(h inspect.AttentionHead) inspect.Float { return h.Self }, 1},
		{"how much goes to the position before", func(h inspect.AttentionHead) inspect.Float { return h.Previous }, 1},
		{"entropy in nats", func(h inspect.AttentionHead) inspect.Float { return h.Entropy }, 0},
		{"how many positions back", func(h inspect.AttentionHead) inspect.Float { return h.Distance }, 0},
	} {
		m := plot.Heat{Title: f.title, X: "head", Y: "layer", High: f.high}
		last := -1
		for _, h := range r.Heads {
			if h.Layer != last {
				last = h.Layer
				m.Rows, m.Values, m.Cells = append(m.Rows, fmt.Sprint(h.Layer)), append(m.Values, nil), append(m.Cells, nil)
			}
			if len(m.Rows) == 1 {
				m.Columns = append(m.Columns, fmt.Sprint(h.Head))
			}
			v := float64(f.of(h))
			end := len(m.Rows) - 1
			m.Values[end], m.Cells[end] = append(m.Values[end], v), append(m.Cells[end], fmt.Sprintf("%.2f", v))
			if f.high == 0 && v > m.High {
				m.High = v
			}
		}
		panels = append(panels, m)
	}
	return panels
}

// widened are rows of a map as pictures take them.
func widened(rows [][]inspect.Float) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], float64(v))
		}
	}
	return out
}
