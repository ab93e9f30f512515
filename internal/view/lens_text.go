package view

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"caldera/inspect"
)

// listed is how many heads and ablations text has at most.
const listed = 12

// Text writes what each part of the result says.
func (r *LensResult) Text(s *Screen) error {
	parts := []func(*Screen) error{}
	if r.Lens != nil {
		parts = append(parts, r.lensText)
	}
	if r.Attribution != nil {
		parts = append(parts, r.attributionText)
	}
	if r.Ablation != nil {
		parts = append(parts, r.ablationText)
	}
	if len(r.Each) > 0 {
		parts = append(parts, r.eachText)
	}
	for i, part := range parts {
		if i > 0 {
			if err := s.Print(""); err != nil {
				return err
			}
		}
		if err := part(s); err != nil {
			return err
		}
	}
	return nil
}

// lensText writes the likeliest token after each block for each position, and more for
// the last one.
func (r *LensResult) lensText(s *Screen) error {
	l := r.Lens
	if len(l.Answers) > 1 {
		if err := s.Print("%s\n", s.Bold("the likeliest next token after each block")); err != nil {
			return err
		}
		head, answers, since := []string{"after"}, []string{"looked for"}, []string{"first from"}
		for j, answer := range l.Answers {
			head = append(head, fmt.Sprintf("%d %s", l.From+j, Quote(l.Tokens[l.From+j])))
			answers, since = append(answers, Quote(answer)), append(since, appears(l.Appears[j]))
		}
		rows := [][]string{head}
		for i, cells := range l.Blocks {
			row := []string{after(i)}
			for _, c := range cells {
				row = append(row, fmt.Sprintf("%s %.0f %%", Quote(c.Top[0].Token), 100*float64(c.Top[0].Prob)))
			}
			rows = append(rows, row)
		}
		if err := s.Table(append(rows, answers, since)); err != nil {
			return err
		}
		if err := s.Print(""); err != nil {
			return err
		}
	}
	last := len(l.Answers) - 1
	if err := s.Print("%s\n", s.Bold(fmt.Sprintf("%s after position %d, %s", Quote(l.Answers[last]), r.Position, Quote(l.Tokens[r.Position])))); err != nil {
		return err
	}
	rows := [][]string{{"after", "score", "probability", "rank", "entropy", "KL to the end", "likeliest"}}
	for i, cells := range l.Blocks {
		c := cells[last]
		rows = append(rows, []string{after(i), number3(c.Score), percent(c.Prob), count(c.Rank), number3(c.Entropy), number3(c.KL), candidates(c.Top)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	end := "it is the likeliest token from " + after(l.Appears[last]) + " on"
	if note := l.Blocks[len(l.Blocks)-1][last].Note; note != "" {
		end = note
	} else if l.Appears[last] < 0 {
		end = "it is not the likeliest token at the end"
	}
	if err := s.Print("\n%s\n", end); err != nil {
		return err
	}
	return s.Note("score: the logit of the token, if the model ended there; rank: its place among all tokens; entropy, and KL to the end, which is how far the distribution is from the model's last one: in nats")
}

// appears is the row of a lens at which an answer appears.
func appears(blocks int) string {
	if blocks < 0 {
		return "never"
	}
	return after(blocks)
}

// candidates are likely tokens, in a line.
func candidates(top []inspect.Candidate) string {
	var list []string
	for _, c := range top {
		list = append(list, fmt.Sprintf("%s %.1f %%", Quote(c.Token), 100*float64(c.Prob)))
	}
	return strings.Join(list, ", ")
}

// attributionText writes a line for each part, and the heads that added or took most.
func (r *LensResult) attributionText(s *Screen) error {
	a := r.Attribution
	if err := s.Print("%s\n", s.Bold("what added to the score of "+scoreOf(a))); err != nil {
		return err
	}
	largest := 0.0
	for _, row := range a.Rows {
		largest = max(largest, math.Abs(float64(row.Score))) // NaN is left out
	}
	rows := [][]string{{"part", "score", "", ""}}
	type head struct {
		inspect.Part
		score inspect.Float
	}
	var heads []head
	for _, row := range a.Rows {
		left, right := "", Bar(float64(row.Score)/largest, 24)
		if row.Score < 0 {
			left, right = Bar(-float64(row.Score)/largest, 24), ""
		}
		rows = append(rows, []string{partOf(row), signed(row.Score), left, right})
		for h, score := range row.Heads {
			heads = append(heads, head{inspect.Part{Block: row.Block, Kind: inspect.Head, Head: h}, score})
		}
	}
	rows[0][2], rows[0][3] = "takes away", "adds"
	rows = append(rows, []string{"sum", number3(a.Sum), "", ""}, []string{"score", number3(a.Score), "", ""})
	if err := s.Table(rows); err != nil {
		return err
	}
	note := "A part adds what it wrote to the vector, through the last norm with its scale as it was in this run, times the token's row of the unembedding; shift is that of the last norm. The rows add up to the score, the logit."
	if a.Rows[len(a.Rows)-1].Part == inspect.PartRounding {
		note += " rounding: what rounding the activations changes."
	}
	if err := s.Print(""); err != nil {
		return err
	}
	if err := s.Note(note); err != nil {
		return err
	}
	slices.SortStableFunc(heads, func(x, y head) int { return byMagnitude(float64(x.score), float64(y.score)) })
	rows = [][]string{{"head", "score"}}
	for _, h := range heads[:min(listed, len(heads))] {
		rows = append(rows, []string{h.String(), signed(h.score)})
	}
	if err := s.Print("\nthe heads that added or took most, of %s:\n", count(len(heads))); err != nil {
		return err
	}
	return s.Table(rows)
}

// byMagnitude puts what is further from 0 first, and NaN last.
func byMagnitude(x, y float64) int {
	switch x, y = math.Abs(x), math.Abs(y); {
	case x > y || y != y && x == x:
		return -1
	case x < y || x != x && y == y:
		return 1
	}
	return 0
}

func signed(f inspect.Float) string { return fmt.Sprintf("%+.3f", float64(f)) }

// ablationText writes what the model says with the parts and without them.
func (r *LensResult) ablationText(s *Screen) error {
	a := r.Ablation
	if err := s.Print("%s\n", s.Bold(fmt.Sprintf("without %s, after position %d", partNames(a.Off), a.Position))); err != nil {
		return err
	}
	rows := [][]string{{"of " + Quote(a.Token), "with all parts", "without"}}
	for _, row := range []struct {
		name  string
		value func(inspect.Outcome) string
	}{
		{"score", func(o inspect.Outcome) string { return number3(o.Score) }},
		{"probability", func(o inspect.Outcome) string { return percent(o.Prob) }},
		{"rank", func(o inspect.Outcome) string { return count(o.Rank) }},
		{"entropy", func(o inspect.Outcome) string { return number3(o.Entropy) }},
	} {
		rows = append(rows, []string{row.name, row.value(a.Before), row.value(a.After)})
	}
	for _, c := range a.Changes[1:] {
		rows = append(rows, []string{Quote(c.Token), percent(c.Before), percent(c.After)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	return s.Print("\nKL of the distribution from what it was: %s nats", number3(a.KL))
}

// eachText writes what changes most.
func (r *LensResult) eachText(s *Screen) error {
	all := slices.Clone(r.Each)
	if len(all) > listed {
		slices.SortStableFunc(all, func(x, y inspect.Ablation) int { return byMagnitude(change(x), change(y)) })
		all = all[:listed]
	}
	before := r.Each[0].Before
	if err := s.Print("%s\n", s.Bold(fmt.Sprintf("without one part at a time: %s, with a probability of %s with all", Quote(r.Each[0].Token), percent(before.Prob)))); err != nil {
		return err
	}
	rows := [][]string{{"without", "score", "probability", "change of ln", "rank", "KL", "likeliest then"}}
	for _, a := range all {
		rows = append(rows, []string{partNames(a.Off), number3(a.After.Score), percent(a.After.Prob), fmt.Sprintf("%+.3f", change(a)), count(a.After.Rank),
			number3(a.KL), candidates(a.After.Top[:1])})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if len(r.Each) > listed {
		return s.Print("\nthe %d of %s parts that change it most; JSON and CSV have all", listed, count(len(r.Each)))
	}
	return nil
}
