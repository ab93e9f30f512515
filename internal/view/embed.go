package view

import (
	"context"
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/printable"
)

// Embed are the parameters of the view of words' vectors.
type Embed struct {
	Words   []string `arg:"" optional:"" name:"word" help:"Words, or a sum such as king - man + woman. The form of a word that begins with a space is taken if that is one token; #17 is token 17."`
	Plus    []string `sep:"," placeholder:"WORD,…" help:"Add these words to the sum of all words."`
	Minus   []string `sep:"," placeholder:"WORD,…" help:"Subtract these words from the sum of all words."`
	On      []string `sep:"," placeholder:"FROM,TO" help:"Project the words on the direction from one word to another, such as he,she."`
	Several string   `enum:"last,mean" default:"last" placeholder:"WHICH" help:"What stands for a word of several tokens: the last of them, or their mean (${default})."`
	Matrix  string   `enum:"embedding,unembedding" default:"embedding" placeholder:"WHICH" help:"Look at the embedding, or at the unembedding, where that is another matrix (${default})."`
	Nearest int      `default:"10" placeholder:"N" help:"Show the N nearest tokens, up to 100 (${default})."`
}

// Run looks the words up.
func (p *Embed) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	words := p.Words
	sum, err := inspect.ParseSum(words)
	if err != nil {
		return nil, err
	}
	if len(sum) > 0 {
		words = nil
	}
	if len(p.Plus)+len(p.Minus) > 0 {
		for _, w := range words {
			sum = append(sum, inspect.EmbedTerm{Sign: 1, Word: w})
		}
		for _, w := range p.Plus {
			sum = append(sum, inspect.EmbedTerm{Sign: 1, Word: w})
		}
		for _, w := range p.Minus {
			sum = append(sum, inspect.EmbedTerm{Sign: -1, Word: w})
		}
		words = nil
	}
	e, err := in.Embed(ctx, words, inspect.EmbedOptions{Matrix: p.Matrix, Mean: p.Several == "mean", Nearest: p.Nearest, Sum: sum, On: p.On})
	if err != nil {
		return nil, err
	}
	return EmbedResult{e}, nil
}

// EmbedResult is what the view shows.
type EmbedResult struct{ *inspect.Embed }

// shownNumbers is how many numbers of a vector a line of text has.
const shownNumbers = 8

// Text writes the words, what is near to them, and the map.
func (r EmbedResult) Text(s *Screen) error {
	tied := ""
	if r.Tied {
		tied = ", which is the unembedding too"
	}
	if err := s.Print("rows of the %s%s: %s tokens, vectors of %s numbers", r.Matrix, tied, count(r.Vocab), count(r.Width)); err != nil {
		return err
	}
	for _, part := range []func(*Screen) error{r.words, r.sum, r.direction, r.cosines, r.places} {
		if err := part(s); err != nil {
			return err
		}
	}
	return nil
}

// words writes each word, with its nearest tokens.
func (r EmbedResult) words(s *Screen) error {
	for _, w := range r.Words {
		if err := s.Print("\n%s: %s", s.Bold(printable.Text(w.Given)), form(w)); err != nil {
			return err
		}
		var numbers []string
		for _, v := range w.Vector[:min(len(w.Vector), shownNumbers)] {
			numbers = append(numbers, fmt.Sprintf("%.4f", float64(v)))
		}
		more := ""
		if len(w.Vector) > shownNumbers {
			more = ", …"
		}
		if err := s.Print("length %.4f: %s%s", float64(w.Norm), strings.Join(numbers, ", "), more); err != nil {
			return err
		}
		if r.Sum != nil { // whose neighbours are asked for
			continue
		}
		if err := nearest(s, w.Nearest); err != nil {
			return err
		}
	}
	return nil
}

