package serve

import (
	"caldera/inspect"
	"net/url"
	"strings"
	"testing"
)

const learned = "the cat sat on the mat. "

// TestTrain expects a model that learns to be seen doing so.
func TestTrain(t *testing.T) {
	s := startReal(t, ModelOptions{})
	query := url.Values{"text": {strings.Repeat(learned, 20)}, "layers": {"1"}, "heads": {"2"}, "width": {"16"}, "context": {"16"}, "steps": {"60"}, "every": {"20"},
		"sample": {"10"}, "probe": {"the c"}, "character": {"a"}, "rate": {"0.02"}}.Encode()
	list := readEvents(t, s.do("POST", "/api/train", query).body)
	var steps []inspect.TrainingStep
	var looks []inspect.TrainingLook
	for _, e := range list[1 : len(list)-1] {
		switch e.name {
		case "steps":
			steps = append(steps, as[TrainSteps](t, e).Steps...)
		case "look":
			looks = append(looks, as[inspect.TrainingLook](t, e))
			if n := looks[len(looks)-1].Step; n != len(steps) {
				t.Errorf("the look of step %d came after %d steps", n, len(steps))
			}
		default:
			t.Errorf("event %+v", e)
		}
	}
	begin, end := as[inspect.TrainingStart](t, list[0]), as[TrainDone](t, list[len(list)-1])
	if begin.Layers != 1 || begin.Steps != 60 || end.Reason != "steps" || end.Steps != 60 || len(steps) != 60 || len(looks) != 4 {
		t.Fatalf("from %+v to %+v: %d steps, %d looks", begin, end, len(steps), len(looks))
	}
	if steps[59].Loss > steps[0].Loss/2 || looks[3].Next[0].Text != "a" {
		t.Errorf("the loss went from %v to %v, and after %q comes %+v", steps[0].Loss, steps[59].Loss, looks[3].Probe, looks[3].Next[0])
	}
	eventually(t, "its memory is free", func() bool { return s.turns.Waiting() == 0 && s.streams.left() == 4 })
	for query, parts := range map[string][]string{
		"layers=0": {"layers: found 0"}, "layers=99": {"layers: found 99"}, "text=short": {"text: found 5 characters"}, "steps=100000000": {"steps"}, "probe=%E4%B8%96": {"probe"},
		"rate=Inf": {"rate"}, "width=256&layers=8&batch=64&context=256": {"operations"}, "seed=-1": {"seed"},
	} {
		s.get("/api/train?"+query).wantError(t, 400, parts...)
	}
}

// TestTrainingTakesItsTime ends a training by the clock.
func TestTrainingTakesItsTime(t *testing.T) {
	s := startReal(t, ModelOptions{})
	begin, err := s.m.train(TrainParams{Text: strings.Repeat(learned, 20), Layers: 1, Heads: 1, Width: 8, Context: 8, Batch: 1, Steps: 10000, Rate: 0.01, Every: 10000, Sample: 1, Temperature: 1, Top: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l := w.(*learning)
	for l.done < 4 {
		if _, more, err := l.Next(t.Context()); !more || err != nil {
			t.Fatal(more, err)
		}
	}
	l.limit = 0
	list, more, err := l.Next(t.Context())
	if more || err != nil || len(list) == 0 || list[len(list)-1].Data.(TrainDone).Reason != "time" || list[len(list)-1].Data.(TrainDone).Steps != 4 {
		t.Errorf("it ended with %+v, %v, %v", list, more, err)
	}
}
