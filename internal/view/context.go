package view

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"caldera/gpt/tokenizer"
	"caldera/inspect"
	"caldera/internal/plot"
)

// Context are the parameters of the view of a word in two texts.
type Context struct {
	First   string `arg:"" help:"A text with the word."`
	Second  string `arg:"" help:"Another text with the word."`
	Word    string `placeholder:"WORD" help:"The word to compare (default: the last one of both texts, if that is the same, else the longest that both have)."`
	At      []int  `placeholder:"P,Q" help:"Compare these positions, one of each text, from 0, or from the end: -1 is the last."`
	IDs     bool   `name:"ids" help:"Both texts are token ids such as 5,17,3."`
	Special bool   `help:"Read <|endoftext|> and other special tokens in the texts as such, not as letters."`
	Top     int    `default:"3" placeholder:"N" help:"How many of the likeliest next tokens are listed for each vector, and of the tokens that moved it (${default})."`
}

// Run looks.
func (p *Context) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	var texts [2][]int
	for i, text := range []string{p.First, p.Second} {
		var err error
		if p.IDs {
			texts[i], err = parseIDs(text, in.Model.Vocab)
		} else if p.Special {
			texts[i], err = in.Encode(text, tokenizer.AllowSpecial)
		} else {
			texts[i], err = in.Encode(text)
		}
		if err != nil {
			return nil, inspect.UserError{Err: fmt.Errorf("%s text: %w", []string{"first", "second"}[i], err)}
		}
	}
	word, at, err := p.find(in, texts)
	if err != nil {
		return nil, err
	}
	c, err := in.Context(ctx, texts[0], texts[1], inspect.ContextOptions{First: at[0], Second: at[1], Top: p.Top})
	if err != nil {
		return nil, err
	}
	return ContextResult{word, c, p.Top}, nil
}

// find returns the word and its positions; the word is empty if positions are given.
func (p *Context) find(in *inspect.Inspector, texts [2][]int) (word string, at [2]int, err error) {
	switch {
	case len(p.At) > 0 && p.Word != "":
		return "", at, inspect.Userf("both a word and positions: give one of them")
	case len(p.At) == 2:
		return "", [2]int(p.At), nil
	case len(p.At) > 0:
		return "", at, inspect.Userf("%d positions: expected two, one of each text", len(p.At))
	case p.Word == "":
		return in.SharedWord(texts[0], texts[1])
	}
	for i, ids := range texts {
		if at[i], err = in.FindWord(ids, p.Word); err != nil {
			return "", at, err
		}
	}
	return p.Word, at, nil
}

// ContextResult is what the view shows.
type ContextResult struct {
	Word string `json:"word"` // empty if positions were chosen
	*inspect.Contexts
	top int // of what moved the vector, in text
}

// texts are both, with names.
func (r ContextResult) texts() []struct {
	name string
	inspect.ContextText
} {
	return []struct {
		name string
		inspect.ContextText
	}{{"first", r.First}, {"second", r.Second}}
}

// atWord is the token whose vector is looked at.
func atWord(t inspect.ContextText) string { return Quote(t.Tokens[t.Position]) }

// Text writes how far the vectors are apart, and what moved them.
func (r ContextResult) Text(s *Screen) error {
	if err := s.Print("%s at position %d of the first text, %s at position %d of the second\n",
		s.Bold(atWord(r.First)), r.First.Position, s.Bold(atWord(r.Second)), r.Second.Position); err != nil {
		return err
	}
	rows := [][]string{{"after", "cosine distance", "distance", "relative", "", "likeliest next, first text", "likeliest next, second text"}}
	row := func(name string, a inspect.Apart) []string {
		return []string{name, number3(a.CosineDistance), number3(a.Euclidean), number3(a.Relative), Bar(float64(a.Relative)/2, 12)}
	}
	if r.WithoutPosition != nil {
		rows = append(rows, append(row("token alone", *r.WithoutPosition), "", ""))
	}
	for i, a := range r.Apart {
		name := after(i)
		if i == 0 && r.WithoutPosition != nil {
			name = "token and position"
		} else if i == 0 {
			name = "token alone"
		}
		rows = append(rows, append(row(name, a), candidates(r.First.Stages[i].Nearest), candidates(r.Second.Stages[i].Nearest)))
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if err := s.Print(""); err != nil {
		return err
	}
	if err := s.Note("cosine distance: 1 less the cosine of the angle between both vectors; relative: the distance, divided by the mean of both lengths; likeliest next: which tokens the model would expect if it ended there (the logit lens)"); err != nil {
		return err
	}
	for _, t := range r.texts() {
		if err := s.Print("\nwhat moved the vector of the %s text away from the other one, or towards it (below 0)\n", t.name); err != nil {
			return err
		}
		rows := [][]string{{"block", "attention", "most by", "MLP"}}
		for _, b := range t.Blocks {
			sum := inspect.Float(0)
			for _, m := range b.Positions {
				sum += m.Away
			}
			if b.Bias != nil {
				sum += b.Bias.Away
			}
			rows = append(rows, []string{fmt.Sprint(b.Block), signed(sum), r.movers(t.ContextText, b), signed(b.MLP.Away)})
		}
		if err := s.Table(rows); err != nil {
			return err
		}
	}
	return nil
}

// movers are the positions from which attention took what moved the vector most.
func (r ContextResult) movers(t inspect.ContextText, b inspect.ContextBlock) string {
	order := make([]int, len(b.Positions))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return byMagnitude(float64(b.Positions[i].Away), float64(b.Positions[j].Away))
	})
	var list []string
	for _, i := range order[:min(r.top, len(order))] {
		list = append(list, fmt.Sprintf("%d %s %s", i, Quote(t.Tokens[i]), signed(b.Positions[i].Away)))
	}
	return strings.Join(list, ", ")
}

