package view

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/printable"
)

// Lens are the parameters of the view of what blocks do for the next token.
type Lens struct {
	Text
	Show      string   `enum:"all,lens,attribution,ablation" default:"all" placeholder:"WHAT" help:"What to compute: lens, what the model would say after each block; attribution, what each part added to the answer's score; ablation, what changes without some parts; or all (default: ${default})."`
	Answer    string   `placeholder:"TOKEN" help:"The token that is looked for: its text, which often begins with a space, or its id such as #17 (default: the one that the model holds for the likeliest)."`
	Against   string   `placeholder:"TOKEN" help:"Attribute the difference of the answer's score from that of this token."`
	Position  int      `default:"-1" placeholder:"N" help:"After which position of the text, below 0 from its end (default: the last)."`
	Positions int      `default:"8" placeholder:"N" help:"How many positions, that one and those before it, the lens looks at; 0 for all (default: ${default})."`
	Off       []string `sep:"," placeholder:"PARTS" help:"Switch parts off: 3 for block 3, or 3.attention, 3.mlp, 3.head.5, with commas between."`
	Each      string   `enum:"none,blocks,attention,mlp,heads" default:"none" placeholder:"KIND" help:"Switch off each part of a kind alone, one after the other: blocks, attention, mlp, heads, or none (default: ${default})."`
	Top       int      `default:"5" placeholder:"N" help:"How many of the likeliest tokens are listed (default: ${default})."`
}

// maxListed is the most tokens that are listed at a place.
const maxListed = 100

// kinds are the parts that Each switches off.
var kinds = map[string]inspect.PartKind{"blocks": inspect.WholeBlock, "attention": inspect.Attention, "mlp": inspect.MLP, "heads": inspect.Head}

