package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"caldera/inspect"
)

const good = "lens?text=It is a truth universally acknowledged, that a single man in possession of a good"

// TestLens looks for what follows, in all parts of the view.
func TestLens(t *testing.T) {
	in := austen(t)
	a := answer(t, in, good+"&off=3.mlp&off=2.head.1&each=heads&top=3&positions=4", Options{Made: true})
	r := a.Result.(*LensResult)
	if n := len(r.Lens.Answers); n != 4 || r.Lens.From != r.Position-3 || r.Answer != nil {
		t.Errorf("%d positions from %d on, up to %d, for %v", n, r.Lens.From, r.Position, r.Answer)
	}
	if got, want := len(r.Each), in.Model.Layers*in.Model.Heads; got != want {
		t.Errorf("%d heads are switched off, expected %d", got, want)
	}
	// All parts speak of the same token, after the same position, with the same score.
	last := r.Lens.Blocks[in.Model.Layers][3]
	for what, o := range map[string]inspect.Outcome{"ablation": r.Ablation.Before, "each": r.Each[7].Before} {
		if math.Abs(float64(o.Score-last.Score)) > 1e-4 || o.Rank != 1 || o.Top[0].ID != r.Lens.Answers[3].ID {
			t.Errorf("%s: %+v, expected %+v", what, o, last)
		}
	}
	if math.Abs(float64(r.Attribution.Score-last.Score)) > 1e-4 || math.Abs(float64(r.Attribution.Sum-last.Score)) > 1e-4 {
		t.Errorf("the attribution is of %v, with a sum of %v; expected %v", r.Attribution.Score, r.Attribution.Sum, last.Score)
	}
	token := Quote(r.Lens.Answers[3])
	got := text(t, a, 0, false)
	for _, want := range []string{
		"the likeliest next token after each block", "embedding", "block 5", token + " after position 23, \" good\"",
		"it is the likeliest token from block ", "what added to the score of " + token, "block 0 attention bias", "\nsum ",
		"the heads that added or took most, of 36:", "without 3.mlp, 2.head.1, after position 23", "without one part at a time: " + token,
		"the 12 of 36 parts that change it most", "\nmade on cpu by", "blocks.3.attention.parts",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the text lacks %q:\n%s", want, got)
		}
	}
	checkTable(t, r)
}

// checkTable expects of the rows of a table what the result says.
func checkTable(t *testing.T, r *LensResult) {
	t.Helper()
	n, sum := map[string]int{}, 0.0
	for _, row := range r.Table()[1:] {
		n[row[0]]++
		score, err := strconv.ParseFloat(row[6], 64)
		switch {
		case err != nil:
			t.Errorf("%q: %v", row, err)
		case row[0] == "attribution" && row[3] == "sum":
			if math.Abs(sum-score) > 1e-5 {
				t.Errorf("the parts add up to %v, and the sum is %v", sum, score)
			}
		case row[0] == "attribution" && !strings.Contains(row[3], ".head."):
			sum += score
		}
	}
	layers, heads := len(r.Lens.Blocks)-1, len(r.Attribution.Rows[2].Heads)
	for what, want := range map[string]int{
		"lens": (layers + 1) * len(r.Lens.Answers), "attribution": 2 + layers*(heads+4) + 3, "ablation": 2 + len(r.Each),
	} {
		if n[what] != want {
			t.Errorf("%d rows of %s, expected %d", n[what], what, want)
		}
	}
}