// Table has rows of how far the vectors are apart, and of what moved them.
func (r ContextResult) Table() [][]string {
	rows := [][]string{{"what", "text", "blocks", "position", "token", "cosine distance", "distance", "relative", "weight", "length", "away"}}
	distance := func(what, blocks string, a inspect.Apart) {
		rows = append(rows, []string{what, "", blocks, "", "", number(a.CosineDistance), number(a.Euclidean), number(a.Relative), "", "", ""})
	}
	if r.WithoutPosition != nil {
		distance("apart without position", "0", *r.WithoutPosition)
	}
	for i, a := range r.Apart {
		distance("apart", fmt.Sprint(i), a)
	}
	for _, t := range r.texts() {
		for _, b := range t.Blocks {
			move := func(what, position, token, weight string, m inspect.Move) {
				rows = append(rows, []string{what, t.name, fmt.Sprint(b.Block + 1), position, token, "", "", "", weight, number(m.Length), number(m.Away)})
			}
			for i, m := range b.Positions {
				move("attention", fmt.Sprint(i), t.Tokens[i].Text, number(m.Weight), m.Move)
			}
			if b.Bias != nil {
				move("attention bias", "", "", "", *b.Bias)
			}
			move("mlp", "", "", "", b.MLP)
		}
	}
	return rows
}

// maxMovers is the most positions of a text that the picture shows.
const maxMovers = 40

// Draw draws how far the vectors are apart, and a map of what moved each.
func (r ContextResult) Draw(w io.Writer, f plot.Format) error {
	b := plot.Bars{Title: fmt.Sprintf("how far %s in the first text and %s in the second are apart", atWord(r.First), atWord(r.Second)), X: "distance, divided by the mean of both lengths"}
	bar := func(name string, a inspect.Apart) {
		b.Labels, b.Values = append(b.Labels, name), append(b.Values, float64(a.Relative))
	}
	if r.WithoutPosition != nil {
		bar("token alone", *r.WithoutPosition)
	}
	for i, a := range r.Apart {
		bar(after(i), a)
	}
	panels := []plot.Panel{b}
	for _, t := range r.texts() {
		panels = append(panels, r.moved(t.name, t.ContextText))
	}
	return plot.WritePanels(w, f, panels...)
}

// moved is a map of what moved a vector, a row a block.
func (r ContextResult) moved(name string, t inspect.ContextText) plot.Panel {
	most := make([]float64, len(t.Tokens)) // of each position
	h := plot.Heat{Title: fmt.Sprintf("what moved the vector of the %s text: away from the other (blue), or towards it (red)", name), Y: "block"}
	for _, b := range t.Blocks {
		for i, m := range b.Positions {
			if away := math.Abs(float64(m.Away)); away > most[i] {
				most[i] = away
			}
		}
	}
	shown := make([]int, len(most))
	for i := range shown {
		shown[i] = i
	}
	slices.SortStableFunc(shown, func(i, j int) int { return cmp.Compare(most[j], most[i]) })
	shown = shown[:min(maxMovers, len(shown))]
	slices.Sort(shown)
	for _, i := range shown {
		h.Columns = append(h.Columns, fmt.Sprintf("%d %s", i, Quote(t.Tokens[i])))
	}
	if len(shown) < len(most) {
		h.X = fmt.Sprintf("the %d of %d positions that moved it most, and the MLP", len(shown), len(most))
	}
	h.Columns = append(h.Columns, "MLP")
	for _, b := range t.Blocks {
		var row []float64
		for _, i := range shown {
			row = append(row, float64(b.Positions[i].Away))
		}
		row = append(row, float64(b.MLP.Away))
		for _, v := range row {
			if v = math.Abs(v); v > h.High {
				h.High = v
			}
		}
		h.Rows, h.Values = append(h.Rows, fmt.Sprint(b.Block)), append(h.Values, row)
	}
	return h
}
