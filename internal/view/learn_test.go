package view

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
	"caldera/internal/plot"
	"caldera/internal/train/folder"
)

// device is an Inspector without a model, which this view does not need.
func device(t *testing.T) *inspect.Inspector {
	t.Helper()
	return inspect.New(&model.Model{Backend: gpttest.OpenCPU(t)}, nil, inspect.Options{Name: "testdata/run"})
}

// TestLearn looks at a run that has learned to spell: the text surprises it less from
// snapshot to snapshot, and losses are those that the run has written.
func TestLearn(t *testing.T) {
	a := answer(t, device(t), "learn?run=testdata/run&text=the author of the", Options{})
	r := a.Result.(LearnResult)
	if len(r.Stages) != 5 || r.LeftOut != 0 || len(r.Notes) != 0 || len(r.Losses) < 30 || r.Near.Text != "e" {
		t.Fatalf("%+v", r.Learned)
	}
	before := math.Log(float64(r.Vocab)) + 0.1
	for i, g := range r.Stages {
		s, err := folder.ReadSnapshot(filepath.Join("testdata/run/snapshots", folder.StepDir(g.Step)))
		if err != nil || float64(g.Validation) != *s.ValLoss || (s.Loss == nil) != (i == 0) || s.Loss != nil && float64(g.Training) != *s.Loss {
			t.Errorf("step %d: losses %v and %v, %v", g.Step, g.Training, g.Validation, err)
		}
		if !(float64(g.Surprise) < before) {
			t.Errorf("step %d: a surprise of %v, before %v", g.Step, g.Surprise, before)
		}
		before = float64(g.Surprise)
	}
	last := r.Stages[4]
	if strings.Join(last.Kinds, " ") != "best newest snapshot" || last.Next[0].Text != " " || last.Next[0].Prob < 0.3 {
		t.Errorf("at last %v, and next %+v", last.Kinds, last.Next)
	}
	for _, part := range []string{`testdata/run: 5 checkpoints read "the author of the" (tokens: 17); a guess at random has a surprise of 3.74 nats`, "step 2,000, best, newest", `neighbours of "e"`, `" " 40.`} {
		if got := text(t, a, 0, false); !strings.Contains(got, part) {
			t.Errorf("the text lacks %q:\n%s", part, got)
		}
	}
	// The table has the numbers of the JSON.
	rows := r.Table()
	for i, g := range r.Stages {
		row := rows[i+1]
		for _, c := range []struct {
			column int
			want   inspect.Float
		}{{5, g.Surprise}, {7, g.Next[0].Prob}, {17, g.Neighbours[0].Cosine}, {26 + 16, g.Attention[16][16]}} {
			if x, err := strconv.ParseFloat(row[c.column], 64); err != nil || math.Abs(x-float64(c.want)) > 1e-7 {
				t.Errorf("step %d: %s is %s, expected %v", g.Step, rows[0][c.column], row[c.column], c.want)
			}
		}
	}
}

// TestLearnMaps finds the map of attention in the picture: its first row is black and
// white, as the first token can look at itself only.
func TestLearnMaps(t *testing.T) {
	img := picture2(t, [][]inspect.Float{{1}, {0.25, inspect.Float(math.NaN())}})
	if got := []string{img(0, 0), img(1, 0), img(0, 1), img(1, 1)}; !reflect.DeepEqual(got, []string{"0 0 0", "255 255 255", "192 192 192", "213 94 0"}) {
		t.Errorf("the map is %v", got)
	}
	a := answer(t, device(t), "learn?run=testdata/run&text=the", Options{})
	if got := text(t, a, 100, true); strings.Count(got, "\x1b[48;5;232m") < 5 { // the first token of each map
		t.Errorf("there are no maps:\n%q", got)
	}
}

// picture2 gives the colours of a map of two rows.
func picture2(t *testing.T, m [][]inspect.Float) func(x, y int) string {
	t.Helper()
	img := picturedMap(m)
	side := img.Bounds().Dx() / len(m)
	return func(x, y int) string {
		r, g, b, _ := img.At(x*side+side/2, y*side+side/2).RGBA()
		return strings.Join([]string{strconv.Itoa(int(r >> 8)), strconv.Itoa(int(g >> 8)), strconv.Itoa(int(b >> 8))}, " ")
	}
}

// TestLearnAsked has what people may ask, and what they may get wrong.
func TestLearnAsked(t *testing.T) {
	_, p, err := parse(t, "learn?run=a+b&text=it&layer=2&steps=0,10&most=3")
	if want := (&Learn{Folder: "a b", Text: Text{Words: []string{"it"}}, Layer: 2, Top: 5, Steps: []int{0, 10}, Most: 3}); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v, expected %+v", p, err, want)
	}
	in := device(t)
	for address, want := range map[string]string{
		"learn":                                     "no training run: expected the folder of one",
		"learn?run=testdata/none&text=a":            "testdata/none: no such file",
		"learn?run=testdata&text=a":                 "no checkpoint and no snapshot",
		"learn?run=testdata/run&text=世":             "世",
		"learn?run=testdata/run&text=a&layer=2":     "layer 2",
		"learn?run=testdata/run&text=a&steps=2":     "step 2: the run has kept no weights of it, but of 0, 1, 13, 159, 2000",
		"learn?run=testdata/run&tokens=99":          "99",
		"learn?run=testdata/run&text=a&tokens=1":    "both a text and tokens",
		"learn?run=testdata/run&text=a&most=0":      "0 checkpoints",
		"learn?run=testdata/run&text=" + long("a+"): "the model's context holds 24",
	} {
		v, p, err := parse(t, address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Ask(t.Context(), in, v, p, Options{})
		if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", address, err, want)
		}
	}
}

func long(s string) string { return strings.Repeat(s, 5000) }

// TestLearnHostile shows names that would write on a terminal, and weights without
// any number.
func TestLearnHostile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "<script>\x1b[31m")
	if err := os.CopyFS(dir, os.DirFS("testdata/run")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "snapshots/step-000001/snapshot.json"), []byte("\x1b[31m"), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := (&Learn{Folder: dir, Text: Text{Words: []string{"a"}}, Top: 2, Most: 12}).Run(t.Context(), device(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Text(&Screen{W: &b}); err != nil || strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), "note: ") {
		t.Errorf("%v, %q", err, b.String())
	}
	l := r.(LearnResult)
	l.Losses = nil
	for i := range l.Stages {
		g := &l.Stages[i]
		g.Surprise, g.Training, g.Validation = inspect.Float(math.Inf(1)), inspect.Float(math.NaN()), inspect.Float(math.NaN())
		g.Attention[0][0] = inspect.Float(math.NaN())
	}
	b.Reset()
	if err := l.Draw(&b, plot.SVG); err != nil || strings.Contains(b.String(), "<script>") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("a picture of no numbers: %v", err)
	}
	l.Stages[1].Next, l.Stages[2].Neighbours = nil, nil
	rows := l.Table()
	for i, row := range rows {
		if len(row) != len(rows[0]) || i > 0 && row[len(row)-1] != number(l.Stages[i-1].Attention[0][0]) {
			t.Errorf("row %d is %q", i, row)
		}
	}
	b.Reset()
	if err := errors.Join(WriteJSON(&b, l), l.Draw(&b, plot.PNG)); err != nil || !strings.Contains(b.String(), `"surprise":null`) {
		t.Errorf("no numbers: %v", err)
	}
}