// Run looks.
func (p *Lens) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	answer, err := tokenOf(in, "answer", p.Answer)
	if err != nil {
		return nil, err
	}
	against, err := tokenOf(in, "against", p.Against)
	if err != nil {
		return nil, err
	}
	at := p.Position
	if at < 0 {
		at += len(ids)
	}
	switch {
	case at < 0 || at >= len(ids):
		return nil, inspect.Userf("position %d: the text has positions 0 to %d, or -%d to -1 from its end", p.Position, len(ids)-1, len(ids))
	case p.Positions < 0:
		return nil, inspect.Userf("positions %d: expected 0 or more", p.Positions)
	case p.Top < 1 || p.Top > maxListed:
		return nil, inspect.Userf("top %d: expected 1 to %d of the likeliest tokens", p.Top, maxListed)
	}
	if ablates := p.Show == "all" || p.Show == "ablation"; !ablates && (len(p.Off) > 0 || p.Each != "none") {
		return nil, inspect.Userf("parts are to be switched off, which is not shown: with off or each, show all or ablation, not %s", p.Show)
	}
	if against >= 0 && p.Show != "all" && p.Show != "attribution" {
		return nil, inspect.Userf("against is of the attribution, which is not shown: show all or attribution, not %s", p.Show)
	}
	r := &LensResult{Position: at, vocab: in.Model.Vocab}
	if answer >= 0 {
		token := in.Token(answer)
		r.Answer = &token
	}
	if p.Show == "all" || p.Show == "lens" {
		from := 0
		if p.Positions > 0 {
			from = max(0, at+1-p.Positions)
		}
		if r.Lens, err = in.Lens(ctx, ids, inspect.LensOptions{From: from, To: at + 1, Token: answer, Top: p.Top}); err != nil {
			return nil, err
		}
	}
	if p.Show == "all" || p.Show == "attribution" {
		if r.Attribution, err = in.Attribution(ctx, ids, inspect.AttributionOptions{Position: at, Token: answer, Against: against}); err != nil {
			return nil, err
		}
	}
	if p.Show == "all" || p.Show == "ablation" {
		if err := p.ablate(ctx, in, ids, at, answer, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ablate switches parts off.
func (p *Lens) ablate(ctx context.Context, in *inspect.Inspector, ids []int, at, answer int, r *LensResult) error {
	var off []inspect.Part
	for _, name := range p.Off {
		part, err := inspect.ParsePart(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		off = append(off, part)
	}
	kind, each := kinds[p.Each]
	if len(off) == 0 && !each {
		if p.Show == "ablation" {
			return inspect.Userf("nothing is to be switched off: say which parts with off, such as 3.mlp, or each of a kind with each, such as heads")
		}
		return nil
	}
	var offs [][]inspect.Part
	if len(off) > 0 {
		offs = append(offs, off)
	}
	if each {
		for _, part := range in.Parts(kind) {
			offs = append(offs, []inspect.Part{part})
		}
	}
	all, err := in.AblateEach(ctx, ids, offs, inspect.AblationOptions{Position: at, Token: answer, Top: p.Top})
	if err != nil {
		return err
	}
	if len(off) > 0 {
		r.Ablation, all = &all[0], all[1:]
	}
	if each {
		r.Each = all
	}
	return nil
}

// tokenOf is the id of a token that a parameter names: by its text, or by its id
// behind a #. It is -1 if none is named.
func tokenOf(in *inspect.Inspector, parameter, named string) (int, error) {
	if named == "" {
		return -1, nil
	}
	number, isID := strings.CutPrefix(named, "#")
	if isID || in.Tokenizer == nil {
		if id, err := strconv.Atoi(number); err == nil && id >= 0 && id < in.Model.Vocab {
			return id, nil
		}
		if in.Tokenizer == nil {
			return 0, inspect.Userf("%s %q: this model has no tokenizer, so expected the id of a token, 0 to %d", parameter, named, in.Model.Vocab-1)
		}
	}
	if id, ok := in.Tokenizer.SpecialID(named); ok {
		return id, nil
	}
	ids, err := in.Tokenizer.Encode(named)
	if err != nil {
		return 0, inspect.UserError{Err: fmt.Errorf("%s: %w", parameter, err)}
	}
	if len(ids) == 1 {
		return ids[0], in.Fits(ids)
	}
	if isID {
		return 0, inspect.Userf("%s %q: expected the text of one token, or # and an id from 0 to %d", parameter, named, in.Model.Vocab-1)
	}
	var pieces []string
	for _, id := range ids[:min(len(ids), 8)] {
		pieces = append(pieces, Quote(in.Token(id)))
	}
	if len(ids) > len(pieces) {
		pieces = append(pieces, "…")
	}
	hint := ""
	if spaced, err := in.Tokenizer.Encode(" " + named); err == nil && len(spaced) == 1 {
		hint = fmt.Sprintf("; with a space before it, it is one: %q", " "+named)
	}
	return 0, inspect.Userf("%s %q is %d tokens, %s: expected one%s", parameter, named, len(ids), strings.Join(pieces, " "), hint)
}

// LensResult is what the view shows. What was not asked for is null.
type LensResult struct {
	Position    int                  `json:"position"` // after which the answer comes
	Answer      *inspect.Token       `json:"answer"`   // null: at each position the likeliest one
	Lens        *inspect.Lens        `json:"lens"`
	Attribution *inspect.Attribution `json:"attribution"`
	Ablation    *inspect.Ablation    `json:"ablation"` // without all parts that are off
	Each        []inspect.Ablation   `json:"each"`     // without one part at a time

	vocab int
}

// after is what the row of a lens is called.
func after(blocks int) string {
	if blocks == 0 {
		return "embedding"
	}
	return fmt.Sprintf("block %d", blocks-1)
}

// partOf is what a part of an attribution is called.
func partOf(r inspect.AttributionRow) string {
	if r.Block < 0 {
		return r.Part
	}
	return fmt.Sprintf("block %d %s", r.Block, r.Part)
}

// Table has a row for each number that is about one place: a cell of the lens, a part
// or head that added to the score, an ablation.
func (r *LensResult) Table() [][]string {
	rows := [][]string{{"what", "position", "after", "part", "token id", "token", "score", "prob", "rank", "entropy", "kl"}}
	add := func(what string, at int, after, part string, t inspect.Token, cells ...string) {
		rows = append(rows, append([]string{what, fmt.Sprint(at), after, part, fmt.Sprint(t.ID), t.Text}, cells...))
	}
	outcome := func(o inspect.Outcome, kl string) []string {
		return []string{number(o.Score), number(o.Prob), fmt.Sprint(o.Rank), number(o.Entropy), kl}
	}
	if l := r.Lens; l != nil {
		for i, cells := range l.Blocks {
			for j, c := range cells {
				add("lens", l.From+j, after(i), "", l.Answers[j], outcome(c.Outcome, number(c.KL))...)
			}
		}
	}
	if a := r.Attribution; a != nil {
		worth := func(part string, score inspect.Float) {
			add("attribution", a.Position, "", part, a.Token, number(score), "", "", "", "")
		}
		for _, row := range a.Rows {
			for h, score := range row.Heads {
				worth(inspect.Part{Block: row.Block, Kind: inspect.Head, Head: h}.String(), score)
			}
			worth(partOf(row), row.Score)
		}
		worth("sum", a.Sum)
		worth("score", a.Score)
	}
	all := slices.Clone(r.Each)
	if r.Ablation != nil {
		all = append([]inspect.Ablation{*r.Ablation}, all...)
	}
	for i, a := range all {
		if i == 0 {
			add("ablation", a.Position, "", "none", a.Token, outcome(a.Before, "0")...)
		}
		add("ablation", a.Position, "", partNames(a.Off), a.Token, outcome(a.After, number(a.KL))...)
	}
	return rows
}

func partNames(parts []inspect.Part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// Draw draws the lens as a map, and parts as bars, one below the other.
func (r *LensResult) Draw(w io.Writer, f plot.Format) error {
	var panels []plot.Panel
	if r.Lens != nil {
		panels = append(panels, r.likeliest(), r.ranks())
	}
	if a := r.Attribution; a != nil {
		b := plot.Bars{Title: fmt.Sprintf("what added to the score of %s: %s in all", scoreOf(a), number3(a.Score)), X: "score"}
		for _, row := range a.Rows {
			b.Labels, b.Values = append(b.Labels, partOf(row)), append(b.Values, float64(row.Score))
		}
		panels = append(panels, b)
	}
	if a := r.Ablation; a != nil {
		b := plot.Bars{Title: "without " + partNames(a.Off), X: "probability"}
		for _, c := range a.Changes {
			b.Labels = append(b.Labels, Quote(c.Token)+" before", "without")
			b.Values = append(b.Values, float64(c.Before), float64(c.After))
		}
		panels = append(panels, b)
	}
	if len(r.Each) > 0 {
		panels = append(panels, r.eachPanel())
	}
	return plot.WritePanels(w, f, panels...)
}

// likeliest is a map of the likeliest tokens.
func (r *LensResult) likeliest() plot.Panel {
	return r.lensMap("the likeliest next token after each block, by its probability", func(c inspect.LensCell) (float64, string) {
		return float64(c.Top[0].Prob), printable.Text(c.Top[0].Text)
	})
}

// ranks is a map of the answer's ranks: the darkest cell is of rank 1, a white one of
// the last.
func (r *LensResult) ranks() plot.Panel {
	of := "what the model says at the end"
	if r.Answer != nil {
		of = Quote(*r.Answer)
	}
	return r.lensMap("rank of "+of, func(c inspect.LensCell) (float64, string) {
		if c.Rank < 1 {
			return math.NaN(), ""
		}
		return 1 - math.Log(float64(c.Rank))/math.Log(float64(max(r.vocab, 2))), count(c.Rank)
	})
}

// widest is the most columns whose cells have text in them.
const widest = 64

// lensMap is a map of blocks and positions. of is the number of a cell, up to 1, and
// what is written in it.
func (r *LensResult) lensMap(title string, of func(inspect.LensCell) (float64, string)) plot.Panel {
	l := r.Lens
	h := plot.Heat{Title: title, X: "position", Y: "after", High: 1}
	for j := range l.Answers {
		h.Columns = append(h.Columns, printable.Text(l.Tokens[l.From+j].Text))
	}
	for i, cells := range slices.Backward(l.Blocks) { // the model's answer on top
		var values []float64
		var texts []string
		for _, c := range cells {
			value, text := of(c)
			values, texts = append(values, value), append(texts, text)
		}
		h.Rows, h.Values, h.Cells = append(h.Rows, after(i)), append(h.Values, values), append(h.Cells, texts)
	}
	if len(h.Columns) > widest {
		h.Cells = nil
	}
	return h
}

// eachPanel shows by how much the logarithm of the answer's probability changes.
func (r *LensResult) eachPanel() plot.Panel {
	title := fmt.Sprintf("change of ln of the probability of %s without each", Quote(r.Each[0].Token))
	if r.Each[0].Off[0].Kind != inspect.Head {
		b := plot.Bars{Title: title, X: "nats"}
		for _, a := range r.Each {
			b.Labels, b.Values = append(b.Labels, partNames(a.Off)), append(b.Values, change(a))
		}
		return b
	}
	h := plot.Heat{Title: title + " head", X: "head", Y: "block"}
	for _, a := range r.Each {
		p := a.Off[0]
		if p.Head == 0 {
			h.Rows, h.Values, h.Cells = append(h.Rows, fmt.Sprint(p.Block)), append(h.Values, nil), append(h.Cells, nil)
		}
		if p.Block == 0 {
			h.Columns = append(h.Columns, fmt.Sprint(p.Head))
		}
		c := change(a)
		h.Values[p.Block], h.Cells[p.Block] = append(h.Values[p.Block], c), append(h.Cells[p.Block], fmt.Sprintf("%+.3f", c))
		if !math.IsNaN(c) && !math.IsInf(c, 0) {
			h.High = max(h.High, math.Abs(c))
		}
	}
	if len(h.Columns) > widest {
		h.Cells = nil
	}
	return h
}

// change is by how much the logarithm of the probability changes, in nats.
func change(a inspect.Ablation) float64 { return float64(a.After.LogProb - a.Before.LogProb) }

// scoreOf names what an attribution is of.
func scoreOf(a *inspect.Attribution) string {
	if a.Against != nil {
		return Quote(a.Token) + " less that of " + Quote(*a.Against)
	}
	return Quote(a.Token)
}

// number3 is a number for people.
func number3(f inspect.Float) string { return fmt.Sprintf("%.3f", float64(f)) }