// form tells what stands for a word.
func form(w *inspect.EmbedWord) string {
	if w.Taken == "token" {
		return fmt.Sprintf("token %d, %s", w.Tokens[0].ID, Quote(w.Tokens[0]))
	}
	var pieces []string
	for _, t := range w.Tokens {
		pieces = append(pieces, fmt.Sprintf("%s (%d)", Quote(t), t.ID))
	}
	which := "the last one stands for it"
	if w.Taken == "mean" {
		which = "their mean stands for it"
	}
	return fmt.Sprintf("%d tokens, %s; %s", len(w.Tokens), strings.Join(pieces, " "), which)
}

// nearest writes a table of neighbours.
func nearest(s *Screen, list []inspect.Neighbour) error {
	if len(list) == 0 {
		return nil
	}
	rows := [][]string{{"nearest", "id", "cosine", ""}}
	for _, n := range list {
		rows = append(rows, []string{Quote(n.Token), fmt.Sprint(n.ID), fmt.Sprintf("%.4f", float64(n.Cosine)), Bar(float64(n.Cosine), 20)})
	}
	return s.Table(rows)
}

// sum writes the sum, and what is near to it.
func (r EmbedResult) sum(s *Screen) error {
	if r.Sum == nil {
		return nil
	}
	if err := s.Print("\n%s: length %.4f", s.Bold(printable.Text(r.Sum.String())), float64(r.Sum.Norm)); err != nil {
		return err
	}
	if err := nearest(s, r.Sum.Nearest); err != nil {
		return err
	}
	var list []string
	for _, n := range r.Sum.Excluded {
		list = append(list, fmt.Sprintf("%s %.4f (rank %s)", Quote(n.Token), float64(n.Cosine), count(n.Rank)))
	}
	return s.Print("left out, for they are in the sum: %s", strings.Join(list, ", "))
}

