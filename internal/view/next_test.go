package view

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"caldera/inspect"
)

// TestNextText expects the numbers of a result in its text.
func TestNextText(t *testing.T) {
	a := answer(t, austen(t), "next?text=It is a truth&temperature=0,1&top-k=2&top=3", Options{})
	r := a.Result.(NextResult)
	s := text(t, a, 0, false)
	for _, want := range []string{
		"gives 3 predictions", fmt.Sprintf("%.3f nats, a perplexity of %.2f", float64(r.Training.Loss), math.Exp(float64(r.Training.Loss))), "3 passes over 6 tokens",
		`after position 3, " truth", a sampler draws`, "left out", fmt.Sprintf(`" is"      %.3f  `, float64(r.Positions[0].Surprise)),
	} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
	if rows := r.Table(); rows[1][4] != " is" || rows[1][7] != number(r.Positions[0].Surprise) || rows[4][4] != "" {
		t.Errorf("%q", rows)
	}
	for i := range r.Positions {
		r.Positions[i].Surprise, r.Positions[i].Top = inspect.Float(math.NaN()), nil
	}
	r.Temperatures[0].Note = "the scores are no numbers"
	if s := text(t, a, 80, false); !strings.Contains(s, "nothing: the scores are no numbers") {
		t.Errorf("numbers that are none:\n%s", s)
	}
	for _, p := range answer(t, austen(t), "next?text=It is a truth&top-p=0&temperature=1", Options{}).Result.(NextResult).Temperatures {
		if p.Kept != 1 || p.Tokens[0].Drawn != 1 {
			t.Errorf("with a top-p of 0 the likeliest token is not the only one: %+v", p)
		}
	}
	if s := text(t, answer(t, austen(t), "next?text=It", Options{}), 80, false); !strings.Contains(s, "nothing is known of what came next") {
		t.Errorf("a text of one token:\n%s", s)
	}
}

// TestNextFits has one table in a line of 100 cells: with less in a row rather than in two.
func TestNextFits(t *testing.T) {
	a := answer(t, austen(t), "next?text=It is a truth universally acknowledged, that a single man", Options{})
	if s := text(t, a, 100, false); strings.Count(s, "position  ") != 1 || !strings.Contains(s, "likeliest\n") {
		t.Errorf("%s", s)
	}
	if s := text(t, a, 0, false); !strings.Contains(s, `" was" 31.53 %, "`) {
		t.Errorf("there is room for more of the likeliest:\n%s", s)
	}
}
