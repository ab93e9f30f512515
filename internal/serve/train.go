package serve

import (
	"context"
	"iter"
	"time"

	"caldera/inspect"
)

// TrainParams are the parameters of /api/train: see [inspect.TrainingOptions].
type TrainParams struct {
	Text        string  `help:"The text to learn (default: the first chapters of a novel)."`
	Layers      int     `default:"3" help:"Blocks (${default})."`
	Heads       int     `default:"4" help:"Attention heads of a block (${default})."`
	Width       int     `default:"64" help:"Length of a character's vector (${default})."`
	Context     int     `default:"64" help:"Characters that are seen at once (${default})."`
	Batch       int     `default:"8" help:"Windows of the text that a step reads (${default})."`
	Steps       int     `default:"1000" help:"Steps (${default})."`
	Rate        float64 `default:"0.005" help:"The largest learning rate (${default})."`
	Seed        uint64  `default:"1" help:"Of the first weights, the windows and the samples (${default})."`
	Every       int     `default:"25" help:"Steps from one look at the model to the next (${default})."`
	Sample      int     `default:"120" help:"Characters that the model writes at each look (${default})."`
	Temperature float64 `default:"0.8" help:"At which it writes them (${default})."`
	Probe       string  `help:"A text that each look continues (default: the beginning of the text to learn)."`
	Top         int     `default:"8" help:"How many next characters of the probe, and neighbours, are told (${default})."`
	Layer       int     `default:"0" help:"Whose attention map of the probe is told (${default})."`
	Head        int     `default:"0" help:"Likewise (${default})."`
	Character   string  `help:"Whose neighbours are told (default: the most frequent one)."`
}

// The bounds of a training, beside those of package inspect.
const (
	trainTime = 10 * time.Minute
	stepsTime = 50 * time.Millisecond // for which steps are gathered to be sent together
)

// TrainSteps is an event of /api/train: the steps since the last event.
type TrainSteps struct {
	Steps []inspect.TrainingStep `json:"steps"`
}

// TrainDone is the last event of /api/train.
type TrainDone struct {
	Reason  string        `json:"reason"` // "steps": all are done; "time": it took too long
	Steps   int           `json:"steps"`  // that were done
	Seconds inspect.Float `json:"seconds"`
}

// learning is a training that goes on.
type learning struct {
	t     *inspect.Training
	next  func() (inspect.TrainingProgress, error, bool)
	stop  func()
	began time.Time
	limit time.Duration

	steps []inspect.TrainingStep // not sent yet
	sent  time.Time
	done  int
}

func (m *Model) train(p TrainParams) (func(context.Context) (Work, error), error) {
	for _, x := range []struct {
		name  string
		value int
	}{
		{"layers", p.Layers}, {"heads", p.Heads}, {"width", p.Width}, {"context", p.Context}, {"batch", p.Batch}, {"steps", p.Steps}, {"every", p.Every}, {"sample", p.Sample}, {"top", p.Top},
	} {
		if x.value == 0 { // which stands for the usual value in package inspect
			return nil, inspect.Userf("%s: found 0, expected at least 1", x.name)
		}
	}
	o := inspect.TrainingOptions(p)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (Work, error) {
		t, err := inspect.NewTraining(ctx, m.in.Model.Backend, o)
		if err != nil {
			return nil, err
		}
		l := &learning{t: t, began: time.Now(), limit: trainTime}
		l.next, l.stop = iter.Pull2(t.Learn(ctx))
		return l, nil
	}, nil
}

// Start is what the training begins with.
func (l *learning) Start() any { return l.t.Start() }

// Next does a step, or looks at the model. Steps are told together, for some take a
// few milliseconds only.
func (l *learning) Next(context.Context) ([]Event, bool, error) {
	if time.Since(l.began) > l.limit {
		return append(l.flush(), l.end("time")), false, nil
	}
	p, err, ok := l.next()
	switch {
	case err != nil:
		return l.flush(), false, err
	case !ok:
		return append(l.flush(), l.end("steps")), false, nil
	case p.Look != nil:
		return append(l.flush(), Event{"look", p.Look}), true, nil
	case p.Step == nil: // a part of a look
		return nil, true, nil
	}
	l.steps = append(l.steps, *p.Step)
	l.done = p.Step.Step
	if time.Since(l.sent) < stepsTime {
		return nil, true, nil
	}
	return l.flush(), true, nil
}

// flush is an event of the steps that were not told.
func (l *learning) flush() []Event {
	if len(l.steps) == 0 {
		return nil
	}
	e := Event{"steps", TrainSteps{l.steps}}
	l.steps, l.sent = nil, time.Now()
	return []Event{e}
}

func (l *learning) end(reason string) Event {
	return Event{"done", TrainDone{reason, l.done, inspect.Float(time.Since(l.began).Seconds())}}
}

// Close frees the model.
func (l *learning) Close() error {
	l.stop()
	return l.t.Close()
}