// direction writes how far the words lie along it.
func (r EmbedResult) direction(s *Screen) error {
	d := r.Direction
	if d == nil {
		return nil
	}
	if err := s.Print("\ndirection from %s (%s) to %s (%s): length %.4f", s.Bold(printable.Text(d.From.Given)), form(d.From),
		s.Bold(printable.Text(d.To.Given)), form(d.To), float64(d.Norm)); err != nil {
		return err
	}
	rows := [][]string{{"word", "length along it", "share of the way", "cosine", ""}}
	for _, p := range d.Projections {
		rows = append(rows, []string{printable.Text(p.Word), fmt.Sprintf("%.4f", float64(p.Length)), fmt.Sprintf("%.4f", float64(p.Share)),
			fmt.Sprintf("%.4f", float64(p.Cosine)), Bar(float64(p.Share), 20)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	return nearest(s, d.Nearest)
}

// cosines writes those of each two words.
func (r EmbedResult) cosines(s *Screen) error {
	if len(r.Words) < 2 {
		return nil
	}
	rows := [][]string{{"cosine"}}
	for i, w := range r.Words {
		rows[0] = append(rows[0], printable.Text(w.Given))
		row := []string{printable.Text(w.Given)}
		for _, c := range r.Cosines[i] {
			row = append(row, fmt.Sprintf("%.4f", float64(c)))
		}
		rows = append(rows, row)
	}
	if err := s.Print(""); err != nil {
		return err
	}
	return s.Table(rows)
}

// places writes the map.
func (r EmbedResult) places(s *Screen) error {
	if r.Map == nil {
		return nil
	}
	if err := s.Print("\nmap by the first two principal components, which have %s and %s of the variance", percent(r.Map.Explained[0]), percent(r.Map.Explained[1])); err != nil {
		return err
	}
	rows := [][]string{{"point", "", "x", "y"}}
	for _, p := range r.Map.Points {
		rows = append(rows, []string{Quote(inspect.Token{Text: p.Text}), p.Kind, fmt.Sprintf("%.4f", float64(p.X)), fmt.Sprintf("%.4f", float64(p.Y))})
	}
	return s.Table(rows)
}

// Table has a row for each word, neighbour, projection and point.
func (r EmbedResult) Table() [][]string {
	rows := [][]string{{"what", "of", "id", "text", "cosine", "rank", "length", "share", "x", "y"}}
	neighbours := func(what, of string, list []inspect.Neighbour) {
		for _, n := range list {
			rows = append(rows, []string{what, of, fmt.Sprint(n.ID), n.Text, number(n.Cosine), fmt.Sprint(n.Rank), "", "", "", ""})
		}
	}
	for _, w := range r.Words {
		id := ""
		if w.Taken == "token" {
			id = fmt.Sprint(w.Tokens[0].ID)
		}
		rows = append(rows, []string{"word", w.Given, id, w.Text, "", "", number(w.Norm), "", "", ""})
		neighbours("nearest", w.Given, w.Nearest)
	}
	if r.Sum != nil {
		rows = append(rows, []string{"sum", r.Sum.String(), "", "", "", "", number(r.Sum.Norm), "", "", ""})
		neighbours("nearest", r.Sum.String(), r.Sum.Nearest)
		neighbours("left out", r.Sum.String(), r.Sum.Excluded)
	}
	if d := r.Direction; d != nil {
		of := d.From.Given + "," + d.To.Given
		rows = append(rows, []string{"direction", of, "", "", "", "", number(d.Norm), "", "", ""})
		for _, p := range d.Projections {
			rows = append(rows, []string{"projection", of, "", p.Word, number(p.Cosine), "", number(p.Length), number(p.Share), "", ""})
		}
		neighbours("nearest", of, d.Nearest)
	}
	if r.Map != nil {
		for _, p := range r.Map.Points {
			rows = append(rows, []string{"point", p.Kind, "", p.Text, "", "", "", "", number(p.X), number(p.Y)})
		}
	}
	return rows
}

// Draw draws the map.
func (r EmbedResult) Draw(w io.Writer, f plot.Format) error {
	if r.Map == nil {
		if len(r.Words) > 1 || r.Sum != nil || r.Direction != nil || slices.ContainsFunc(r.Words, func(w *inspect.EmbedWord) bool { return len(w.Nearest) > 0 }) {
			return inspect.Userf("there is no map: not all numbers of the vectors are finite, so the model's weights are at fault")
		}
		return inspect.Userf("there is no map of one word without its nearest tokens: give more words, or ask for tokens that are near")
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Rows of the %s", r.Matrix)
	p.X.Label.Text = "first principal component, " + percent(r.Map.Explained[0]) + " of the variance"
	p.Y.Label.Text = "second, " + percent(r.Map.Explained[1])
	colours := map[string]color.Color{"word": plot.SkyBlue, "sum": plot.Vermillion, "end": plot.SkyBlue, "nearest": color.Gray{150}}
	labels := plotter.XYLabels{}
	for _, point := range r.Map.Points {
		labels.XYs = append(labels.XYs, plotter.XY{X: float64(point.X), Y: float64(point.Y)})
		labels.Labels = append(labels.Labels, printable.Text(strings.TrimSpace(point.Text)))
	}
	points, err := plotter.NewScatter(labels.XYs)
	if err != nil {
		return err
	}
	points.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		return draw.GlyphStyle{Color: colours[r.Map.Points[i].Kind], Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
	}
	names, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range names.TextStyle {
		names.TextStyle[i].Font = p.X.Tick.Label.Font
		names.TextStyle[i].Font.Size = 9
	}
	names.Offset = vg.Point{X: 5, Y: 3}
	p.Add(points, names)
	// Room for the names of points at the right.
	p.X.Max += 0.15 * (p.X.Max - p.X.Min)
	if p.X.Max <= p.X.Min {
		p.X.Max = p.X.Min + 1
	}
	if p.Y.Max <= p.Y.Min {
		p.Y.Max = p.Y.Min + 1
	}
	return plot.Write(w, f, vg.Points(620), vg.Points(460), p.Draw)
}
