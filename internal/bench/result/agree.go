package result

import (
	"fmt"
	"io"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// chance is the probability at which Agree finds a difference between two runs
// that have none, in any of their figures.
const chance = 0.01

// Agreement compares two runs of the same work on the same device.
type Agreement struct {
	rows    []agreement
	judged  int
	Differ  int // how many figures differ by more than chance explains
	columns [2]string
	notes   lines
}

// agreement is that of one figure.
type agreement struct {
	what, device, unit string
	a, b               Spread
	p                  float64 // that figures of one mean are so far apart; NaN where it is not judged
}

// Agree compares each figure of b with the same one of a, by Welch's t test
// ("The generalization of Student's problem", 1947). The test takes repetitions as
// independent. It says how likely it is that means of equal things are so far
// apart, given how the samples scatter. The threshold is divided by the number of
// figures (Bonferroni). Figures without repetitions are not judged.
func Agree(a, b File) (*Agreement, error) {
	type place struct{ device, key string }
	first := map[place]Record{}
	for _, r := range a.Records {
		at := place{r.common().Device, r.key()}
		if first[at] != nil {
			return nil, fmt.Errorf("%s: %s on %s stands there twice", a.Path, name(r), at.device)
		}
		first[at] = r
	}
	g := &Agreement{columns: [2]string{a.Path, b.Path}}
	for _, r := range b.Records {
		at := place{r.common().Device, r.key()}
		o := first[at]
		if o == nil {
			continue
		}
		delete(first, at)
		if was, is := o.common().DeviceName, r.common().DeviceName; was != is {
			return nil, fmt.Errorf("%s is %s in %s and %s in %s: only runs on the same device can agree; bench compare lays others side by side",
				at.device, was, a.Path, is, b.Path)
		}
		if err := sameWork(name(r), a.Path, o, b.Path, r); err != nil {
			return nil, err
		}
		figures := r.figures()
		for i, x := range o.figures() {
			row := agreement{name(r), at.device, x.unit, x.Spread, figures[i].Spread, math.NaN()}
			if _, exact := r.(*PerplexityResult); !exact && row.a.N > 1 && row.b.N > 1 {
				row.p = welch(row.a, row.b)
				g.judged++
			}
			g.rows = append(g.rows, row)
		}
	}
	if g.judged == 0 {
		return nil, fmt.Errorf("nothing in %s and %s can be judged: expected the same work, on the same device, with two or more repetitions in each", a.Path, b.Path)
	}
	for _, row := range g.rows {
		if g.differs(row) {
			g.Differ++
		}
	}
	if n := len(first); n > 0 || len(b.Records) > len(a.Records)-n {
		g.notes.add("%d results are in one of the files alone", n+len(b.Records)-(len(a.Records)-n))
	}
	return g, nil
}

func (g *Agreement) differs(row agreement) bool { return row.p*float64(g.judged) < chance }

// welch is the probability that two samples of normal distributions with one
// mean have means that are at least as far apart.
func welch(a, b Spread) float64 {
	if a.Mean == b.Mean {
		return 1
	}
	va, vb := a.SD*a.SD/float64(a.N), b.SD*b.SD/float64(b.N)
	if va+vb == 0 {
		return 0
	}
	t := math.Abs(a.Mean-b.Mean) / math.Sqrt(va+vb)
	freedom := (va + vb) * (va + vb) / (va*va/float64(a.N-1) + vb*vb/float64(b.N-1))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Survival(t)
}

// Write writes the figures, and which of them differ.
func (g *Agreement) Write(w io.Writer) error {
	t := table{{"", "device", "", g.columns[0], g.columns[1], "difference", "p", ""}}
	for _, row := range g.rows {
		difference, p, verdict := "", "", "not judged: no repetitions"
		if row.a.Mean != 0 {
			difference = fmt.Sprintf("%+.1f %%", 100*(row.b.Mean-row.a.Mean)/math.Abs(row.a.Mean))
		}
		if !math.IsNaN(row.p) {
			p, verdict = fmt.Sprintf("%.2g", row.p), "agrees"
		}
		if g.differs(row) {
			verdict = "DIFFERS"
		}
		t = append(t, []string{row.what, row.device, row.unit, row.a.significant(), row.b.significant(), difference, p, verdict})
	}
	var s strings.Builder
	t.write(&s)
	g.notes.write(&s)
	fmt.Fprintf(&s, `
p is how likely figures that are the same are to be so far apart, given how the repetitions of both scatter (Welch's t
test). They differ where p is below %.2g: %g, the chance of a false alarm in all, over the %d figures that were judged.
`, chance/float64(g.judged), chance, g.judged)
	_, err := io.WriteString(w, s.String())
	return err
}
