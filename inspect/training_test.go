package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// learn collects what a training does.
func learn(t *testing.T, b backend.Backend, o inspect.TrainingOptions) (start inspect.TrainingStart, steps []inspect.TrainingStep, looks []inspect.TrainingLook) {
	t.Helper()
	tr, err := inspect.NewTraining(t.Context(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for p, err := range tr.Learn(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Step != nil {
			steps = append(steps, *p.Step)
		}
		if p.Look != nil {
			looks = append(looks, *p.Look)
		}
	}
	return tr.Start(), steps, looks
}

// small learns in a fraction of a second.
func small() inspect.TrainingOptions {
	return inspect.TrainingOptions{Layers: 2, Heads: 2, Width: 32, Context: 16, Batch: 8, Steps: 60, Every: 25, Rate: 1e-2, Sample: 30, Layer: 1, Head: 1, Seed: 5,
		Text: strings.Repeat("the cat sat on the mat, naïve ☃. ", 20), Probe: "the cat s", Character: "c"}
}

// TestTraining expects a model that begins knowing nothing, and learns.
func TestTraining(t *testing.T) {
	b := gpttest.OpenCPU(t)
	o := small()
	start, steps, looks := learn(t, b, o)
	if b.InUse() != 0 {
		t.Errorf("%d buffers are in use after Close", b.InUse())
	}
	if n := utf8.RuneCountInString(o.Text); start.Characters != n || start.HeldOut != n/10 || start.Weights < 1000 {
		t.Errorf("it begins with %+v, and the text has %d characters", start, n)
	}
	if len(steps) != 60 || len(looks) != 4 {
		t.Fatalf("%d steps and %d looks, expected 60 and 4", len(steps), len(looks))
	}
	first, last := steps[0].Loss, steps[59].Loss
	if math.Abs(float64(first-start.Uniform)) > 0.2 || last > first/4 {
		t.Errorf("the loss went from %v to %v; knowing nothing is %v", first, last, start.Uniform)
	}
	for i, s := range steps {
		if s.Step != i+1 || s.Tokens != (i+1)*8*16 || !(s.Norm > 0 && s.Rate > 0 && float64(s.Rate) <= o.Rate && s.Seconds > 0) {
			t.Fatalf("step %d is %+v", i+1, s)
		}
	}
	for i, l := range looks {
		if want := []int{0, 25, 50, 60}[i]; l.Step != want {
			t.Errorf("look %d is after step %d, expected %d", i, l.Step, want)
		}
		if got := strings.Join(l.Probe, ""); got != o.Probe || l.Character != "c" || !utf8.ValidString(l.Sample) {
			t.Errorf("look %d has the probe %q, the character %q and the sample %q", i, got, l.Character, l.Sample)
		}
		if len(l.Attention.Rows) != 9 || l.Attention.Layer != 1 || l.Attention.Head != 1 {
			t.Fatalf("look %d has an attention map of %d rows, of layer %d and head %d", i, len(l.Attention.Rows), l.Attention.Layer, l.Attention.Head)
		}
		for j, row := range l.Attention.Rows {
			sum := 0.0
			for _, v := range row {
				sum += float64(v)
			}
			if len(row) != j+1 || math.Abs(sum-1) > 1e-5 {
				t.Errorf("look %d: row %d of the map has %d numbers, which add up to %v", i, j, len(row), sum)
			}
		}
		if len(l.Next) != 8 || !slices.IsSortedFunc(l.Next, func(a, b inspect.TrainingCharacter) int {
			return int(math.Copysign(1, float64(b.Probability-a.Probability)))
		}) {
			t.Errorf("look %d: next are %v", i, l.Next)
		}
		if len(l.Neighbours) != 8 || l.Neighbours[0].Cosine < l.Neighbours[7].Cosine || l.Neighbours[0].Cosine > 1 {
			t.Errorf("look %d: neighbours are %v", i, l.Neighbours)
		}
	}
	end := looks[3]
	if best := end.Next[0]; best.Text != "a" || best.Probability < 0.9 {
		t.Errorf("after %q comes %q with probability %v, expected a", o.Probe, best.Text, best.Probability)
	}
	if *end.HeldOut > *looks[0].HeldOut/4 || !strings.Contains(end.Sample, "the") {
		t.Errorf("the loss of what is held out went from %v to %v, and it writes %q", *looks[0].HeldOut, *end.HeldOut, end.Sample)
	}
	if _, err := json.Marshal(looks); err != nil {
		t.Error(err)
	}
	_, again, sameLooks := learn(t, b, o)
	for i := range again {
		again[i].Seconds = steps[i].Seconds
	}
	if !reflect.DeepEqual(again, steps) || !reflect.DeepEqual(sameLooks, looks) {
		t.Error("the same options learned something else")
	}
}

// TestTrainingOnDevices expects every device to learn the same.
func TestTrainingOnDevices(t *testing.T) {
	o := small()
	o.Steps, o.Every, o.Sample = 4, 4, 3
	var first []inspect.TrainingStep
	var seen []inspect.TrainingLook
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		_, steps, looks := learn(t, b, o)
		if first == nil {
			first, seen = steps, looks
			return
		}
		near := func(what string, a, b inspect.Float) {
			if math.Abs(float64(a-b)) > 1e-4 {
				t.Errorf("%s is %v, and %v on the CPU", what, a, b)
			}
		}
		for i, s := range steps {
			near("the loss", s.Loss, first[i].Loss)
			near("the norm", s.Norm, first[i].Norm)
		}
		for i, l := range looks {
			near("the loss of what is held out", *l.HeldOut, *seen[i].HeldOut)
			near("the probability of the next character", l.Next[0].Probability, seen[i].Next[0].Probability)
			near("the nearest neighbour", l.Neighbours[0].Cosine, seen[i].Neighbours[0].Cosine)
			for j, row := range l.Attention.Rows {
				for k, v := range row {
					near("attention", v, seen[i].Attention.Rows[j][k])
				}
			}
		}
	})
}