// TestLensAnswer looks for a token that was chosen, by its text and by its id.
func TestLensAnswer(t *testing.T) {
	in := austen(t)
	byText := answer(t, in, good+"&answer= fortune&position=-1&against= deal", Options{})
	r := byText.Result.(*LensResult)
	if r.Answer == nil || r.Answer.Text != " fortune" || r.Attribution.Token != *r.Answer || r.Attribution.Against.Text != " deal" || r.Ablation != nil || r.Each != nil {
		t.Fatalf("%+v", r)
	}
	if r.Attribution.Score >= 0 { // " deal" is likelier
		t.Errorf("the difference is %v", r.Attribution.Score)
	}
	byID := answer(t, in, fmt.Sprintf("%s&answer=%%23%d&against=%%23%d", good, r.Answer.ID, r.Attribution.Against.ID), Options{})
	c, err := compare(byText.Result, byID.Result)
	if err != nil || c.Largest != 0 || len(c.Others) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if got := text(t, byText, 0, false); !strings.Contains(got, `it is not the likeliest token at the end`) || !strings.Contains(got, `the score of " fortune" less that of " deal"`) {
		t.Errorf("%s", got)
	}
	all := answer(t, in, good+"&positions=0&show=lens", Options{}).Result.(*LensResult)
	if len(all.Lens.Answers) != 24 || all.Attribution != nil {
		t.Errorf("%d positions, and %v", len(all.Lens.Answers), all.Attribution)
	}
	first := answer(t, in, good+"&position=0", Options{}).Result.(*LensResult)
	if len(first.Lens.Answers) != 1 || first.Attribution.Position != 0 {
		t.Errorf("%d positions up to %d", len(first.Lens.Answers), first.Attribution.Position)
	}
}

// TestLensErrors asks for what cannot be.
func TestLensErrors(t *testing.T) {
	in := austen(t)
	for parameters, want := range map[string]string{
		"show=nothing":                     `must be one of "all","lens","attribution","ablation"`,
		"each=neurons":                     `must be one of "none","blocks","attention","mlp","heads"`,
		"answer=antidisestablishmentarian": `"antidisestablishmentarian" is 9 tokens, "ant" "id" "is" "est" "ab" "l" "ishment" "ar" …: expected one`,
		"answer=deal":                      `with a space before it, it is one: " deal"`,
		"answer=%2399999999":               `answer "#99999999"`,
		"answer=%23x1":                     `expected the text of one token, or # and an id from 0 to`,
		"against=%23-1":                    `against "#-1"`,
		"position=24":                      "position 24: the text has positions 0 to 23, or -24 to -1 from its end",
		"position=-25":                     "position -25",
		"position=-9223372036854775808":    "position -9223372036854775808",
		"position=x":                       "position",
		"positions=-1":                     "positions -1: expected 0 or more",
		"top=0":                            "top 0: expected 1 to 100",
		"top=101":                          "top 101",
		"off=x":                            `part "x": expected the number of a block`,
		"off=6":                            "layer 6: this model has layers 0 to 5",
		"off=0.head.6":                     "head 6",
		"show=ablation":                    "nothing is to be switched off",
		"show=lens&off=3.mlp":              "show all or ablation, not lens",
		"show=attribution&each=heads":      "show all or ablation, not attribution",
		"show=lens&against=%231":           "show all or attribution, not lens",
		"show=lens&tokens=1":               "both a text and tokens",
	} {
		v, p, err := parse(t, good+"&"+parameters)
		if err == nil {
			_, err = Ask(context.Background(), in, v, p, Options{})
		}
		if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", parameters, err, want)
		}
	}
	in.Tokenizer = nil
	r := answer(t, in, "lens?tokens=5,17&answer=3&off=1", Options{}).Result.(*LensResult)
	if r.Answer.ID != 3 || r.Ablation.Token.ID != 3 {
		t.Errorf("without a tokenizer: %+v", r.Answer)
	}
	v, p, _ := parse(t, "lens?tokens=5,17&answer=the")
	if _, err := Ask(context.Background(), in, v, p, Options{}); err == nil || !strings.Contains(err.Error(), "no tokenizer") {
		t.Errorf("a word without a tokenizer: %v", err)
	}
}

// TestLensJSON has no key twice, and null for what was not asked for.
func TestLensJSON(t *testing.T) {
	var out bytes.Buffer
	if err := WriteJSON(&out, answer(t, austen(t), good+"&show=attribution", Options{})); err != nil {
		t.Fatal(err)
	}
	var back struct{ Result map[string]json.RawMessage }
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	for key, null := range map[string]bool{"position": false, "answer": true, "lens": true, "attribution": false, "ablation": true, "each": true} {
		if v, ok := back.Result[key]; !ok || (string(v) == "null") != null {
			t.Errorf("%s is %.60s", key, v)
		}
	}
}