func TestTrainingRefuses(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, c := range []struct {
		change func(*inspect.TrainingOptions)
		want   []string
	}{
		{func(o *inspect.TrainingOptions) { o.Layers = 9 }, []string{"layers: found 9", "1 to 8"}},
		{func(o *inspect.TrainingOptions) { o.Steps = -1 }, []string{"steps: found -1"}},
		{func(o *inspect.TrainingOptions) { o.Head = 2 }, []string{"head: found 2", "0 to 1"}},
		{func(o *inspect.TrainingOptions) { o.Width = 33 }, []string{"width: found 33", "multiple of heads"}},
		{func(o *inspect.TrainingOptions) { o.Rate = math.NaN() }, []string{"rate: found NaN"}},
		{func(o *inspect.TrainingOptions) { o.Temperature = -1 }, []string{"temperature: found -1"}},
		{func(o *inspect.TrainingOptions) { o.Text = "too short" }, []string{"text: found 9 characters", "at least 18"}},
		{func(o *inspect.TrainingOptions) { o.Text = strings.Repeat("caf\xe9 ", 99) }, []string{"not UTF-8"}},
		{func(o *inspect.TrainingOptions) { o.Text = strings.Repeat("x", 1<<20+1) }, []string{"1048577 bytes", "at most 1048576"}},
		{func(o *inspect.TrainingOptions) { o.Probe = "xyz" }, []string{"probe: found 'x'", "characters only"}},
		{func(o *inspect.TrainingOptions) { o.Probe = strings.Repeat("t", 17) }, []string{"probe: found 17 characters", "at most context, 16"}},
		{func(o *inspect.TrainingOptions) { o.Character = "ca" }, []string{"character: found", "expected one"}},
		{func(o *inspect.TrainingOptions) {
			o.Width, o.Layers, o.Context, o.Batch, o.Text = 256, 8, 256, 64, inspect.Passage
			o.Probe, o.Character = "", ""
		}, []string{"operations", "smaller width"}},
		{func(o *inspect.TrainingOptions) { // few weights, and many pairs of characters
			o.Width, o.Heads, o.Layers, o.Context, o.Batch, o.Text = 16, 16, 8, 256, 64, inspect.Passage
			o.Probe, o.Character = "", ""
		}, []string{"operations", "smaller width"}},
		{func(o *inspect.TrainingOptions) {
			var text strings.Builder
			for r := rune(0x4e00); r < 0x4e00+5000; r++ {
				text.WriteRune(r)
			}
			o.Text, o.Probe, o.Character = text.String(), "", ""
		}, []string{"different characters", "at most 4096"}},
	} {
		o := small()
		c.change(&o)
		_, err := inspect.NewTraining(t.Context(), b, o)
		gpttest.WantError(t, err, c.want...)
		if user := (inspect.UserError{}); !errors.As(err, &user) {
			t.Errorf("%v is no UserError", err)
		}
	}
	if b.InUse() != 0 {
		t.Errorf("%d buffers are in use", b.InUse())
	}
}

func TestTrainingEnds(t *testing.T) {
	b := gpttest.OpenCPU(t)
	tr, err := inspect.NewTraining(t.Context(), b, small())
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	for p, failed := range tr.Learn(ctx) {
		if p.Step != nil {
			steps++
		}
		if steps == 5 {
			cancel()
		}
		err = failed
	}
	if !errors.Is(err, context.Canceled) || steps != 5 {
		t.Errorf("it ended after %d steps with %v", steps, err)
	}
	// Whoever takes no more gets no more, also in the middle of a look.
	if tr, err = inspect.NewTraining(t.Context(), b, small()); err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for range tr.Learn(t.Context()) {
		break
	}
}

// TestPassage holds the built-in text to what its users rely on.
func TestPassage(t *testing.T) {
	if n := len(inspect.Passage); n < 10000 || n > 50000 || !strings.HasPrefix(inspect.Passage, "It is a truth universally acknowledged") || !utf8.ValidString(inspect.Passage) {
		t.Errorf("the passage has %d bytes and begins with %.40q", n, inspect.Passage)
	}
}
